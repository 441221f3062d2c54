package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// torn is a source whose log doesn't continue.
type torn struct{ clockwork }

func (*torn) Start(context.Context, capture.Resume) (uint32, error) {
	return 0, &capture.GapError{Code: "SLOT_LOST", Reason: "it is gone", From: event.Position{Epoch: 7}}
}

// deaf is a log that doesn't take the first gap record.
type deaf struct {
	*appender
	refused int
}

func (d *deaf) Append(ctx context.Context, r *log.Records) (log.Offset, error) {
	var gap bool
	b := log.Batch{Data: r.Data(), Count: r.Count()}
	err := b.Each(func(_ log.Offset, r *log.Record) error {
		c, err := envelope.ParseControl(r)
		gap = gap || err == nil && c.Gap != nil
		return err
	})
	if err != nil {
		return 0, err
	}
	if gap && d.refused == 0 {
		d.refused++
		return 0, log.ErrUnavailable
	}
	return d.appender.Append(ctx, r)
}

// TestGapIsTold: a gap that the log doesn't take is told again, with its explained
// reason, and only then does the source wait.
func TestGapIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{points: map[string][]byte{}}
		d := &deaf{appender: &appender{memory: m, id: log.NoProducer}}
		p, err := New(Options{Source: event.Source{ID: "s", Org: "1"}, Agent: "a/1", Reader: &torn{}, Log: d, Tail: m, Checkpoints: m, Schemas: m,
			Explain: func(g *capture.GapError) *capture.GapError {
				return &capture.GapError{Code: "FUSE_BLOWN", Reason: "explained", From: g.From}
			}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		pass(time.Minute)
		if s := p.Status(); s.Code != "FUSE_BLOWN" || d.refused != 1 || s.State != InGap {
			t.Errorf("%s [%s], refused %d times", s.State, s.Code, d.refused)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		var told []*envelope.Gap
		for i := range m.batches {
			err := m.batches[i].Each(func(_ log.Offset, r *log.Record) error {
				c, err := envelope.ParseControl(r)
				if err == nil && c.Gap != nil {
					told = append(told, c.Gap)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(told) != 1 || told[0].Code != "FUSE_BLOWN" || told[0].Last.Epoch != 7 {
			t.Errorf("the log was told %+v", told)
		}
	})
}
