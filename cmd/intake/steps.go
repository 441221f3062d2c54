package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// fail keeps what is wrong, for the page that comes next.
func (p *Page) fail(r *http.Request, err error) {
	t := p.o.House.Told(err, language.OfRequest(r))
	p.trouble = &t
}

// setServer looks at the server that was named.
func (p *Page) setServer(r *http.Request) {
	f := r.PostForm
	text := func(key string) string { return strings.TrimSpace(f.Get(key)) }
	p.server = Server{Name: text("name"), Engine: text("engine"), Host: text("host"), Port: text("port"), Database: text("database"), User: text("user"), Password: f.Get("password")}
	p.step, p.leaves = askServer, nil
	seen, err := p.o.House.Look(r.Context(), p.server, language.OfRequest(r))
	if err != nil {
		p.server.Password = ""
		p.fail(r, err)
		return
	}
	p.step, p.seen, p.picked, p.choice = askTables, seen, map[string]bool{}, Choice{Datasets: map[string]string{}, Load: true}
	for _, t := range seen.Tables {
		p.choice.Datasets[t.ID] = p.o.House.Dataset(t.ID)
	}
}

// setTables notes what was chosen, and shows what would leave. A button may mark all or none.
func (p *Page) setTables(r *http.Request) {
	if p.step < askTables || p.step == added {
		return
	}
	f := r.PostForm
	p.step, p.leaves, p.picked = askTables, nil, map[string]bool{}
	for _, text := range f["table"] {
		if i, err := strconv.Atoi(text); err == nil && i >= 0 && i < len(p.seen.Tables) {
			p.picked[p.seen.Tables[i].ID] = true
		}
	}
	for i, t := range p.seen.Tables {
		if name := strings.TrimSpace(f.Get("dataset-" + strconv.Itoa(i))); name != "" {
			p.choice.Datasets[t.ID] = name
		}
	}
	p.choice.Load = f.Get("first") != "now"
	switch f.Get("pick") {
	case "all":
		for _, t := range p.seen.Tables {
			p.picked[t.ID] = true
		}
		return
	case "none":
		clear(p.picked)
		return
	}
	chosen, leaves, err := p.o.House.Choose(r.Context(), p.server, p.chose(), language.OfRequest(r))
	if err != nil {
		p.fail(r, err)
		return
	}
	p.step, p.chosen, p.leaves = showLeaving, chosen, leaves
}

// chose gives what is marked.
func (p *Page) chose() Choice {
	c := Choice{Datasets: maps.Clone(p.choice.Datasets), Load: p.choice.Load}
	maps.DeleteFunc(c.Datasets, func(table, _ string) bool { return !p.picked[table] })
	return c
}

// digest tells what would leave from what else might.
func (p *Page) digest() string {
	sum := sha256.Sum256(p.leaves)
	return hex.EncodeToString(sum[:])
}

// shown says whether a tab has shown what would leave by now, and else that another has gone on.
func (p *Page) shown(r *http.Request) bool {
	if r.PostForm.Get("leaves") == p.digest() {
		return true
	}
	lang := language.OfRequest(r)
	p.trouble = &Trouble{What: text("changed", lang), Do: text("changed.do", lang)}
	return false
}

// propose sends to the hub what the person has seen. The source stands in the file already, so
// that what goes wrong can be tried again, here or in a terminal.
func (p *Page) propose(r *http.Request) {
	if p.step != added || !p.next.Propose || !p.shown(r) {
		return
	}
	next, err := p.o.House.Propose(r.Context(), p.leaves, language.OfRequest(r))
	if err != nil {
		p.fail(r, err)
		return
	}
	p.next = next
}

// add writes the source into the agent's file, if what would leave is what the person has seen.
func (p *Page) add(r *http.Request) {
	if p.step != showLeaving {
		return
	}
	if !p.shown(r) {
		return
	}
	next, err := p.o.House.Add(r.Context(), p.server, p.chose(), language.OfRequest(r))
	if err != nil {
		p.fail(r, err)
		return
	}
	p.step, p.next, p.server.Password = added, next, ""
	p.o.Done()
}

// back goes to the step before; after the end another source can be added.
func (p *Page) back(*http.Request) {
	switch p.step {
	case showLeaving:
		p.step = askTables
	case askTables:
		p.step = askServer
		p.server.Password = ""
	case added:
		p.step, p.server, p.seen, p.chosen, p.leaves, p.next = askServer, Server{}, nil, nil, nil, Next{}
	}
}

// download gives the file that will leave.
func (p *Page) download(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	leaves, name := slices.Clone(p.leaves), p.server.Name
	p.mu.Unlock()
	if len(leaves) == 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.json"`) // letters, digits, - and _: the house has checked it
	_, _ = w.Write(leaves)                                                        // the reader may have gone
}
