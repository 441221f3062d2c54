package pipeline

import (
	"math/rand/v2"
	"time"
)

// backoff gives growing, jittered pauses.
type backoff struct{ cur, max time.Duration }

func newBackoff(limit time.Duration) *backoff { return &backoff{max: limit} }

func (b *backoff) reset() { b.cur = 0 }

// next returns a pause between half and all of the current step.
func (b *backoff) next() time.Duration {
	b.cur = min(max(2*b.cur, 200*time.Millisecond), b.max)
	return b.cur/2 + rand.N(b.cur/2+1)
}
