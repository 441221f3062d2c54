// Package guard watches what a source's server keeps of its log: how long what has not
// been read yet will be there, and what the server keeps only for us. It decides when to
// warn, and when to give up what would endanger the server's disk (the fuse). It knows
// no log of ours: it works while that is down, which is when it is needed.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Server asks one source's server. Its methods are called from one goroutine, and each
// is bounded by its context.
type Server interface {
	// Room asks what is kept. at is the place up to which the log has the source, zero if
	// that isn't known; a server that knows it by itself says so in Room.At.
	Room(ctx context.Context, at event.Place) (Room, error)
}

// Keeper is a server that keeps something only for us.
type Keeper interface {
	// GiveUp lets the server forget what it keeps for the source, whoever reads there,
	// and returns nil once nothing is kept any more.
	GiveUp(ctx context.Context) error
}

// Room is what a server says of its log.
type Room struct {
	// Kept says that the server keeps something for us: our slot is there.
	Kept bool
	// Identity tells this server from others.
	Identity string
	// Server is what the source's reader calls the server that was asked, while it reads there.
	Server string
	// Unwritten is how long a commit that a client has seen may stand behind End.
	Unwritten time.Duration
	// At is up to where the source has been read, End is where its log ends.
	At, End event.Place
	// Written counts the bytes of the log; only its growth means something.
	Written int64
	// Behind are the bytes from At to End; Held those that the server keeps only for us;
	// Spare those before At that are there still, -1 where that can't be told.
	Behind, Held, Spare int64
	// Status is the server's own word (wal_status), empty if it has none.
	Status string
	// Urgent says that by that word the server may remove what has not been read at any moment.
	Urgent bool
	// Sizes are the bounds by size, in bytes, and Ages those by age.
	Sizes []SizeBound
	Ages  []AgeBound
}

// SizeBound is a limit of the log's size, beyond which the server removes what we have
// not read.
type SizeBound struct {
	Name, Repair string // of the setting; the statement that widens it
	Limit, Left  int64  // bytes
}

// AgeBound is a limit of the log's age.
type AgeBound struct {
	Name, Repair string
	Limit        time.Duration
}

// Fuse is what a source's administrator allows us to hold back. The zero value never blows.
type Fuse struct {
	// Size bounds the bytes that the server keeps for us; 0 for no bound.
	Size int64
	// Age bounds how long what we have not read has waited; 0 for no bound.
	Age time.Duration
}

// Options tunes a Guard. Source, Server and File are required.
type Options struct {
	Source string
	Server Server
	// File is where the guard remembers over restarts since when the source waits, and
	// that it has given up. Losing it begins the time anew, and leaves a gap that the
	// fuse has made with the reason that the server's own look has.
	File string
	Fuse Fuse
	// WarnLeft is the time to a loss below which a warning is given, WarnHeld the bytes
	// that the server keeps for us above which one is. Default 24h; 10 GiB, or half of the
	// fuse's.
	WarnLeft time.Duration
	WarnHeld int64
	// At gives the place up to which the log has the source, and the commit time there;
	// zero values while nothing is known.
	At func() (event.Place, time.Time)
	// Every is the time between two looks. Each takes one connection for a moment.
	// Default 15s.
	Every time.Duration
	// Window is the time over which the log's growth is averaged. Default 1h.
	Window time.Duration
	// Timeout bounds a look. Default 30s.
	Timeout time.Duration
	// OnChange is called when warnings come or go, and when the fuse has blown. It must
	// not block.
	OnChange func()
	Now      func() time.Time
	Logger   *slog.Logger
}

func (o *Options) fill() error {
	if o.Source == "" || o.Server == nil || o.File == "" {
		return errors.New("guard options: Source, Server and File must be set")
	}
	if o.Fuse.Size < 0 || o.Fuse.Age < 0 || o.WarnLeft < 0 || o.WarnHeld < 0 {
		return fmt.Errorf("guard options: fuse of %d bytes and %s, warnings at %d bytes and %s: none may be below 0", o.Fuse.Size, o.Fuse.Age, o.WarnHeld, o.WarnLeft)
	}
	for _, d := range []struct {
		v     *time.Duration
		usual time.Duration
	}{{&o.WarnLeft, 24 * time.Hour}, {&o.Every, 15 * time.Second}, {&o.Window, time.Hour}, {&o.Timeout, 30 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.usual
		}
	}
	if _, keeps := o.Server.(Keeper); !keeps && o.Fuse != (Fuse{}) {
		return errors.New("guard options: a fuse needs a server that keeps something for us")
	}
	if o.WarnHeld == 0 {
		if o.WarnHeld = 10 << 30; o.Fuse.Size > 0 {
			o.WarnHeld = o.Fuse.Size / 2
		}
	}
	if o.At == nil {
		o.At = func() (event.Place, time.Time) { return event.Place{}, time.Time{} }
	}
	if o.OnChange == nil {
		o.OnChange = func() {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Logger = o.Logger.With("source", o.Source)
	return nil
}

// End is a place of a server's log with a moment: whatever was committed before the moment
// stands before the place. The moment is by this machine's clock.
type End struct {
	Server string // Room.Server
	Place  event.Place
	Before time.Time // zero while nothing is known
}

// Guard watches one source.
type Guard struct {
	o       Options
	looking sync.Mutex

	mu   sync.Mutex
	said Status
	end  End
	gap  *capture.GapError // that the fuse has made, or was about to make when the process died
	sure bool              // a look has shown that nothing is kept any more

	// looking guards these.
	memory  memory
	samples []sample // of the log's growth
	blind   bool     // the last look has failed
}

// New checks the options and reads the file. It connects to nothing.
func New(o Options) (*Guard, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	g := &Guard{o: o}
	var err error
	if g.memory, err = recall(o.File); err != nil {
		return nil, err
	}
	if b := g.memory.Blown; b != nil {
		g.gap = b.gap()
	}
	return g, nil
}

// Run looks at once and then now and again, until ctx ends. Whatever fails is tried again.
func (g *Guard) Run(ctx context.Context) {
	t := time.NewTicker(g.o.Every)
	defer t.Stop()
	for {
		g.Look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Look asks the server once, and does what is to be done.
func (g *Guard) Look(ctx context.Context) {
	g.looking.Lock()
	defer g.looking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, g.o.Timeout)
	defer cancel()
	err := g.look(ctx)
	if err != nil && ctx.Err() == nil && !g.blind {
		g.o.Logger.Warn("what the server keeps of its log can't be seen, trying again", "err", err)
	}
	g.blind = err != nil
}

func (g *Guard) look(ctx context.Context) error {
	at, committed := g.o.At()
	if at.IsZero() {
		at = g.memory.At
	}
	asked := g.o.Now()
	r, err := g.o.Server.Room(ctx, at)
	if err != nil {
		return err
	}
	now := g.o.Now()
	g.set(func() {
		// A log that ends before what was read from it was begun anew: its places say nothing.
		if g.end = (End{}); !r.End.IsZero() && r.End.Compare(at) >= 0 {
			g.end = End{Server: r.Server, Place: r.End, Before: asked.Add(-r.Unwritten)}
		}
	})
	switch {
	case g.memory.Blown == nil:
	case r.Kept: // it was never given up, or somebody made it anew
		g.memory.Blown = nil
		g.set(func() { g.gap, g.sure = nil, false })
	default:
		g.done()
	}
	if err := g.remember(r, committed, now); err != nil {
		return err
	}
	s := g.judge(r, now)
	if why := g.blows(r, s); why != "" && g.memory.Blown == nil {
		return g.blow(ctx, r, why, now)
	}
	g.tell(s)
	return nil
}

// remember notes since when the source waits, durably if it must outlast this process.
func (g *Guard) remember(r Room, committed, now time.Time) error {
	m := g.memory
	switch {
	case m.Identity != r.Identity, r.At.Compare(m.At) != 0, r.Behind == 0, m.Since.IsZero():
		m.Since = now
	}
	if r.Behind == 0 {
		m.Met = now
	} else if m.Identity != r.Identity {
		m.Met = committed
	}
	if committed.After(m.Met) {
		m.Met = committed
	}
	m.Identity, m.At = r.Identity, r.At
	changed := m.Identity != g.memory.Identity || m.At != g.memory.At || m.Blown != g.memory.Blown || now.Sub(g.memory.Saved) > time.Minute
	if !changed && !g.memory.Saved.IsZero() {
		g.memory = m
		return nil
	}
	m.Saved = now
	g.memory = m
	return g.memory.save(g.o.File)
}

// blow gives up. That it will is durable before it is done: an agent that dies between
// finds in the file why the slot is gone.
func (g *Guard) blow(ctx context.Context, r Room, why string, now time.Time) error {
	g.memory.Blown = &blown{At: now, Why: why, To: r.End}
	if err := g.memory.save(g.o.File); err != nil {
		g.memory.Blown = nil
		return fmt.Errorf("the fuse must blow, %s: %w", why, err)
	}
	if err := g.o.Server.(Keeper).GiveUp(ctx); err != nil {
		return fmt.Errorf("the fuse must blow, %s: %w", why, err)
	}
	g.done()
	r.Kept, r.Held = false, 0
	g.tell(g.judge(r, now))
	return nil
}

// done says once that what was decided has been done.
func (g *Guard) done() {
	gap, told := g.memory.Blown.gap(), false
	g.set(func() { told, g.gap, g.sure = g.sure, gap, true })
	if !told {
		g.o.Logger.Error("the fuse has blown: what the server kept for the source is given up", "code", gap.Code, "why", gap.Reason, "to", gap.To)
		g.o.OnChange()
	}
}

func (g *Guard) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// tell replaces what is said, and logs only what comes and goes.
func (g *Guard) tell(s Status) {
	var before []Warning
	g.set(func() { before, g.said = g.said.Warnings, s })
	old, changed := byCode(before), false
	for _, w := range s.Warnings {
		if _, there := old[w.Code]; !there {
			changed = true
			g.o.Logger.Warn("the source's log", "code", w.Code, "text", w.Text, "hint", w.Hint)
		}
		delete(old, w.Code)
	}
	for code := range old {
		changed = true
		g.o.Logger.Info("the source's log is well again", "code", code)
	}
	if changed {
		g.o.OnChange()
	}
}

func byCode(list []Warning) map[string]bool {
	out := map[string]bool{}
	for _, w := range list {
		out[w.Code] = true
	}
	return out
}

// End gives where the server's log ended when it was looked at last. It is safe to call at
// any time.
func (g *Guard) End() End {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.end
}

// Status gives what the last look has shown. It is safe to call at any time.
func (g *Guard) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.said
}

// Blown gives the gap that the fuse has made, with its bounds but From; nil while it
// holds. It is safe to call at any time.
func (g *Guard) Blown() *capture.GapError {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.sure {
		return nil
	}
	gap := *g.gap
	return &gap
}

// Explain gives a gap that a reader has found its reason, if the fuse has made it.
func (g *Guard) Explain(found *capture.GapError) *capture.GapError {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gap == nil || found.Code != gapSlotLost {
		return found
	}
	own := *g.gap
	own.From = found.From
	return &own
}

// The codes of gaps that are spoken of here.
const (
	gapFuse     = "FUSE_BLOWN"
	gapSlotLost = "SLOT_LOST" // as the reader finds it
)
