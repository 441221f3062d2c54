package intake

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// view is what the template is given.
type view struct {
	Lang, OtherLang string
	Org, File, Form string
	Step            int
	Refused         bool
	Server          Server
	Seen, Chosen    *Seen
	Picked          map[string]bool
	Datasets        map[string]string
	Load            bool
	Leaves, Digest  string
	Next            Next
	Trouble         *Trouble
	// Sum is of what is marked.
	Tables      int
	Rows, Bytes int64

	lang language.Language
}

// Engines are those that can be captured.
func (v *view) Engines() []string { return []string{"mysql", "mariadb", "postgres"} }

// Pack gives what was seen to a template of its own.
func (v *view) Pack(s *Seen) any {
	return struct {
		View *view
		Seen *Seen
	}{v, s}
}

// T gives a text.
func (v *view) T(key string) string { return text(key, v.lang) }

// Worst is the heaviest severity of what was found: refuses, harms, advice, or empty.
func (v *view) Worst(s *Seen) string {
	for _, severity := range []string{"refuses", "harms", "advice"} {
		for _, f := range s.Findings {
			if f.Severity == severity {
				return severity
			}
		}
	}
	return ""
}

var functions = template.FuncMap{
	"printf": language.Sprintf,
	"tone": func(severity string) string {
		return map[string]string{"refuses": "bad", "harms": "wait"}[severity]
	},
	"rows": func(n int64) string {
		if n < 0 {
			return "—"
		}
		return strconv.FormatInt(n, 10)
	},
	"bytes": func(n int64) string {
		for _, u := range []struct {
			name string
			bits uint
		}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
			if n >= 1<<u.bits {
				return strconv.FormatFloat(float64(n)/float64(int64(1)<<u.bits), 'f', 1, 64) + " " + u.name
			}
		}
		return strconv.FormatInt(n, 10) + " B"
	},
}

func (p *Page) view(r *http.Request) *view {
	lang := language.OfRequest(r)
	other := language.Chinese
	if lang == language.Chinese {
		other = language.English
	}
	v := &view{Lang: lang.Tag(), OtherLang: other.Tag(), Org: p.o.Org, File: p.o.File, Form: p.form, Step: int(p.step) + 1, Server: p.server, Seen: p.seen, Chosen: p.chosen,
		Picked: p.picked, Datasets: p.choice.Datasets, Load: p.choice.Load, Next: p.next, Trouble: p.trouble, lang: lang}
	v.Server.Password = "" // it goes nowhere, not even back
	if p.seen != nil {
		for _, t := range p.seen.Tables {
			if p.picked[t.ID] {
				v.Tables, v.Rows, v.Bytes = v.Tables+1, v.Rows+max(0, t.Rows), v.Bytes+t.Bytes
			}
		}
	}
	var indented bytes.Buffer
	if json.Indent(&indented, p.leaves, "", "  ") == nil { // the house makes JSON
		v.Leaves, v.Digest = indented.String(), p.digest()
	}
	return v
}

// show answers the step that is due.
func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	v := p.view(r)
	p.mu.Unlock()
	p.write(w, r, http.StatusOK, v)
}

// refuse answers whoever hasn't come by the link, and forms that this page hasn't made.
func (p *Page) refuse(w http.ResponseWriter, r *http.Request) {
	lang := language.OfRequest(r)
	p.write(w, r, http.StatusForbidden, &view{Lang: lang.Tag(), Refused: true, lang: lang})
}

// keepLanguage keeps the language that a link names.
func keepLanguage(w http.ResponseWriter, r *http.Request) {
	if tag := r.URL.Query().Get("lang"); tag != "" {
		http.SetCookie(w, &http.Cookie{Name: language.Cookie, Value: language.Of(tag).Tag(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	}
}

func (p *Page) write(w http.ResponseWriter, r *http.Request, status int, v *view) {
	var b bytes.Buffer
	if err := p.page.Execute(&b, v); err != nil {
		p.o.Logger.Error("page", "err", err)
		http.Error(w, "the page can't be shown", http.StatusInternalServerError)
		return
	}
	keepLanguage(w, r)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", v.Lang)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader may have gone
}
