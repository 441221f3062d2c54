package pipeline

import (
	"context"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// mailbox is the one buffer between the reading and the writing half: the reader
// fills one set of records while the writer has another on its way and, under load, a
// third one ready. It is swapped whole, so no row costs a channel operation.
type mailbox struct {
	limit int

	mu     sync.Mutex
	space  sync.Cond // signalled when the writer took the buffer
	cur    *batch
	spare  []*batch
	closed bool // no more will be read
	failed bool // nothing will be written any more

	filled chan struct{} // capacity 1: something is in cur
	full   chan struct{} // capacity 1: cur is at its limit
}

// batch is what one append carries.
type batch struct {
	records log.Records
	since   time.Time // of the first record
	mark    mark      // of the last transaction or heartbeat that ends in it
	open    bool      // ends within a transaction
	ended   bool      // has a commit
	mended  bool      // the repair of a gap ends in it
	txns    int
	rows    int
	commits []time.Time // at the source, of the transactions that end in it
	sent    tally       // its rows by table
}

// mark is a place up to which everything is in the log once the batch is.
type mark struct {
	set     bool
	last    event.Position
	restart event.Place
	state   []byte // the newest one in the batch; nil for none
	// described is the index of the record within its batch that state belongs to: what
	// comes behind it isn't in the state.
	described int
	committed time.Time
	precision event.Precision // of committed
}

func newMailbox(limit int) *mailbox {
	m := &mailbox{limit: limit, cur: &batch{}, spare: []*batch{{}, {}}, filled: make(chan struct{}, 1), full: make(chan struct{}, 1)}
	m.space.L = &m.mu
	return m
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put lets f add records to the current buffer, waiting first while that is
// full. It reports false once nothing will be written any more.
func (m *mailbox) put(f func(*batch) error) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.cur.records.Size() >= m.limit && !m.failed {
		signal(m.full)
		m.space.Wait()
	}
	if m.failed {
		return false, nil
	}
	if m.cur.records.Count() == 0 {
		m.cur.since = time.Now()
	}
	err := f(m.cur)
	if m.cur.records.Count() > 0 {
		signal(m.filled)
	}
	if m.cur.records.Size() >= m.limit {
		signal(m.full)
	}
	return true, err
}

// take waits for records, then until the buffer is full or linger has passed
// since its first one, and swaps it out. It returns nil after close, once all is taken.
func (m *mailbox) take(ctx context.Context, linger time.Duration) (*batch, error) {
	for {
		select {
		case <-m.filled:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		m.mu.Lock()
		wait := linger - time.Since(m.cur.since)
		ready := m.closed || m.cur.records.Size() >= m.limit || wait <= 0
		m.mu.Unlock()
		if !ready {
			t := time.NewTimer(wait)
			select {
			case <-m.full:
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return nil, ctx.Err()
			}
			t.Stop()
		}
		m.mu.Lock()
		b := m.cur
		if b.records.Count() == 0 {
			closed := m.closed
			m.mu.Unlock()
			if closed {
				return nil, nil
			}
			continue
		}
		m.swap()
		m.mu.Unlock()
		return b, nil
	}
}

// swap puts an empty buffer in the place of what was taken, to be filled meanwhile.
func (m *mailbox) swap() {
	last := len(m.spare) - 1
	m.cur, m.spare = m.spare[last], m.spare[:last]
	m.space.Broadcast()
	select { // what was full is gone
	case <-m.full:
	default:
	}
}

// ahead waits until the buffer is full, and swaps it out. It returns nil if done is
// closed first. What take handed out hasn't been given back meanwhile.
func (m *mailbox) ahead(done <-chan struct{}) *batch {
	select {
	case <-m.full:
	case <-done:
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.cur
	if b.records.Size() < m.limit { // it is closed
		return nil
	}
	m.swap()
	return b
}

// give returns a buffer that take handed out.
func (m *mailbox) give(b *batch) {
	b.records.Reset()
	b.sent.reset()
	*b = batch{records: b.records, commits: b.commits[:0], sent: b.sent}
	m.mu.Lock()
	m.spare = append(m.spare, b)
	m.space.Broadcast()
	if m.closed || m.cur.records.Count() > 0 {
		signal(m.filled)
	}
	m.mu.Unlock()
}

// close says that nothing more will be put.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	signal(m.filled)
	signal(m.full)
	m.mu.Unlock()
}

// fail says that nothing more will be taken.
func (m *mailbox) fail() {
	m.mu.Lock()
	m.failed = true
	m.space.Broadcast()
	m.mu.Unlock()
}
