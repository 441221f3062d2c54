package desk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// livePath is where an open page hears what has changed of it, as server-sent events.
const livePath = "/live"

// parts are the parts of open pages that are kept up to date. Those who may see the same share
// one: it is made once for all of them, and only while somebody looks.
type parts struct {
	paths *http.ServeMux // the pages that have one

	mu    sync.Mutex
	open  map[string]*part
	count map[string]int // open pages by account
	all   int
}

// part is what a page shows at a moment to whoever may see it.
type part struct {
	users int // under the mutex of parts

	mu   sync.Mutex
	at   time.Time
	html string
	err  error
}

func newParts() *parts {
	p := &parts{paths: http.NewServeMux(), open: map[string]*part{}, count: map[string]int{}}
	for i := range pages {
		if pages[i].live {
			p.paths.HandleFunc("GET "+pages[i].path, func(w http.ResponseWriter, r *http.Request) {
				to := w.(*picked) // pick's
				to.page, to.r = &pages[i], r
			})
		}
	}
	return p
}

// picked is the page to which a path leads. It takes the answer of a path that leads to none.
type picked struct {
	page *page
	r    *http.Request
}

func (*picked) Header() http.Header         { return http.Header{} }
func (*picked) Write(b []byte) (int, error) { return len(b), nil }
func (*picked) WriteHeader(int)             {}

// pick gives the page at an address, with the request for it.
func (p *parts) pick(r *http.Request, address string) (*page, *http.Request) {
	u, err := url.Parse(address)
	if err != nil || u.Host != "" || u.Path == "" || u.Path[0] != '/' {
		return nil, nil
	}
	of := r.Clone(r.Context())
	of.URL, of.RequestURI = u, ""
	var to picked
	p.paths.ServeHTTP(&to, of)
	return to.page, to.r
}

// enter counts an open page of an account, unless there are too many.
func (p *parts) enter(key, who string, most, mostEach int) *part {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= most || p.count[who] >= mostEach {
		return nil
	}
	p.all++
	p.count[who]++
	if p.open[key] == nil {
		p.open[key] = &part{}
	}
	p.open[key].users++
	return p.open[key]
}

func (p *parts) leave(key, who string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.count[who]--; p.count[who] == 0 {
		delete(p.count, who)
	}
	if p.open[key].users--; p.open[key].users == 0 {
		delete(p.open, key)
	}
}

// look gives the part as it is, made anew if it is older than the pause between two looks.
func (p *part) look(every time.Duration, render func() (string, error)) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() || time.Since(p.at) >= every*9/10 {
		p.html, p.err = render()
		p.at = time.Now()
	}
	return p.html, p.err
}

// live sends the part of the page that the query names whenever it has changed. It ends after
// a while, so that the page asks again, and whether its session still counts is looked at.
func (d *Desk) live(w http.ResponseWriter, r *http.Request) {
	c, err := d.open(w, r)
	if err != nil {
		d.fail(c, err)
		return
	}
	p, of := d.parts.pick(r, r.URL.Query().Get("of"))
	if p == nil {
		d.fail(c, refusal.New(refusal.Unknown, "INPUT_INVALID", "of %.80q", r.URL.Query().Get("of")))
		return
	}
	if err := c.allow(p.who, p.act); err != nil {
		d.fail(c, err)
		return
	}
	grants := slices.Clone(c.session.Grants)
	key := fmt.Sprintf("%s\n%s\n%+v", language.OfRequest(of).Tag(), of.URL, grants)
	shared := d.parts.enter(key, c.session.Name, d.o.Watchers, d.o.WatchersEach)
	if shared == nil {
		d.fail(c, refusal.New(refusal.Later, "PAGES_TOO_MANY", ""))
		return
	}
	defer d.parts.leave(key, c.session.Name)
	ctx, cancel := context.WithTimeout(r.Context(), d.o.Events)
	defer cancel()
	// Who ends the request that makes a part mustn't end it for the others.
	c.r = of.WithContext(context.WithoutCancel(ctx))
	c.lang = language.OfRequest(of)
	render := func() (string, error) { return d.part(c, p) }
	if _, err := shared.look(d.o.Every, render); err != nil {
		d.fail(c, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	d.follow(ctx, w, r.Header.Get("Last-Event-ID"), func() (string, error) { return shared.look(d.o.Every, render) })
}

// follow sends what look gives whenever it isn't what was sent last, and a sign of life
// otherwise, until ctx ends or the reader has gone.
func (d *Desk) follow(ctx context.Context, w http.ResponseWriter, last string, look func() (string, error)) {
	control := http.NewResponseController(w)
	tick := time.NewTicker(d.o.Every)
	defer tick.Stop()
	for {
		html, err := look()
		if err != nil { // the page asks again, and is told
			return
		}
		digest := sha256.Sum256([]byte(html))
		event := ": here\n\n"
		if id := hex.EncodeToString(digest[:8]); id != last {
			var b bytes.Buffer
			e := json.NewEncoder(&b) // on one line: line ends are escaped, which would end the event
			e.SetEscapeHTML(false)
			if err := e.Encode(html); err != nil {
				return
			}
			last, event = id, fmt.Sprintf("retry: 2000\nid: %s\nevent: view\ndata: %s\n", id, b.Bytes())
		}
		if err := control.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return
		}
		if _, err := fmt.Fprint(w, event); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// part makes the part of a page that is kept up to date. It has no secret of a form: others
// are shown it, too.
func (d *Desk) part(c *call, p *page) (string, error) {
	ctx, cancel := context.WithTimeout(c.ctx(), 10*time.Second)
	defer cancel()
	own := *c
	own.r = c.r.WithContext(ctx)
	data, err := p.load(&own)
	if err != nil {
		return "", err
	}
	v := own.view(p.name)
	v.Data, v.Form, v.Me = data, "", nil
	var b bytes.Buffer
	if err := d.pages[p.name].ExecuteTemplate(&b, "live", v); err != nil {
		return "", fmt.Errorf("page %s: %w", p.name, err)
	}
	return b.String(), nil
}
