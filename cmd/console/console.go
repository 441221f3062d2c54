// Package console is the page of a tier: lag per stage, the state of each source and
// what to do about it, the newest transactions, and the trace of one row. It decides
// what people are shown and in which words; it writes nothing, and nothing in the way
// of data depends on it.
package console

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/web"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/status"
)

// board is what is known of all sources: a status.Board.
type board interface {
	// Records gives the newest records, which are the caller's.
	Records() []status.Record
	// Readings tells how the status topics can be read.
	Readings() []status.Reading
}

// store is what the page reads of a store: a postgres.Viewer. Calls block until the
// store answers or ctx ends.
type store interface {
	Recent(ctx context.Context, n int, topics []string) ([]postgres.Recent, error)
	Datasets(ctx context.Context, topics []string) ([]postgres.Dataset, error)
	Trace(ctx context.Context, dataset string, key []string) ([]postgres.Trace, error)
}

// Store is a store under the name that status records give it.
type Store struct {
	Name   string
	Viewer store
}

// Options says what the page shows. Board is required.
type Options struct {
	Board  board
	Stores []Store
	// Every is the pause between two updates of a page that is being looked at.
	// Default 1s.
	Every time.Duration
	// Watchers bounds the pages that are kept up to date at once. Default 50.
	Watchers int
	// Zone is that of the times on the page. Default that of the machine.
	Zone   *time.Location
	Logger *slog.Logger
}

// Console serves the page.
type Console struct {
	o        Options
	pages    *template.Template
	watchers chan struct{}
	recent   recentCache // of everything
	parts    sync.Map    // *recentCache by Part.key, while somebody looks at the part
}

//go:embed assets
var assets embed.FS

// Stylesheet gives how pages of this product look, for others of its pages.
func Stylesheet() []byte { return asset("style.css") }

// Icon gives the product's sign (SVG).
func Icon() []byte { return asset("icon.svg") }

func asset(name string) []byte {
	b, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is part of the program
	}
	return b
}

// New checks the options. It starts nothing.
func New(o Options) (*Console, error) {
	if o.Board == nil {
		return nil, errors.New("console options: Board must be set")
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Watchers == 0 {
		o.Watchers = 50
	}
	if o.Every < 0 || o.Watchers < 0 {
		return nil, errors.New("console options: Every and Watchers must be above 0")
	}
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	pages, err := template.ParseFS(assets, "assets/*.html")
	if err != nil {
		return nil, err
	}
	return &Console{o: o, pages: pages, watchers: make(chan struct{}, o.Watchers)}, nil
}

// Handler answers the page and what belongs to it. It is for loopback only: there is
// no login, and a trace shows a row.
func (c *Console) Handler() http.Handler { return web.Loopback(policy, c.Behind()) }

// Behind is the same for whoever stands before it and decides who may come, and what they
// may see: see Within and Under.
func (c *Console) Behind() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.page)
	mux.HandleFunc("GET /events", c.events)
	mux.HandleFunc("GET /api/status", c.api)
	for path, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		mux.HandleFunc("GET /assets/"+path, func(w http.ResponseWriter, _ *http.Request) {
			b, err := assets.ReadFile("assets/" + path)
			if err != nil {
				http.Error(w, "not found", http.StatusNotFound)
				return
			}
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(b) // the reader may have gone
		})
	}
	return mux
}

// policy lets the page load from here only, and no script stand in it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
