package worker

import (
	"errors"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// TestPartsOfTables: a part that is read again makes no incomplete table complete, takes
// no table out of its stop and no key out of quarantine; all of a table does.
func TestPartsOfTables(t *testing.T) {
	k := tableKey{"s", "d.t"}
	part := &event.KeyRange{Columns: []event.KeyColumn{{Name: "id", Kind: schema.Int64}}, From: []event.Value{event.Signed(1)}}
	at := func(n uint64) event.Position { return event.Position{Epoch: 1, Place: event.Place{Offset: n}} }
	load := func(phase event.LoadPhase, since uint64, r *event.KeyRange) event.Load {
		return event.Load{Table: "d.t", Dataset: "t", Phase: phase, Since: at(since), Sweep: r != nil, Range: r}
	}
	for name, tt := range map[string]struct {
		loads   []event.Load
		loading bool // the table, in the end
		held    bool // table and key are still stopped
	}{
		"a part":                     {[]event.Load{load(event.LoadBegun, 1, part)}, true, true},
		"a part, ended":              {[]event.Load{load(event.LoadBegun, 1, part), load(event.LoadEnded, 1, part)}, false, true},
		"a part in place of another": {[]event.Load{load(event.LoadBegun, 1, part), load(event.LoadBegun, 2, part), load(event.LoadEnded, 2, part)}, false, true},
		"an older part ends":         {[]event.Load{load(event.LoadBegun, 1, part), load(event.LoadBegun, 2, part), load(event.LoadEnded, 1, part)}, true, true},
		"a part of what is loading":  {[]event.Load{load(event.LoadBegun, 1, nil), load(event.LoadBegun, 2, part), load(event.LoadEnded, 2, part)}, true, false},
		"gone, and rows are held":    {[]event.Load{load(event.LoadBegun, 1, part), load(event.TableDropped, 2, nil)}, false, false},
		"all in place of a part":     {[]event.Load{load(event.LoadBegun, 1, part), load(event.LoadBegun, 2, nil), load(event.LoadEnded, 2, nil)}, false, false},
	} {
		u := newBuilder(&Worker{}, "topic", map[tableKey]*stop{k: {err: errors.New("altered")}})
		u.keysOf("s").table("d.t").ids["key"] = reason{}
		var b Batch
		u.loads(&b, &txn{source: "s", commit: &envelope.Commit{Loads: tt.loads}})
		_, loading := u.loading[k]
		held := u.refused[k] != nil && len(u.keysOf("s").table("d.t").ids) == 1
		if loading != tt.loading || held != tt.held || len(b.Loads) != len(tt.loads) {
			t.Errorf("%s: loading %t, held %t, %d loads for the store; want %t, %t, %d", name, loading, held, len(b.Loads), tt.loading, tt.held, len(tt.loads))
		}
	}
}
