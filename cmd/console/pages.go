package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// page is the whole page.
type page struct {
	*view
	Lang, OtherLang string
	OtherURL        string
	Trace           tracing
	Menu            *Menu
}

// other is the language to switch to.
func other(l language.Language) language.Language {
	if l == language.Chinese {
		return language.English
	}
	return language.Chinese
}

func (c *Console) page(w http.ResponseWriter, r *http.Request) {
	lang := language.OfRequest(r)
	q := r.URL.Query()
	p := page{view: c.look(r.Context(), lang), Lang: lang.Tag(), OtherLang: other(lang).Tag(), Trace: c.trace(r.Context(), q, texts[lang]), Menu: menuOf(r.Context())}
	switched := url.Values{"lang": {p.OtherLang}}
	for _, k := range []string{"store", "table", "key"} {
		if v := q.Get(k); v != "" {
			switched.Set(k, v)
		}
	}
	p.OtherURL = "/?" + switched.Encode()
	var b bytes.Buffer
	if err := c.pages.ExecuteTemplate(&b, "page.html", p); err != nil {
		c.o.Logger.Error("page", "err", err)
		http.Error(w, "the page can't be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", p.Lang)
	w.Header().Set("Vary", "Accept-Language")
	_, _ = w.Write(b.Bytes()) // the reader may have gone
}

// parts are the page's places that change by themselves.
var parts = []string{"summary", "trouble", "lag", "loads", "recent"}

// events keeps a page up to date (server-sent events, HTML standard 9.2): every event
// holds the HTML of the places that have changed.
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	select {
	case c.watchers <- struct{}{}:
		defer func() { <-c.watchers }()
	default:
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	lang, last := language.OfRequest(r), map[string]string{}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	tick := time.NewTicker(c.o.Every)
	defer tick.Stop()
	for {
		changed, err := c.changes(r, lang, last)
		if err != nil {
			c.o.Logger.Error("page", "err", err)
			return
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b) // on one line: line ends are escaped, which would end the event
		e.SetEscapeHTML(false)
		if err := e.Encode(changed); err != nil {
			return
		}
		if err := control.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "event: view\ndata: %s\n", b.Bytes()); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// changes renders the parts and gives those that differ from the last ones.
func (c *Console) changes(r *http.Request, lang language.Language, last map[string]string) (map[string]string, error) {
	v, changed := c.look(r.Context(), lang), map[string]string{}
	for _, name := range parts {
		var b bytes.Buffer
		if err := c.pages.ExecuteTemplate(&b, name, v); err != nil {
			return nil, err
		}
		// An empty part is sent, too: the page may have been made while it wasn't.
		if was, sent := last[name]; !sent || b.String() != was {
			last[name], changed[name] = b.String(), b.String()
		}
	}
	return changed, nil
}

// api gives the newest records as they stand in the log.
func (c *Console) api(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": c.records(partOf(r.Context()))}) // the reader may have gone
}
