package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/stream/status"
)

// maxProblems bounds the list; the first ones are the worst.
const maxProblems = 50

// maxPlaces bounds the sources that one problem names.
const maxPlaces = 10

// problem is something that a person may have to do something about.
type problem struct {
	Tone  string
	Where string // what it is about
	// More are further ones that the same program says the same about.
	More    []string
	Hidden  int // beyond those
	Program string
	State   string
	Code    string
	What    string
	Do      string
	Hint    string // to be copied, e.g. SQL
	Error   string // in the program's own words
	Items   []item
}

// item is a part of a problem, e.g. one stopped table.
type item struct{ Name, Code, What, Do, Detail string }

// problems lists what isn't as it should be, the worst first.
func (c *Console) problems(part Part, records []status.Record, lang language.Language, now time.Time) []problem {
	t := texts[lang]
	byTone := map[string][]problem{}
	type same struct{ program, state, code, what, do, hint, err string }
	at := map[same]int{}
	add := func(p problem) {
		if p.Program != "" && len(p.Items) == 0 { // one trouble of many sources is told once
			k := same{p.Program, p.State, p.Code, p.What, p.Do, p.Hint, p.Error}
			if i, ok := at[k]; ok {
				if x := &byTone[p.Tone][i]; len(x.More) < maxPlaces {
					x.More = append(x.More, p.Where)
				} else {
					x.Hidden++
				}
				return
			}
			at[k] = len(byTone[p.Tone])
		}
		byTone[p.Tone] = append(byTone[p.Tone], p)
	}
	for _, r := range c.o.Board.Readings() {
		if r.Error != "" && !r.Missing && part.sees(r.Org) {
			add(problem{Tone: bad, Where: r.Topic, What: t.Generic["unread"][0], Do: t.Generic["unread"][1], Error: r.Error})
		}
	}
	told := map[string]bool{} // workers whose trouble stands at their sources
	for i := range records {
		if r := &records[i]; r.Kind != status.OfWorker {
			for _, p := range about(r, lang, now) {
				add(p)
				told[r.Org+"\x00"+r.Store+"\x00"+r.Program] = true
			}
		}
	}
	for i := range records {
		r := &records[i]
		if r.Kind != status.OfWorker || told[r.Org+"\x00"+r.Store+"\x00"+r.Program] {
			continue
		}
		for _, p := range about(r, lang, now) {
			add(p)
		}
	}
	out := append(byTone[bad], append(byTone[wait], byTone[quiet]...)...)
	return out[:min(len(out), maxProblems)]
}

// about says what is wrong with one record.
func about(r *status.Record, lang language.Language, now time.Time) (out []problem) {
	t := texts[lang]
	p := pillOf(r, t, now)
	where := r.Source
	if r.Kind != status.OfSource {
		where = strings.TrimPrefix(where+" → "+r.Store, " → ")
	}
	state := r.State
	if r.Stale(now) {
		state = "silent"
	}
	switch state {
	case "streaming", "applying", "waiting":
	default:
		x := problem{Tone: p.Tone, Where: where, Program: r.Program, State: p.Text, Code: r.Code, Hint: r.Hint, Error: r.Error}
		if x.What, x.Do = codes.Explain(r.Code, lang); x.What == "" || state == "silent" {
			x.What, x.Do = t.Generic[state][0], t.Generic[state][1]
		}
		if state == "silent" {
			x.What += fmt.Sprintf(" (%s)", ago(r.Written, now, t).Text)
			x.Code, x.Hint, x.Error = "", "", ""
		}
		out = append(out, x)
	}
	for _, w := range r.Warnings {
		if w.Code != r.Code && state != "silent" {
			x := problem{Tone: wait, Where: where, Program: r.Program, State: t.States["warning"], Code: w.Code, Hint: w.Hint, Error: w.Text}
			x.What, x.Do = codes.Explain(w.Code, lang)
			out = append(out, x)
		}
	}
	if len(r.Stopped) > 0 {
		x := problem{Tone: wait, Where: where, Program: r.Program, State: t.Tables, What: t.Generic["tables"][0], Do: t.Generic["tables"][1]}
		for _, s := range r.Stopped {
			i := item{Name: s.Table, Code: s.Code, Detail: s.Reason}
			i.What, i.Do = codes.Explain(s.Code, lang)
			x.Items = append(x.Items, i)
		}
		if r.MoreStopped > 0 {
			x.Items = append(x.Items, item{Name: fmt.Sprintf("+%d", r.MoreStopped)})
		}
		out = append(out, x)
	}
	var bad []item
	for _, l := range r.Loads {
		if l.Phase == "failed" || l.Phase == "canceled" {
			bad = append(bad, item{Name: l.Table, Detail: strings.TrimSuffix(codes.Phase(l.Phase, lang)+": "+l.Error, ": ")})
		}
	}
	if len(bad) > 0 && state != "silent" {
		out = append(out, problem{Tone: wait, Where: where, Program: r.Program, State: t.Loads, What: t.Generic["loads"][0], Do: t.Generic["loads"][1], Items: bad})
	}
	if r.Skipped > 0 {
		out = append(out, problem{Tone: wait, Where: where, Program: r.Program, State: t.Tables, What: fmt.Sprintf("%s (%d %s)", t.Generic["skipped"][0], r.Skipped, t.Rows), Do: t.Generic["skipped"][1]})
	}
	return out
}
