package contract

import (
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/log"
)

// opens counts the source's open records in the log.
func (r *rig) opens(source string) (n int) {
	r.Helper()
	_, err := r.client.ReadAll(r.Context(), r.part(0), func(_ log.Offset, rec *log.Record) error {
		if class, name := envelope.Classify(rec); class == envelope.ControlRecord && string(name) == source {
			c, err := envelope.ParseControl(rec)
			if err != nil {
				return err
			}
			if c.Open != nil {
				n++
			}
		}
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	return n
}

// TestOpenAgainOnBothLogs opens the producer again between transactions, by time and
// by number of records, while a worker applies.
func TestOpenAgainOnBothLogs(t *testing.T) {
	for name, change := range map[string]func(*pipeline.Options){
		"by time":    func(o *pipeline.Options) { o.ReopenEvery = 40 * time.Millisecond },
		"by records": func(o *pipeline.Options) { o.ReopenRecords = 4 },
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(r *rig) {
				o := newOrigin(r.org + "-xueji")
				w := r.work(0)
				a := r.agent("a/1", o, change)
				stop := o.goOn(10 * time.Millisecond)
				r.await("five open records", func() bool { return r.opens(o.table.Source) >= 5 })
				n := stop()
				r.reaches(a, n)
				r.whole(o.table.Source, n)
				if _, c := w.Status(); c.Fenced+c.Void+c.Known != 0 {
					r.Errorf("set aside: %+v", c)
				}
			})
		})
	}
}
