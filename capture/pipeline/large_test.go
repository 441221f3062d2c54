package pipeline

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// TestRowTooLarge: a row that no record can hold stops its source with an error that
// names source, table and key, and nothing of its transaction counts.
func TestRowTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{points: map[string][]byte{}}
		p, err := New(Options{Source: event.Source{ID: "330106-xueji", Org: "330106"}, Agent: "a/1", Reader: &clockwork{every: time.Minute, within: time.Second},
			Log: &appender{memory: m, id: log.NoProducer}, Tail: m, Checkpoints: m, Schemas: m, FirstStart: true, MaxRecord: 16})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Run(t.Context())
		var coded *capture.Coded
		if !errors.As(err, &coded) || coded.Code != "ROW_TOO_LARGE" || capture.ActionOf(err) != capture.StopSource {
			t.Fatalf("%v, want ROW_TOO_LARGE that stops the source", err)
		}
		if !strings.Contains(coded.Hint, "the column id by caps") {
			t.Errorf("hint %q", coded.Hint)
		}
		for _, want := range []string{"330106-xueji", "table d.thing", "key [1]", "00000001/00000000.0000000000000001/00000000", "more than 16"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v doesn't say %q", err, want)
			}
		}
		if s := p.Status(); s.State != Failed || s.Code != "ROW_TOO_LARGE" {
			t.Errorf("status %+v", s)
		}
		if txns, err := m.counted(); err != nil || len(txns) != 0 {
			t.Errorf("the log has the transactions %v, %v", txns, err)
		}
	})
}
