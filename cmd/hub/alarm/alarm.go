// Package alarm decides what a person is called for: one alarm per cause, with the sources
// that stand behind it, and what its message says. It knows no database and no page.
package alarm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/stream/status"
)

// Kind is what an alarm is about.
type Kind string

// The kinds.
const (
	Silence     Kind = "silence"     // something says nothing any more
	Lag         Kind = "lag"         // a source is later than it may be
	Gap         Kind = "gap"         // continuity isn't proved
	Halt        Kind = "halt"        // a source or tables of it have stopped
	Quarantine  Kind = "quarantine"  // a store refuses rows
	Retention   Kind = "retention"   // the source's log will be lost before it is read
	Fuse        Kind = "fuse"        // the slot was given up for the sake of the server's disk
	Disk        Kind = "disk"        // the server's disk fills for us
	Certificate Kind = "certificate" // an agent's certificate ends
	Forgery     Kind = "forgery"     // somebody has spoken for another org
)

// Kinds are all of them, the worst first.
var Kinds = []Kind{Forgery, Gap, Fuse, Silence, Halt, Retention, Lag, Disk, Quarantine, Certificate}

// What an object is, in the first word of Alarm.Object.
const (
	ofSource = "source"
	ofStore  = "store"
	ofLog    = "log"
	ofAgent  = "agent"
	ofWorker = "worker"
	ofServer = "server"
)

// Alarm is one cause.
type Alarm struct {
	Kind Kind
	// Object is what it is about, e.g. "source 330106-xueji", "store city"; with Kind its name.
	Object string
	// Org and Path say whose it is; empty for the whole tree.
	Org, Path string
	// Code is the program's own word for it, if there is one, Detail in its words.
	Code, Detail string
	// Sources stand behind it and are muted, at most 200; More counts the others.
	Sources []string
	More    int
}

// maxSources bounds the sources that an alarm names.
const maxSources = 200

// Rules are the bounds of alarms. The zero value is fit for production.
type Rules struct {
	// Retention is the time to a loss of the source's log below which there is an alarm.
	// Default 24h.
	Retention time.Duration
	// Certificate is the time to the end of a certificate below which there is one. An agent
	// renews when a third of the 90 days is left. Default 14 days.
	Certificate time.Duration
}

// Agent is an agent with its newest certificate.
type Agent struct {
	ID, Org, Path string
	Expires       time.Time
	// Forged is what it has tried in the last hour in the name of another; empty for nothing.
	Forged string
}

// finder gathers alarms.
type finder struct {
	s *watch.Snapshot
	// sources are those that aren't retired.
	sources []*watch.Source
	rules   Rules
	all     []Alarm
	// unread are the orgs whose states can't be read, with why.
	unread map[string]string
	// dead are sources whose silence and lag has a cause already: the way into the log, and
	// by store that into the store.
	dead map[string]bool
	away []map[string]bool
	// cut are sources whose server can't be reached, which was told.
	cut map[string]bool
}

// Find gives the alarms of a moment, the worst first.
func Find(s *watch.Snapshot, agents []Agent, rules Rules) []Alarm {
	rules.Retention = cmp.Or(rules.Retention, 24*time.Hour)
	rules.Certificate = cmp.Or(rules.Certificate, 14*24*time.Hour)
	f := &finder{s: s, rules: rules, unread: map[string]string{}, dead: map[string]bool{}, cut: map[string]bool{}, away: make([]map[string]bool, len(s.Stores))}
	for i := range f.away {
		f.away[i] = map[string]bool{}
	}
	for _, x := range s.Sources {
		if !x.Retired {
			f.sources = append(f.sources, x)
		}
	}
	f.logs()
	f.agents()
	f.unheard()
	for i := range s.Stores {
		f.store(i)
		f.slow(i)
	}
	f.servers()
	for _, x := range f.sources {
		f.source(x)
	}
	f.retention()
	for _, r := range s.Forged {
		f.add(Alarm{Kind: Forgery, Object: ofLog + " " + r.Org, Org: r.Org, Path: f.path(r.Org), Detail: r.ForgedFor}, nil)
	}
	for _, a := range agents {
		if a.Forged != "" {
			f.add(Alarm{Kind: Forgery, Object: ofAgent + " " + a.ID, Org: a.Org, Path: a.Path, Detail: a.Forged}, nil)
		}
		if left := a.Expires.Sub(s.At); left < rules.Certificate {
			f.add(Alarm{Kind: Certificate, Object: ofAgent + " " + a.ID, Org: a.Org, Path: a.Path, Detail: a.Expires.UTC().Format("2006-01-02 15:04 UTC")}, nil)
		}
	}
	slices.SortStableFunc(f.all, func(a, b Alarm) int {
		return cmp.Or(cmp.Compare(slices.Index(Kinds, a.Kind), slices.Index(Kinds, b.Kind)), strings.Compare(a.Object, b.Object))
	})
	return f.all
}

func (f *finder) add(a Alarm, behind []*watch.Source) {
	for _, x := range behind {
		if len(a.Sources) == maxSources {
			a.More++
			continue
		}
		a.Sources = append(a.Sources, x.ID)
	}
	f.all = append(f.all, a)
}

// logs tells topics of states that can't be read: nobody knows how their sources are. If none
// can, it is the log.
func (f *finder) logs() {
	unread := f.unread
	for _, r := range f.s.Unread {
		unread[r.Org] = r.Error
	}
	if len(unread) == 0 {
		return
	}
	behind := map[string][]*watch.Source{}
	everybody := true
	for _, x := range f.sources {
		if _, ok := unread[x.Org.Code]; ok {
			behind[x.Org.Code] = append(behind[x.Org.Code], x)
			f.mute(x)
		} else {
			everybody = false
		}
	}
	if everybody && len(f.sources) > 0 {
		f.add(Alarm{Kind: Silence, Object: ofLog, Detail: f.s.Unread[0].Error}, f.sources)
		return
	}
	for org, why := range unread {
		f.add(Alarm{Kind: Silence, Object: ofLog + " " + org, Org: org, Path: f.path(org), Detail: why}, behind[org])
	}
}

func (f *finder) path(org string) string {
	if o := f.s.Org([]string{""}, org); o != nil {
		return o.Path
	}
	return ""
}

// mute says that a source's silence and lag have a cause already.
func (f *finder) mute(x *watch.Source) {
	f.dead[x.ID] = true
	for i := range f.away {
		f.away[i][x.ID] = true
	}
}

// agents tells those all of whose sources are silent, or so many that it isn't the sources: a
// host may have come back in part.
func (f *finder) agents() {
	type key struct{ org, program string }
	silent, all := map[key][]*watch.Source{}, map[key]int{}
	for _, x := range f.sources {
		if x.Log == nil || f.dead[x.ID] {
			continue
		}
		k := key{x.Org.Code, x.Log.Program}
		all[k]++
		if x.Log.Stale(f.s.At) {
			silent[k] = append(silent[k], x)
		}
	}
	for k, sources := range silent {
		detail := since(sources[0].Log)
		if n := len(sources); n < all[k] {
			if n < fewSources {
				continue
			}
			detail = fmt.Sprintf("%d / %d, %s", n, all[k], detail)
		}
		f.add(Alarm{Kind: Silence, Object: ofAgent + " " + k.org + " " + k.program, Org: k.org, Path: sources[0].Org.Path, Detail: detail}, sources)
		for _, x := range sources {
			f.mute(x)
		}
	}
}

// unheardCode is that of a source from which nothing has come since it was approved.
const unheardCode = "SOURCE_UNHEARD"

// unheard tells sources that were approved and have never reported. Those of an agent from
// which nothing at all has come are one cause.
func (f *finder) unheard() {
	overdue, all := map[string][]*watch.Source{}, map[string]int{}
	for _, x := range f.sources {
		if !f.dead[x.ID] && x.Agent != "" {
			all[x.Agent]++
			if x.Overdue {
				overdue[x.Agent] = append(overdue[x.Agent], x)
			}
		}
	}
	for agent, sources := range overdue {
		if n := len(sources); n > 1 && n == all[agent] {
			x := sources[0]
			f.add(Alarm{Kind: Silence, Object: ofAgent + " " + agent, Org: x.Org.Code, Path: x.Org.Path, Code: unheardCode, Detail: approved(x)}, sources)
			continue
		}
		for _, x := range sources {
			f.add(Alarm{Kind: Silence, Object: ofSource + " " + x.ID, Org: x.Org.Code, Path: x.Org.Path, Code: unheardCode, Detail: approved(x)}, nil)
		}
	}
}

func approved(x *watch.Source) string {
	return x.Approved.UTC().Format("2006-01-02 15:04 UTC") + ", agent " + x.Agent
}

func since(r *status.Record) string { return r.Written.UTC().Format("2006-01-02 15:04:05 UTC") }

// store tells one that can't be read, or in which no worker can apply anything, and workers
// that are silent alone.
func (f *finder) store(i int) {
	name, detail, code := f.s.Stores[i], f.s.StoreErrors[i], ""
	workers, silent, stuck := 0, map[string]*status.Record{}, 0
	for k := range f.s.Workers {
		r := f.s.Workers[k]
		if _, dark := f.unread[r.Org]; dark || r.Store != name || r.State == "stopped" {
			continue
		}
		workers++
		switch {
		case r.Stale(f.s.At):
			silent[r.Org+" "+r.Program] = r
		case r.State == "retrying" && strings.HasPrefix(r.Code, "STORE"):
			stuck++
			detail, code = cmp.Or(detail, r.Error), r.Code
		}
	}
	if detail != "" && (f.s.StoreErrors[i] != "" || stuck > 0 && stuck+len(silent) == workers) || workers > 0 && len(silent) == workers {
		var behind []*watch.Source
		for _, x := range f.sources {
			if x.Flows[i].Apart {
				continue
			}
			behind = append(behind, x)
			f.away[i][x.ID] = true
		}
		f.add(Alarm{Kind: Silence, Object: ofStore + " " + name, Code: code, Detail: detail}, behind)
		return
	}
	for who, r := range silent {
		var behind []*watch.Source
		for _, x := range f.sources {
			if rec := x.Flows[i].Record; x.Org.Code == r.Org && rec != nil && rec.Stale(f.s.At) {
				behind = append(behind, x)
				f.away[i][x.ID] = true
			}
		}
		if len(behind) == 0 { // others have taken its partitions
			continue
		}
		f.add(Alarm{Kind: Silence, Object: ofWorker + " " + name + " " + who, Org: r.Org, Path: f.path(r.Org), Detail: since(r)}, behind)
	}
}

// slow tells a store into which most sources come late: then it isn't the sources.
func (f *finder) slow(i int) {
	var late []*watch.Source
	all := 0
	for _, x := range f.sources {
		if f.away[i][x.ID] || x.Flows[i].Record == nil || !x.Unread.IsZero() { // the store has no part in it
			continue
		}
		if all++; x.Flows[i].State == watch.Late {
			late = append(late, x)
		}
	}
	if len(late) < fewSources || 2*len(late) <= all {
		return
	}
	worst := 0.0
	for _, x := range late {
		f.away[i][x.ID] = true
		worst = max(worst, x.Flows[i].Lag)
	}
	f.add(Alarm{Kind: Lag, Object: ofStore + " " + f.s.Stores[i], Detail: fmt.Sprintf("%d / %d, %.0f s", len(late), all, worst)}, late)
}

// fewSources is the number of late, or silent, sources below which each has its own cause.
const fewSources = 5

// source tells what is wrong with one source by itself.
func (f *finder) source(x *watch.Source) {
	a := Alarm{Object: ofSource + " " + x.ID, Org: x.Org.Code, Path: x.Org.Path}
	tell := func(k Kind, code, detail string) {
		b := a
		b.Kind, b.Code, b.Detail = k, code, detail
		f.add(b, nil)
	}
	gap, halted := false, []string{}
	code, words := "", ""
	look := func(r *status.Record) {
		if r == nil || r.Stale(f.s.At) {
			return
		}
		switch {
		case r.State == "gap" && !gap:
			gap = true
			k := Gap
			if r.Code == "FUSE_BLOWN" {
				k = Fuse
			}
			tell(k, r.Code, r.Error)
		case r.State == "failed", r.State == "fenced", r.NeedsPerson && r.State != "gap":
			code, words = cmp.Or(code, r.Code, r.State), cmp.Or(words, r.Error)
		}
		for _, t := range r.Stopped {
			if !slices.Contains(halted, t.Table) {
				halted = append(halted, t.Table)
				code, words = cmp.Or(code, t.Code), cmp.Or(words, t.Reason)
			}
		}
	}
	look(x.Log)
	for i := range x.Flows {
		look(x.Flows[i].Record)
	}
	if code != "" || words != "" {
		tell(Halt, code, strings.TrimPrefix(strings.Join(halted, ", ")+": "+words, ": "))
	}
	if x.Log != nil && x.Log.Stale(f.s.At) && !f.dead[x.ID] { // others of its agent speak
		tell(Silence, "", since(x.Log))
		f.mute(x)
	}
	f.late(x, gap || f.cut[x.ID] || !x.Unread.IsZero() && x.Log.NeedsPerson, tell)
	if x.Log != nil && !x.Log.Stale(f.s.At) {
		for _, w := range x.Log.Warnings {
			if w.Code == "SLOT_HOLDS_WAL" {
				tell(Disk, w.Code, w.Text)
			}
		}
	}
}

// late tells a lag that has no cause of its own, and rows in quarantine. told says that a cause
// was told already.
func (f *finder) late(x *watch.Source, told bool, tell func(Kind, string, string)) {
	late, keys := []string{}, []string{}
	for i := range x.Flows {
		w := &x.Flows[i]
		if w.State == watch.Late && !f.away[i][x.ID] && !told {
			late = append(late, fmt.Sprintf("%s %.0f s > %.0f s", f.s.Stores[i], w.Lag, x.Promised))
		}
		if w.State == watch.Silent && !f.away[i][x.ID] {
			late = append(late, f.s.Stores[i])
		}
		if w.Keys > 0 {
			keys = append(keys, fmt.Sprintf("%s %d", f.s.Stores[i], w.Keys))
		}
	}
	if len(late) > 0 && !x.Unread.IsZero() {
		tell(Lag, x.Log.Code, strings.Join(late, ", ")+"; "+x.Log.Error)
	} else if len(late) > 0 {
		tell(Lag, "", strings.Join(late, ", "))
	}
	if len(keys) > 0 {
		tell(Quarantine, "", strings.Join(keys, ", "))
	}
}
