package status

import (
	"math"
	"math/bits"
	"sync"
	"time"
)

// A Window covers slots of this length; the oldest may be cut short by one.
const (
	slots      = 6
	slotLength = 10 * time.Second
)

// fine is the number of buckets per doubling: a quantile is at most 1/16 off.
const fine = 8

// buckets reach to 2^37 microseconds, 38 hours; what took longer counts in the last.
const buckets = (37 - 3 + 1) * fine

// Figures tell the distribution of a time over the last minute, in seconds. P50 and
// P99 are exact to a sixteenth.
type Figures struct {
	P50   float64 `json:"p50_seconds"`
	P99   float64 `json:"p99_seconds"`
	Max   float64 `json:"max_seconds"`
	Count int64   `json:"transactions"`
}

// Window gathers times of the last minute in bounded memory: 7 KiB while there are
// any. The zero value is ready. It is safe for concurrent use.
type Window struct {
	mu    sync.Mutex
	slots [slots]slot
}

type slot struct {
	number int64 // of the slot since 1970
	count  int64
	max    time.Duration
	hits   []uint32
}

func slotOf(now time.Time) int64 { return now.UnixNano() / int64(slotLength) }

// Add counts a time. One below zero, which clocks that differ can give, counts as zero.
func (w *Window) Add(now time.Time, d time.Duration) {
	d = max(d, 0)
	n := slotOf(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.slots[((n%slots)+slots)%slots]
	if s.number != n || s.hits == nil {
		if s.hits == nil {
			s.hits = make([]uint32, buckets)
		}
		clear(s.hits)
		s.number, s.count, s.max = n, 0, 0
	}
	s.hits[bucket(d)]++
	s.count++
	s.max = max(s.max, d)
}

// Figures gives what the last minute had, nil if nothing.
func (w *Window) Figures(now time.Time) *Figures {
	n := slotOf(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	var hits [buckets]int64
	f, most := Figures{}, time.Duration(0)
	for i := range w.slots {
		s := &w.slots[i]
		if s.hits == nil || s.number <= n-slots || s.number > n {
			continue
		}
		f.Count += s.count
		most = max(most, s.max)
		for b, c := range s.hits {
			hits[b] += int64(c)
		}
	}
	if f.Count == 0 {
		return nil
	}
	f.Max = most.Seconds()
	f.P50, f.P99 = min(quantile(&hits, f.Count, 0.5), f.Max), min(quantile(&hits, f.Count, 0.99), f.Max)
	return &f
}

// bucket numbers a time: the first ones are a microsecond wide, then each doubling
// has as many.
func bucket(d time.Duration) int {
	us := uint64(d.Microseconds())
	if us < fine {
		return int(us)
	}
	shift := bits.Len64(us) - 4 // leaves 8 to 15
	return min((shift+1)*fine+int(us>>shift)-fine, buckets-1)
}

// middle is the middle of a bucket, in seconds.
func middle(b int) float64 {
	if b < fine {
		return float64(b) / 1e6
	}
	shift := b/fine - 1
	low := float64(uint64(b%fine+fine) << shift)
	return (low + float64(uint64(1)<<shift)/2) / 1e6
}

func quantile(hits *[buckets]int64, count int64, q float64) float64 {
	rank := int64(math.Ceil(q * float64(count)))
	for b, c := range hits {
		if rank -= c; rank <= 0 {
			return middle(b)
		}
	}
	return middle(buckets - 1)
}
