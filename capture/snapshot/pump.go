package snapshot

import (
	"context"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// pump reads the stream in a goroutine of its own, one segment per question, so that
// chunks can be handed out while the stream is silent.
type pump struct {
	reader    capture.Reader
	questions chan struct{}
	answers   chan answer
}

type answer struct {
	seg *event.Segment
	err error
}

func newPump(r capture.Reader) *pump {
	return &pump{reader: r, questions: make(chan struct{}, 1), answers: make(chan answer, 1)}
}

// ask wants the next segment. There is one question at a time.
func (p *pump) ask() { p.questions <- struct{}{} }

func (p *pump) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.questions:
		}
		seg, err := p.reader.Next(ctx)
		p.answers <- answer{seg, err}
	}
}
