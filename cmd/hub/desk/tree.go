package desk

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/stream/status"
)

// watched is how all is now; nothing where nobody watches.
func (c *call) watched() *watch.Snapshot { return c.d.o.Watch() }

// treeView is the tree with what is asked of it.
type treeView struct {
	*watch.Tree
	Query  url.Values
	Stores []string
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
	return &treeView{t, q, s.Stores, s.At}, nil
}

func loadTree(c *call) (any, error) { return c.tree() }

// orgJSON, sourceJSON and flowJSON are what the API says of the tree.
type orgJSON struct {
	Code    string         `json:"code"`
	Name    string         `json:"name"`
	Kind    string         `json:"kind"`
	Sources int            `json:"sources"`
	Tones   map[string]int `json:"tones"`
	Lag     float64        `json:"lag_seconds"`
	Rate    float64        `json:"rows_per_second"`
	Behind  int64          `json:"rows_behind"`
}

type sourceJSON struct {
	Source string     `json:"source"`
	Org    string     `json:"org"`
	Engine string     `json:"engine,omitempty"`
	Agent  string     `json:"agent,omitempty"`
	State  string     `json:"state"`
	Tone   string     `json:"tone"`
	Rate   float64    `json:"rows_per_second"`
	Lag    *float64   `json:"lag_seconds"`
	Flows  []flowJSON `json:"stores"`
}

type flowJSON struct {
	Store     string   `json:"store"`
	State     string   `json:"state"`
	Lag       *float64 `json:"lag_seconds"`
	Rate      float64  `json:"rows_per_second"`
	Behind    *int64   `json:"rows_behind"`
	CatchUp   *float64 `json:"catch_up_seconds"`
	Keys      int64    `json:"quarantined_keys"`
	Anomalies int64    `json:"anomalies_24h"`
}

func known64(v float64) *float64 {
	if v < 0 {
		return nil
	}
	return &v
}

func orgOf(o *watch.Org) *orgJSON {
	if o == nil {
		return nil
	}
	tones := map[string]int{}
	for t, n := range o.Tones {
		tones[watch.Tone(t).String()] = n
	}
	return &orgJSON{o.Code, o.Name, string(o.Kind), o.Sources, tones, o.Lag, o.Rate, o.Behind}
}

func orgsOf(all []*watch.Org) []*orgJSON {
	out := []*orgJSON{}
	for _, o := range all {
		out = append(out, orgOf(o))
	}
	return out
}

func sourceOf(x *watch.Source, stores []string) sourceJSON {
	out := sourceJSON{Source: x.ID, Org: x.Org.Code, Engine: x.Engine, Agent: x.Agent, State: x.State, Tone: x.Tone.String(), Rate: x.Rate, Lag: known64(x.Lag), Flows: []flowJSON{}}
	for i, f := range x.Flows {
		j := flowJSON{Store: stores[i], State: f.State, Lag: known64(f.Lag), Rate: f.Rate, CatchUp: known64(f.CatchUp), Keys: f.Keys, Anomalies: f.Anomalies}
		if f.Behind >= 0 {
			j.Behind = &f.Behind
		}
		out.Flows = append(out.Flows, j)
	}
	return out
}

func apiTree(c *call) (any, error) {
	v, err := c.tree()
	if err != nil {
		return nil, err
	}
	sources, states := []sourceJSON{}, map[string]int{}
	for _, x := range v.Sources {
		sources = append(sources, sourceOf(x, v.Stores))
	}
	for _, n := range v.States {
		states[n.State] = n.N
	}
	return map[string]any{"at": v.At, "org": orgOf(v.Here), "up": orgsOf(v.Up), "below": orgsOf(v.Below), "more_below": v.More,
		"sources": sources, "found": v.Found, "page": v.Page, "pages": v.Pages, "states": states}, nil
}

// sourceView is one source with its tables.
type sourceView struct {
	*watch.Source
	Stores []string
	Tables []tableRow
	At     time.Time
}

// tableRow is a table of a source.
type tableRow struct {
	Table, Dataset string
	Stopped        *status.Table
	Load           *status.Load
	Shares         []*watch.Laggard // by store; nil where the store has nothing of it
}

func (c *call) source() (*sourceView, error) {
	s, id := c.watched(), c.r.PathValue("source")
	x := s.Source(c.scopes, id)
	if x == nil {
		return nil, refusal.New(refusal.Unknown, "SOURCE_NOT_SEEN", "%.80q", id)
	}
	v := &sourceView{Source: x, Stores: s.Stores, At: s.At}
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
			r.Shares = append(r.Shares, s.Share(i, f.Dataset, x.ID))
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
	}
	for _, s := range r.Shares {
		if s == nil || s.Why != "" {
			return 1
		}
	}
	return 0
}

func loadSource(c *call) (any, error) { return c.source() }

func apiSource(c *call) (any, error) {
	v, err := c.source()
	if err != nil {
		return nil, err
	}
	tables := []map[string]any{}
	for _, r := range v.Tables {
		t := map[string]any{"table": r.Table, "dataset": r.Dataset}
		if r.Stopped != nil {
			t["stopped"] = r.Stopped
		}
		if r.Load != nil {
			t["load"] = r.Load
		}
		for i, s := range r.Shares {
			if s != nil {
				t["complete_until "+v.Stores[i]] = s
			}
		}
		tables = append(tables, t)
	}
	return map[string]any{"source": sourceOf(v.Source, v.Stores), "log": v.Log, "tables": tables}, nil
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

// State gives a state in words.
func (v *view) State(s string) string { return codes.State(s, v.lang) }

// Phase gives the phase of a load in words.
func (v *view) Phase(s string) string { return codes.Phase(s, v.lang) }

// Todo says what to do about a code.
func (v *view) Todo(code string) string {
	_, do := codes.Explain(code, v.lang)
	return do
}

// Span gives a length of time in seconds for people; a dash for what isn't known.
func (v *view) Span(s float64) string {
	switch d := time.Duration(s * float64(time.Second)); {
	case s < 0 || math.IsNaN(s) || s > 1e9:
		return "—"
	case s == 0:
		return "0 " + v.T("unit.s")
	case s < 1:
		return fmt.Sprintf("%.2f ", max(s, 0.01)) + v.T("unit.s")
	case s < 10:
		return fmt.Sprintf("%.1f ", s) + v.T("unit.s")
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f ", s) + v.T("unit.s")
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f ", d.Minutes()) + v.T("unit.min")
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f ", d.Hours()) + v.T("unit.h")
	default:
		return fmt.Sprintf("%.0f ", d.Hours()/24) + v.T("unit.d")
	}
}

// Rate gives a number per second.
func (v *view) Rate(r float64) string {
	if r > 0 && r < 10 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", r), ".0")
	}
	return grouped(int64(r + 0.5))
}

// segment is a part of a bar that is 100 wide.
type segment struct {
	Tone     string
	X, Width float64
}

// bar draws how many sources are how.
func bar(tones [4]int) (out []segment) {
	all := 0
	for _, n := range tones {
		all += n
	}
	x := 0.0
	for t := watch.Bad; t >= watch.Good; t-- {
		if n := tones[t]; n > 0 {
			w := 100 * float64(n) / float64(all)
			out = append(out, segment{t.String(), x, w})
			x += w
		}
	}
	return out
}

// share bounds a part of a whole, 0 to 100.
func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return min(100, 100*float64(part)/float64(whole))
}
