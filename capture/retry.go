package capture

import (
	"context"
	"math/rand/v2"
	"time"
)

// Retrying calls f until it succeeds, ctx ends, or it fails with an error that
// waiting doesn't repair. Pauses grow to 5 s, with jitter.
func Retrying(ctx context.Context, f func() error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := f()
		if err == nil || ActionOf(err) != Retry {
			return err
		}
		t := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}
