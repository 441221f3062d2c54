package desk

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/stream/status"
)

// watched is how all is now; nothing where nobody watches.
func (c *call) watched() *watch.Snapshot { return c.d.o.Watch() }

// treeView is the tree with what is asked of it.
type treeView struct {
	*watch.Tree
	Query url.Values
	// Stores are those into which one of the page's sources comes, shown their places among all.
	Stores []string
	shown  []int
	all    []string
	At     time.Time
}

// Link is the page with one filter changed. Whatever is filtered otherwise begins at the
// first page.
func (v *treeView) Link(key, value string) string {
	q := url.Values{}
	for _, k := range []string{"org", "q", "state", "tone"} {
		if x := v.Query.Get(k); x != "" {
			q.Set(k, x)
		}
	}
	if q.Set(key, value); value == "" {
		q.Del(key)
	}
	if key == "org" {
		q.Del("state")
	}
	return "/tree?" + q.Encode()
}

// Pager gives the page's link by number, from 0.
func (v *treeView) Pager(page int) string {
	return v.Link("page", strconv.Itoa(page))
}

// Unfiltered says that all of the reader's part of the tree is looked at.
func (v *treeView) Unfiltered() bool {
	return v.Query.Get("q") == "" && v.Query.Get("state") == "" && v.Query.Get("tone") == ""
}

// Next and Before are the numbers of neighbours.
func (v *treeView) Next() int   { return v.Page + 1 }
func (v *treeView) Before() int { return v.Page - 1 }

// Total counts all sources.
func (v *treeView) Total() (n int) {
	for _, k := range v.Tones {
		n += k
	}
	return n
}

func (c *call) tree() (*treeView, error) {
	q, s := c.r.URL.Query(), c.watched()
	page, err := strconv.Atoi(q.Get("page"))
	if err != nil && q.Get("page") != "" {
		return nil, refusal.New(refusal.Invalid, "INPUT_INVALID", "page %.20q", q.Get("page"))
	}
	t := s.Tree(watch.Query{Scopes: c.scopes, Org: q.Get("org"), Text: q.Get("q"), Tone: q.Get("tone"), State: q.Get("state"), Page: page})
	if t == nil {
		return nil, refusal.New(refusal.Unknown, "ORG_UNKNOWN", "%.80q", q.Get("org"))
	}
	v := &treeView{Tree: t, Query: q, all: s.Stores, At: s.At}
	for i, name := range s.Stores {
		if slices.ContainsFunc(t.Sources, func(x *watch.Source) bool { return !x.Flows[i].Apart }) {
			v.Stores, v.shown = append(v.Stores, name), append(v.shown, i)
		}
	}
	return v, nil
}

func loadTree(c *call) (any, error) { return c.tree() }

// sourceView is one source with its tables.
type sourceView struct {
	*watch.Source
	Stores []string
	Tables []tableRow
	At     time.Time
	// Charts and Timeline are of the page.
	Charts   []spanView
	Timeline *timelineView
	// Registration is what the source was granted; nil if it isn't registered.
	Registration *state.Assignment
	// Agents are those to which it may be handed over.
	Agents []state.Agent
}

// tableRow is a table of a source.
type tableRow struct {
	Table, Dataset string
	Stopped        *status.Table
	Load           *status.Load
	Shares         []*watch.Laggard // by store; nil where the store has nothing of it
	waits          bool             // a store into which it comes isn't complete
}

func (c *call) source() (*sourceView, error) {
	s, id := c.watched(), c.r.PathValue("source")
	x := s.Source(c.scopes, id)
	if x == nil {
		return nil, refusal.New(refusal.Unknown, "SOURCE_NOT_SEEN", "%.80q", id)
	}
	v := &sourceView{Source: x, Stores: s.Stores, At: s.At}
	var err error
	if v.Registration, err = c.d.o.State.Registration(c.ctx(), c.scopes, id); err != nil {
		return nil, err
	}
	if v.Registration != nil {
		agents, err := c.d.o.State.Agents(c.ctx(), c.scopes)
		if err != nil {
			return nil, err
		}
		for _, a := range agents {
			if a.Org == v.Registration.Org && a.Revoked == nil && a.ID != v.Registration.Agent {
				v.Agents = append(v.Agents, a)
			}
		}
	}
	at := map[string]int{}
	row := func(table, dataset string) *tableRow {
		i, ok := at[table]
		if !ok {
			i = len(v.Tables)
			at[table] = i
			v.Tables = append(v.Tables, tableRow{Table: table, Dataset: dataset})
		}
		return &v.Tables[i]
	}
	for _, f := range x.Feeds {
		r := row(f.Table, f.Dataset)
		for i := range s.Stores {
			share := s.Share(i, f.Dataset, x.ID)
			r.Shares = append(r.Shares, share)
			r.waits = r.waits || !x.Flows[i].Apart && (share == nil || share.Why != "")
		}
	}
	if x.Log != nil {
		for i := range x.Log.Stopped {
			row(x.Log.Stopped[i].Table, "").Stopped = &x.Log.Stopped[i]
		}
		for i := range x.Log.Loads {
			row(x.Log.Loads[i].Table, "").Load = &x.Log.Loads[i]
		}
	}
	slices.SortStableFunc(v.Tables, func(a, b tableRow) int { return b.rank() - a.rank() })
	return v, nil
}

// wrong is something about a source that a person may have to look after.
type wrong struct {
	Tone                            watch.Tone
	Where, State, Code, Hint, Error string
}

// LogState is the state of the source on its way into the log.
func (v *sourceView) LogState() string {
	if v.Log.Stale(v.At) {
		return watch.Silent
	}
	return v.Log.State
}

// Problems are what the agent and the workers say, the source's own first.
func (v *sourceView) Problems() (all []wrong) {
	add := func(where string, r *status.Record, tone watch.Tone, state string) {
		if r == nil {
			return
		}
		if tone > watch.Good && (r.Code != "" || r.Error != "" || state == watch.Silent || r.NeedsPerson) {
			all = append(all, wrong{tone, where, state, r.Code, r.Hint, r.Error})
		}
		for _, w := range r.Warnings {
			all = append(all, wrong{watch.Wait, where, "warning", w.Code, w.Hint, w.Text})
		}
	}
	if v.Log != nil {
		add(v.ID, v.Log, v.LogTone, v.LogState())
	}
	for i, f := range v.Flows {
		add(v.ID+" → "+v.Stores[i], f.Record, f.Tone, f.State)
	}
	return all
}

// rank puts what is worse first.
func (r *tableRow) rank() int {
	switch {
	case r.Stopped != nil:
		return 3
	case r.Load != nil:
		return 2
	case r.waits:
		return 1
	}
	return 0
}

func loadSource(c *call) (any, error) {
	v, err := c.source()
	if err == nil {
		v.Charts, err = c.charts(c.pastOfSource(v.Source))
	}
	if err == nil {
		v.Timeline, err = c.timeline(v.Source, "", pieceOfTimeline)
	}
	return v, err
}

// completeView is up to when datasets are complete.
type completeView struct {
	Claims   []watch.Claim
	Org      *watch.Org
	Orgs     []*watch.Org // to choose from: the tops, and those below Org
	Dataset  string
	Datasets []string
	At       time.Time
}

func (c *call) complete() (*completeView, error) {
	q, s := c.r.URL.Query(), c.watched()
	v := &completeView{Dataset: q.Get("dataset"), At: s.At, Claims: []watch.Claim{}}
	tops := s.Tops(c.scopes)
	code := q.Get("org")
	if code == "" && len(tops) > 0 {
		code = tops[0].Code
	}
	if v.Org = s.Org(c.scopes, code); v.Org == nil {
		if code != "" {
			return nil, refusal.New(refusal.Unknown, "ORG_UNKNOWN", "%.80q", code)
		}
		return v, nil
	}
	v.Orgs = append(tops, s.Tree(watch.Query{Scopes: c.scopes, Org: code}).Below...)
	all := s.Complete(code)
	for _, claim := range all {
		if !slices.Contains(v.Datasets, claim.Dataset) {
			v.Datasets = append(v.Datasets, claim.Dataset)
		}
		if v.Dataset == "" || claim.Dataset == v.Dataset {
			v.Claims = append(v.Claims, claim)
		}
	}
	return v, nil
}

func loadComplete(c *call) (any, error) { return c.complete() }

func apiComplete(c *call) (any, error) {
	v, err := c.complete()
	if err != nil {
		return nil, err
	}
	return v.Claims, nil
}
