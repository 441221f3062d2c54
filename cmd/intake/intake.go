// Package intake is the agent's own page, on loopback: a DBA adds a source by it, sees which
// tables there are and what would leave the house, and has it written into the agent's file.
// It decides who may come and in which order things are asked; it knows no database.
package intake

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/cmd/console"
	"github.com/tributary-cdc/tributary/cmd/hub/desk"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/cmd/internal/web"
)

// Server is where a source is, and who the agent is there. The password stays in memory until
// all is known.
type Server struct {
	Name, Engine, Host, Port, Database, User, Password string
}

// Table is a table that the user can see.
type Table struct {
	ID      string
	Rows    int64 // estimated; -1 if the server has no statistics
	Bytes   int64
	Columns []string
}

// Finding is what preflight has found, in words.
type Finding struct {
	Severity, Code, Object, Found, Meaning, Consequence, ToDo string
}

// Seen is what a look at a server has shown.
type Seen struct {
	Server   string
	Tables   []Table
	Findings []Finding
	// Script repairs what was found; what takes something away stands in comments.
	Script string
}

// Choice is what is to be sent: datasets by table, and whether what the tables hold is loaded.
type Choice struct {
	Datasets map[string]string
	Load     bool
}

// Next is what comes next.
type Next struct {
	// Done is what was done, in words.
	Done string
	// Commands are for a terminal.
	Commands []string
	// Propose says that the hub can be asked from here.
	Propose bool
}

// Trouble is an error in words.
type Trouble struct{ Code, What, Do, Words string }

// House does what the page asks for. Calls block, until ctx ends at the latest.
type House interface {
	// Look connects to a server, lists its tables and looks at it as preflight does. Nothing
	// is written.
	Look(ctx context.Context, s Server, lang language.Language) (*Seen, error)
	// Choose looks again at what was chosen, and gives the file that will leave the house if
	// it is proposed.
	Choose(ctx context.Context, s Server, c Choice, lang language.Language) (*Seen, []byte, error)
	// Add writes the source into the agent's file, and gives what comes next.
	Add(ctx context.Context, s Server, c Choice, lang language.Language) (Next, error)
	// Propose sends just what Choose has given to the hub, and gives what comes then.
	Propose(ctx context.Context, leaves []byte, lang language.Language) (Next, error)
	// Dataset is under which name a table is sent if nobody says otherwise.
	Dataset(table string) string
	// Told gives an error in words.
	Told(err error, lang language.Language) Trouble
}

// Options says what the page works with. House and Org are required.
type Options struct {
	House House
	// Org is the agent's, File its configuration, as they are shown.
	Org, File string
	// Done is called once a source was added. Default nothing.
	Done   func()
	Logger *slog.Logger
}

// steps are what the page shows, one after the other.
type step int

const (
	askServer step = iota
	askTables
	showLeaving
	added
)

// Page serves one person at a time.
type Page struct {
	o       Options
	page    *template.Template
	foreign *http.CrossOriginProtection
	token   string // of the link; empty once it was used
	cookie  string
	form    string // what forms carry

	mu      sync.Mutex // of all below, and of the house
	step    step
	server  Server
	seen    *Seen
	picked  map[string]bool
	choice  Choice
	chosen  *Seen
	leaves  []byte
	next    Next
	trouble *Trouble
}

//go:embed assets
var assets embed.FS

// New checks the options. It starts nothing.
func New(o Options) (*Page, error) {
	if o.House == nil || o.Org == "" {
		return nil, errors.New("intake options: House and Org must be set")
	}
	if o.Done == nil {
		o.Done = func() {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	t, err := template.New("page.html").Funcs(functions).ParseFS(assets, "assets/page.html")
	if err != nil {
		return nil, err
	}
	return &Page{o: o, page: t, foreign: http.NewCrossOriginProtection(), token: rand.Text(), cookie: rand.Text(), form: rand.Text(), choice: Choice{Load: true}}, nil
}

// Start is the path of the link that lets one browser in, once, in a language.
func (p *Page) Start(lang language.Language) string {
	return "/start?token=" + p.token + "&lang=" + lang.Tag()
}

const (
	cookieName = "tributary-intake"
	// maxBody bounds a form, in bytes: 5,000 tables with the names of their datasets.
	maxBody    = 4 << 20
	maxSending = time.Minute
)

// policy lets the page load from here only, and no script at all.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Handler answers the page. Whoever doesn't come by the link, or comes under another name than
// loopback's, gets nothing.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /start", p.start)
	mux.HandleFunc("GET /{$}", p.in(p.show))
	mux.HandleFunc("GET /leaves.json", p.in(p.download))
	for path, f := range map[string]func(*http.Request){"/server": p.setServer, "/tables": p.setTables, "/add": p.add, "/propose": p.propose, "/back": p.back} {
		mux.HandleFunc("POST "+path, p.in(p.do(f)))
	}
	mux.HandleFunc("GET /assets/style.css", file("text/css; charset=utf-8", console.Stylesheet))
	mux.HandleFunc("GET /assets/desk.css", file("text/css; charset=utf-8", desk.Stylesheet))
	mux.HandleFunc("GET /assets/icon.svg", file("image/svg+xml", console.Icon))
	return web.Loopback(policy, bounded(mux))
}

func file(kind string, content func() []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content()) // the reader may have gone
	}
}

// bounded bounds what is sent, and how long that may take.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxSending)) // a test's recorder has none
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

func same(a, b string) bool {
	return b != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// start lets the first browser in that has the link.
func (p *Page) start(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	ok := r.Method == http.MethodGet && same(r.URL.Query().Get("token"), p.token) // whoever asks by HEAD looks whether it is there
	if ok {
		p.token = ""
	}
	p.mu.Unlock()
	if !ok {
		p.refuse(w, r)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: p.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	keepLanguage(w, r)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// in lets only the browser in that came by the link.
func (p *Page) in(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie(cookieName); err != nil || !same(c.Value, p.cookie) {
			p.refuse(w, r)
			return
		}
		next(w, r)
	}
}

// do takes a form that this page has made, and goes back to the page.
func (p *Page) do(f func(*http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.foreign.Check(r) != nil || r.ParseForm() != nil || !same(r.PostForm.Get("form"), p.form) {
			p.refuse(w, r)
			return
		}
		p.mu.Lock()
		p.trouble = nil
		f(r)
		p.mu.Unlock()
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}
