package worker

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// TestEnds: a batch names the last transactions of each source in their order, no more than
// MaxEnds of one, whatever lies between them.
func TestEnds(t *testing.T) {
	b := &Batch{}
	var group []*txn
	want := map[string][]string{}
	for n := range uint64(MaxEnds + 10) {
		for _, source := range []string{"a", "b"} {
			if source == "b" && n%10 != 0 {
				continue
			}
			id := fmt.Sprint(source, n)
			one := &txn{source: source, offset: log.Offset(10 * n), rows: int(n), commit: &envelope.Commit{Txn: event.Txn{Position: at(n), ID: id}}}
			b.step(one)
			group = append(group, one)
			want[source] = append(want[source], fmt.Sprint(id, at(n), 10*n, n))
		}
	}
	b.ends(group)
	for _, st := range b.Steps {
		var got []string
		for _, e := range st.Ends {
			got = append(got, fmt.Sprint(e.TxnID, e.Position, uint64(e.Commit), e.Rows))
		}
		all := want[st.Source.ID]
		if !slices.Equal(got, all[max(0, len(all)-MaxEnds):]) || st.Ends[len(st.Ends)-1].Position != st.To {
			t.Errorf("source %s: %v", st.Source.ID, got)
		}
	}
}
