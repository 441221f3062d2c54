package contract

import (
	"context"
	"sync"

	"github.com/tributary-cdc/tributary/stream/log"
)

// gated is an appender that can be held before its next append, as a process that is
// stopped by SIGSTOP is.
type gated struct {
	log.Appender
	mu      sync.Mutex
	shut    chan struct{} // nil while the gate is open
	waiting bool
}

func (g *gated) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *gated) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = nil
}

func (g *gated) waits() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

// Append implements log.Appender.
func (g *gated) Append(ctx context.Context, r *log.Records) (log.Offset, error) {
	g.mu.Lock()
	shut := g.shut
	g.waiting = shut != nil
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
	return g.Appender.Append(ctx, r)
}
