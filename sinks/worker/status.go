package worker

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// State is what a worker is doing with a partition.
type State string

// The states of a partition.
const (
	Starting State = "starting"
	Applying State = "applying" // the store is prepared and the partition claimed
	Retrying State = "retrying"
	Failed   State = "failed" // a damaged log, looked at again every AskEvery, or another worker's claim
)

// PartitionStatus is what a worker knows of one of its partitions.
type PartitionStatus struct {
	Partition log.Partition `json:"partition"`
	State     State         `json:"state"`
	Error     string        `json:"error,omitempty"` // why it isn't applied
	Code      string        `json:"code,omitempty"`  // of the error, stable
	Since     time.Time     `json:"since"`
	// Next is the record from which reading goes on; where it has failed, the first of
	// the batch that can't be read.
	Next log.Offset `json:"next"`
	// Foreign counts records that no agent wrote. They were set aside; LastForeign is
	// the newest one's offset.
	Foreign     int64      `json:"foreign,omitempty"`
	LastForeign log.Offset `json:"last_foreign,omitempty"`
}

// Applied is one transaction that the store has.
type Applied struct {
	Source    string
	Committed time.Time       // at the source
	Logged    time.Time       // when the log had it
	At        time.Time       // when the store had it
	Precision event.Precision // of Committed
}

// Partitions returns a snapshot of the partitions that are being run, and of those
// that failed, in order.
func (w *Worker) Partitions() []PartitionStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]PartitionStatus, 0, len(w.parts))
	for _, s := range w.parts {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b PartitionStatus) int {
		return cmp.Or(cmp.Compare(a.Partition.Topic, b.Partition.Topic), cmp.Compare(a.Partition.Index, b.Partition.Index))
	})
	return out
}

// partition notes a state and tells whoever wants to know.
func (w *Worker) partition(p log.Partition, state State, err error) {
	w.mu.Lock()
	s := w.parts[p]
	if s.State != state {
		s.Since = time.Now()
	}
	s.Partition, s.State, s.Error, s.Code = p, state, "", CodeOf(err)
	if err != nil {
		s.Error = err.Error()
	}
	w.parts[p] = s
	w.mu.Unlock()
	w.o.OnChange()
}

// at notes where reading goes on.
func (w *Worker) at(p log.Partition, next log.Offset) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.parts[p]
	s.Partition, s.Next = p, next
	w.parts[p] = s
}

// count adds what the assembler has set aside since the last time, and says so the
// first time and whenever the number of foreign records has doubled.
func (s *session) count() {
	now, before, w := s.asm.counts, s.counted, s.w
	s.counted = now
	w.mu.Lock()
	w.counts.add(now, 1)
	w.counts.add(before, -1)
	part := w.parts[s.p]
	had := part.Foreign
	part.Foreign += now.Foreign - before.Foreign
	if now.Foreign > before.Foreign {
		part.LastForeign = s.asm.lastForeign
		w.parts[s.p] = part
	}
	w.mu.Unlock()
	if bits.Len64(uint64(part.Foreign)) > bits.Len64(uint64(had)) {
		w.o.Logger.Warn("records that no agent wrote set aside", "partition", s.p.String(), "offset", part.LastForeign, "number", part.Foreign)
	}
}

// leave forgets a partition that somebody else may run now.
func (w *Worker) leave(p log.Partition) {
	w.mu.Lock()
	delete(w.parts, p)
	w.mu.Unlock()
	w.o.OnChange()
}

// claimed notes a claim, and what the store knew of the partition's sources.
func (s *session) claimed(known []Progress) {
	for _, k := range known {
		s.update(k.Source, func(st *SourceStatus) {
			if st.Applied.Compare(k.Applied) < 0 {
				st.Applied = k.Applied
			}
			switch {
			case k.Gap || k.Repairing:
				st.lost(&k.Lost)
				st.Repairing = k.Repairing
			case !s.asm.flows[k.Source].gap:
				st.mended()
			}
		})
	}
	if s.damaged < 0 {
		s.w.partition(s.p, Applying, nil)
	}
}

// lost shows a gap.
func (s *SourceStatus) lost(g *Gap) {
	s.Gap, s.Repairing = cmp.Or(g.Code, "GAP"), false
	s.GapReason, s.GapLast, s.GapFound = g.Reason, g.Last, g.At
}

// mended shows that there is no gap any more.
func (s *SourceStatus) mended() {
	s.Gap, s.Repairing, s.GapReason, s.GapLast, s.GapFound = "", false, "", event.Position{}, time.Time{}
}

// timesOf keeps of a group what is told of it once it has arrived.
func timesOf(group []*txn) []Applied {
	times := make([]Applied, len(group))
	for i, t := range group {
		times[i] = Applied{Source: t.source, Committed: t.commit.Txn.Committed, Logged: t.logged, Precision: t.commit.Txn.Precision}
	}
	return times
}

// arrived notes what the store has.
func (s *session) arrived(b *Batch, times []Applied) {
	s.w.reach(b.Claim.Partition, b.Last+1)
	now, last := time.Now(), map[string]Applied{}
	for _, t := range times {
		t.At = now
		last[t.Source] = t
		s.w.o.OnApplied(t)
	}
	s.verified(b.Checks)
	for _, st := range b.Steps {
		s.update(st.Source.ID, func(c *SourceStatus) {
			c.Applied, c.Committed, c.At = st.To, st.Committed, now
			c.Logged, c.WholeSeconds = last[st.Source.ID].Logged, last[st.Source.ID].Precision == event.Seconds
			c.Txns += int64(st.Txns)
			c.Rows += int64(st.Rows)
			c.Skipped += int64(st.Skipped)
			c.Held += int64(st.Held)
			c.Quarantined += int64(st.Quarantined)
			c.Keys = st.Keys
			switch st.Repair {
			case event.RepairBegun:
				if st.LostBefore != nil {
					c.lost(st.LostBefore)
				}
				c.Repairing = true
			case event.RepairEnded:
				c.mended()
			}
		})
	}
}

// update changes what is known of a source of the session's partition.
func (s *session) update(source string, f func(*SourceStatus)) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	st := s.w.status[source]
	st.Source, st.Partition = source, s.p.String()
	f(&st)
	s.w.status[source] = st
}
