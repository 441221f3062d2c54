package pipeline

import (
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// checks puts what a verification says at this place into the mailbox. It belongs to the
// transaction of the segment.
func (r *reader) checks(seg *event.Segment) (alive bool, err error) {
	for i := range seg.Checks {
		c := envelope.Check{Check: seg.Checks[i]}
		if c.Schema != nil {
			c.SchemaID, _ = r.p.enc.Bound(c.Schema)
		}
		for more := true; more; more = len(c.Rows) > 0 {
			alive, err = r.box.put(func(b *batch) error {
				b.open = true
				c.Rows = envelope.AddCheck(&b.records, r.p.opts.Source.ID, &c)
				return nil
			})
			if err != nil || !alive {
				return alive, err
			}
		}
	}
	return true, nil
}
