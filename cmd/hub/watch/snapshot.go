package watch

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/status"
)

// Tone is how bad something is; a worse one is larger.
type Tone int

// The tones.
const (
	Good Tone = iota
	Quiet
	Wait
	Bad
)

// String names it as style sheets do.
func (t Tone) String() string { return []string{"good", "quiet", "wait", "bad"}[t] }

// Snapshot is how all is at one moment. It belongs to nobody and never changes.
type Snapshot struct {
	At time.Time
	// Ready says that all states have been read to their end once, or can't be read.
	Ready  bool
	Stores []string
	// StoreErrors says per store why it can't be read; empty if it can.
	StoreErrors []string
	// Unread are the topics of states that can't be read, with their orgs.
	Unread []status.Reading
	// Forged are the topics in which a record of the last hour speaks for another org.
	Forged []status.Reading
	// Workers are what workers say of themselves.
	Workers []*status.Record
	// Sources are all of them, the worst first.
	Sources []*Source

	orgs    map[string]*Org // by code
	parts   [][]string      // by store, the paths of its orgs; nil for all
	sources map[string]*Source
	known   *known
	claims  sync.Map // of Complete, by org
}

// Org is an org with what stands below it, itself included.
type Org struct {
	catalog.Org
	Sources int
	// Tones count sources by tone.
	Tones [4]int
	// Lag is the longest in seconds, Rate the rows per second into the log, Behind the rows
	// that stores lack as far as that is known.
	Lag, Rate float64
	Behind    int64
	children  []*Org
}

// Worst is the worst tone of a source.
func (o *Org) Worst() Tone {
	for t := Bad; t > Good; t-- {
		if o.Tones[t] > 0 {
			return t
		}
	}
	if o.Sources == 0 {
		return Quiet
	}
	return Good
}

// Source is a source on its way into the log and into each store.
type Source struct {
	ID      string
	Org     *catalog.Org // one without path if the tree doesn't have it
	Engine  string
	Agent   string // as it is registered; empty if it isn't
	Feeds   []catalog.Registered
	Retired bool // it is to say nothing any more
	// Approved is when it was last approved, or given to its agent; zero if it isn't registered.
	Approved time.Time
	// Overdue says that nobody has ever reported, and somebody should have by now.
	Overdue bool
	Tone    Tone
	State   string         // of the worst part
	Log     *status.Record // nil if its agent has never reported
	LogTone Tone
	Rate    float64 // rows per second into the log
	Flows   []Flow  // by store
	// Lag is the longest of the stores in seconds, -1 if nothing is known; Promised the lag
	// beyond which the source is late.
	Lag, Promised float64
	// Left is after how many seconds something of the source's log will be lost unread, -1 if no
	// bound is known. It runs on after its agent has stopped or fallen silent.
	Left float64
	// Unread is since when, as far as is known, its agent has tried in vain to read it; zero
	// unless it does.
	Unread time.Time
}

// Behind gives the rows that the store furthest behind lacks; -1 if that isn't known of any.
func (x *Source) Behind() int64 {
	most := int64(-1)
	for i := range x.Flows {
		most = max(most, x.Flows[i].Behind)
	}
	return most
}

// CatchUp is when the last store will have caught up, in seconds; -1 if never or unknown.
func (x *Source) CatchUp() float64 {
	most := -1.0
	for i := range x.Flows {
		if f := &x.Flows[i]; f.Behind > 0 && f.CatchUp < 0 {
			return -1
		}
		most = max(most, x.Flows[i].CatchUp)
	}
	return most
}

// Flow is a source's way into one store.
type Flow struct {
	Record *status.Record // nil if no worker has reported
	// Apart says that the source doesn't come into this store, so that nothing is expected.
	Apart bool
	Tone  Tone
	State string
	Rate  float64 // rows per second into the store
	// Behind are the rows that the log has and the store hasn't, BehindBytes about how many
	// bytes of the log they are before compression; -1 while it isn't known.
	Behind, BehindBytes int64
	// CatchUp is when that will be done at the present rates, in seconds; -1 if never or unknown.
	CatchUp float64
	// Lag is from the commit at the source to that in the store, in seconds; -1 if unknown.
	Lag float64
	// Keys are in quarantine, Held are rows of halted tables that wait, Anomalies are rows of the
	// last day that came otherwise than they should.
	Keys, Held, Anomalies int64
}

// forgedFor is how long a record that speaks for another org is told after it was read.
const forgedFor = time.Hour

// memory is what is kept from one look to the next.
type memory struct {
	orgs        []catalog.Org
	feeds       []catalog.Registered
	registerErr error
	asked       bool
	known       *known
	stores      []kept
	rates       map[string][]rate // by source: into the log, then into each store
}

type kept struct {
	complete []postgres.Complete
	troubles []postgres.Trouble
	err      error
	unshown  bool     // the store is there, and doesn't show these
	strange  []string // its orgs that the tree doesn't have
}

func newMemory(stores int) *memory {
	return &memory{stores: make([]kept, stores), rates: map[string][]rate{}, known: &known{}}
}

// rate follows a counter over records of one program's run.
type rate struct {
	rows    int64
	written time.Time
	value   float64
	moved   time.Time // when the position was last seen to move
	at      event.Position
	// before is where the record before the newest stood, of the same run, with its rows.
	before event.Position
	had    int64
	// least and most bound the rows of the log less those of the store at the same position.
	least, most int64
	based       bool
	rows0       int64 // rows and bytes of the log when that was found
	bytes0      int64
	unread      time.Time // of a source: when it was first seen that it can't be read
}

// take notes a record. restarted says that the counter has begun anew.
func (r *rate) take(rec *status.Record, now time.Time) (restarted bool) {
	if restarted = rec.Rows < r.rows; restarted {
		r.rows, r.written, r.value, r.before = 0, time.Time{}, 0, event.Position{}
	}
	if d := rec.Written.Sub(r.written); d > 0 {
		if !r.written.IsZero() {
			r.value, r.before, r.had = float64(rec.Rows-r.rows)/d.Seconds(), r.at, r.rows
		}
		r.rows, r.written = rec.Rows, rec.Written
	}
	if rec.Position != r.at || r.moved.IsZero() {
		r.at, r.moved = rec.Position, now
	}
	return restarted
}

// bound notes between which numbers the rows of the log are beyond those of the store at the
// same position, which stays the same while both run. Bounds that don't fit those before
// replace them.
func (r *rate) bound(least, most int64, log *status.Record) {
	if !r.based || least > r.most || most < r.least {
		r.least, r.most, r.based, r.rows0, r.bytes0 = least, most, true, log.Rows, log.Bytes
		return
	}
	r.least, r.most = max(r.least, least), min(r.most, most)
}

// ratesOf gives those of a source.
func (m *memory) ratesOf(source string) []rate {
	all := m.rates[source]
	if all == nil {
		all = make([]rate, 1+len(m.stores))
		m.rates[source] = all
	}
	return all
}

// snapshot puts all together.
func (w *Watch) snapshot() *Snapshot {
	m, now := w.made, w.o.Now()
	s := &Snapshot{At: now, orgs: make(map[string]*Org, len(m.orgs)), sources: make(map[string]*Source, len(m.known.sources)), known: m.known}
	for i := range m.orgs {
		s.orgs[m.orgs[i].Code] = &Org{Org: m.orgs[i]}
	}
	for _, o := range m.orgs {
		if up := s.orgs[o.Parent]; up != nil {
			up.children = append(up.children, s.orgs[o.Code])
		}
	}
	at := map[string]int{}
	for i, st := range w.o.Stores {
		at[st.Name] = i
		s.Stores, s.parts = append(s.Stores, st.Name), append(s.parts, s.pathsOf(st.Orgs))
		text := ""
		if err := m.stores[i].err; err != nil {
			text = err.Error()
		}
		s.StoreErrors = append(s.StoreErrors, text)
	}
	s.Ready = m.registerErr == nil && m.asked
	busy := map[string]bool{} // orgs with registered sources
	for _, feeds := range m.known.sources {
		busy[feeds[0].Org] = true
	}
	for _, r := range w.o.Board.Readings() {
		s.Ready = s.Ready && (r.CaughtUp || r.Error != "")
		if r.Error != "" && (!r.Missing || busy[r.Org]) { // approvals make topics: before the first one there are none
			s.Unread = append(s.Unread, r)
		}
		if now.Sub(r.Forged) < forgedFor {
			s.Forged = append(s.Forged, r)
		}
	}
	for id, feeds := range m.known.sources {
		x := s.source(id, feeds[0].Org)
		x.Engine, x.Agent, x.Feeds, x.Retired, x.Approved = feeds[0].Engine, feeds[0].Agent, feeds, feeds[0].Retired, feeds[0].Approved
	}
	for _, r := range w.o.Board.Newest() {
		switch r.Kind {
		case status.OfWorker:
			s.Workers = append(s.Workers, r)
		case status.OfSource:
			s.source(r.Source, r.Org).Log = r
		case status.OfStore:
			if k, ok := at[r.Store]; ok {
				s.source(r.Source, r.Org).Flows[k].Record = r
			}
		}
	}
	w.finish(s)
	return s
}

// finish judges the sources, and sorts and counts them.
func (w *Watch) finish(s *Snapshot) {
	m := w.made
	for i := range w.o.Stores {
		for _, t := range m.stores[i].troubles {
			if x := s.sources[t.Source]; x != nil {
				x.Flows[i].Keys, x.Flows[i].Held, x.Flows[i].Anomalies = t.Keys, t.Held, t.Anomalies
			}
		}
	}
	s.Sources = make([]*Source, 0, len(s.sources))
	for _, x := range s.sources {
		for i := range x.Flows {
			x.Flows[i].Apart = x.Flows[i].Record == nil && !s.comes(i, x.Org.Path)
		}
		w.judge(x, s.At)
		s.Sources = append(s.Sources, x)
	}
	for id := range m.rates {
		if s.sources[id] == nil {
			delete(m.rates, id)
		}
	}
	slices.SortFunc(s.Sources, func(a, b *Source) int {
		return cmp.Or(cmp.Compare(b.Tone, a.Tone), cmp.Compare(b.Lag, a.Lag), strings.Compare(a.ID, b.ID))
	})
	slices.SortFunc(s.Workers, func(a, b *status.Record) int {
		return cmp.Or(strings.Compare(a.Store, b.Store), strings.Compare(a.Org, b.Org), strings.Compare(a.Program, b.Program))
	})
	s.add()
}

// pathsOf gives the paths of orgs; nil for none. What the tree doesn't have has nothing below it.
func (s *Snapshot) pathsOf(codes []string) (paths []string) {
	for _, code := range codes {
		path := ""
		if o := s.orgs[code]; o != nil {
			path = o.Path
		}
		paths = append(paths, path)
	}
	return paths
}

// comes reports whether sources of an org come into a store.
func (s *Snapshot) comes(store int, path string) bool {
	return s.parts[store] == nil || slices.ContainsFunc(s.parts[store], func(part string) bool { return part != "" && catalog.Within(path, part) })
}

// source gives a source, made if need be.
func (s *Snapshot) source(id, org string) *Source {
	if x := s.sources[id]; x != nil {
		return x
	}
	x := &Source{ID: id, Flows: make([]Flow, len(s.Stores)), Lag: -1}
	if o := s.orgs[org]; o != nil {
		x.Org = &o.Org
	} else {
		x.Org = &catalog.Org{Code: org, Name: org}
	}
	s.sources[id] = x
	return x
}

// add counts each source at all orgs above it, and sorts what stands below an org.
func (s *Snapshot) add() {
	for _, x := range s.Sources {
		for o := s.orgs[x.Org.Code]; o != nil; o = s.orgs[o.Parent] {
			o.Sources++
			o.Tones[x.Tone]++
			o.Lag, o.Rate = max(o.Lag, x.Lag), o.Rate+x.Rate
			for _, f := range x.Flows {
				o.Behind += max(0, f.Behind)
			}
		}
	}
	for _, o := range s.orgs {
		slices.SortFunc(o.children, func(a, b *Org) int {
			return cmp.Or(cmp.Compare(b.Tones[Bad], a.Tones[Bad]), cmp.Compare(b.Tones[Wait], a.Tones[Wait]), cmp.Compare(b.Lag, a.Lag), strings.Compare(a.Code, b.Code))
		})
	}
}
