// Package desk is the hub's HTTP API and its pages for people: login, accounts, the tree
// of orgs, invitations, the inbox of requests, the audit; and the API for agents. It
// decides who is let in and what a request means. What may become of what is decided in
// package state.
package desk

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/cmd/internal/web"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// Topics makes the topics of an org. It blocks until they can be used.
type Topics interface {
	// Make makes those that don't exist, checks all, and gives the number of partitions
	// of the topic of changes.
	Make(ctx context.Context, org string) (partitions int, err error)
	// Changes is the name of an org's topic of changes.
	Changes(org string) string
}

// Options says what the desk works with. State, Authority and Topics are required.
type Options struct {
	State     *state.State
	Authority *authority.Authority
	Topics    Topics
	// Rights makes agents users of the log; nil where somebody else does.
	Rights Rights
	// Secure says that people come by TLS, so that cookies and headers insist on it.
	Secure bool
	// Hosts are the names and addresses under which people may come; empty for those of
	// loopback.
	Hosts []string
	// Agents is the address at which agents come, as they are told, e.g.
	// https://hub.example.cn:8070; empty if none can.
	Agents string
	// Watch gives how all is now. It must not block. Default nothing.
	Watch func() *watch.Snapshot
	// Events is how long a page of states is kept up to date before it has to ask again,
	// which shows whether its session still counts. Default 2 min.
	Events time.Duration
	// Shifts are those of reports.
	Shifts alarm.Shifts
	// Every is the pause between two looks at a page that is open. Default 5s.
	Every time.Duration
	// Watchers bounds the open pages that are kept up to date, and WatchersEach those of one
	// account. Default 500 and 20.
	Watchers, WatchersEach int
	// Now is the clock. Default time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

// Desk serves the API and the pages.
type Desk struct {
	o       Options
	pages   map[string]*template.Template
	foreign *http.CrossOriginProtection
	routes  []route
	parts   *parts
	rights  *sync.Mutex // one at a time, so that State.Alone keeps at most one connection
}

//go:embed assets
var assets embed.FS

// New checks the options. It starts nothing.
func New(o Options) (*Desk, error) {
	if o.State == nil || o.Authority == nil || o.Topics == nil {
		return nil, errors.New("desk options: State, Authority and Topics must be set")
	}
	if o.Events == 0 {
		o.Events = 2 * time.Minute
	}
	o.Every = cmp.Or(o.Every, 5*time.Second)
	o.Watchers, o.WatchersEach = cmp.Or(o.Watchers, 500), cmp.Or(o.WatchersEach, 20)
	if o.Events < 0 || o.Every < 0 || o.Watchers < 0 || o.WatchersEach < 0 {
		return nil, errors.New("desk options: Events, Every, Watchers and WatchersEach must be above 0")
	}
	if o.Shifts.Zone == nil {
		var err error
		if o.Shifts, err = alarm.NewShifts(nil, ""); err != nil {
			return nil, err
		}
	}
	if o.Watch == nil {
		none := &watch.Snapshot{}
		o.Watch = func() *watch.Snapshot { return none }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Desk{o: o, foreign: http.NewCrossOriginProtection(), pages: map[string]*template.Template{}, parts: newParts(), rights: &sync.Mutex{}}
	for _, name := range pageNames {
		t, err := template.New(name).Funcs(functions).ParseFS(assets, "assets/frame.html", "assets/charts.html", "assets/"+name+".html")
		if err != nil {
			return nil, err
		}
		d.pages[name] = t
	}
	d.routes = d.api()
	return d, nil
}

// static are the files that pages load.
var static = map[string]string{"desk.css": "text/css; charset=utf-8", "confirm.js": "text/javascript; charset=utf-8", "live.js": "text/javascript; charset=utf-8"}

// Stylesheet gives how forms and lists look, for others of this product's pages, on top of the
// console's.
func Stylesheet() []byte {
	b, err := assets.ReadFile("assets/desk.css")
	if err != nil {
		panic(err) // it is part of the program
	}
	return b
}

// Handler answers people. Whatever isn't a page or the API of the desk goes to rest, for
// those who may see something of the tree, in a context that says what (console.Within).
func (d *Desk) Handler(rest http.Handler) http.Handler {
	mux := http.NewServeMux()
	for i := range d.routes {
		rt := &d.routes[i]
		mux.HandleFunc(rt.Method+" "+rt.Path, func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, rt) })
	}
	mux.HandleFunc("GET "+livePath, d.live)
	mux.HandleFunc("GET /login", d.loginPage)
	mux.HandleFunc("GET /setup", d.setupPage)
	for path, p := range d.pagesByPath() {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { d.page(w, r, p) })
	}
	for name, kind := range static {
		mux.HandleFunc("GET /desk/"+name, func(w http.ResponseWriter, _ *http.Request) {
			b, err := assets.ReadFile("assets/" + name)
			if err != nil {
				http.Error(w, "not found", http.StatusNotFound)
				return
			}
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(b) // the reader may have gone
		})
	}
	mux.Handle("/", d.rest(rest))
	return d.guarded(mux)
}

// policy lets pages load from here only, and no script stand in them.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxBody bounds what is sent, in bytes; a file of orgs may be longer.
const (
	maxBody    = 1 << 20
	maxOrgFile = 16 << 20
	maxSending = time.Minute
)

// guarded sets the headers of all answers and bounds what is read. It refuses names that
// aren't ours: a foreign page could have a name of its own resolve to this hub.
func (d *Desk) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.Protect(w.Header(), policy)
		if d.o.Secure {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		if !d.known(r.Host) {
			http.Error(w, "this hub doesn't answer under this name: see names in its file", http.StatusMisdirectedRequest)
			return
		}
		limit := int64(maxBody)
		switch r.URL.Path {
		case orgsPath:
			limit = maxOrgFile
		case requestsPath:
			limit = maxLetter
		}
		if r.Method != http.MethodGet { // whoever sends slowly is cut off
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxSending)) // a test's recorder has none
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		next.ServeHTTP(w, r)
	})
}

// known reports whether people may come under a name.
func (d *Desk) known(hostport string) bool {
	host := web.Host(hostport)
	for _, name := range d.o.Hosts {
		if strings.EqualFold(name, host) {
			return true
		}
	}
	return peer.Loopback(host)
}
