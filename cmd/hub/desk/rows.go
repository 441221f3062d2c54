package desk

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
)

// rowWriter writes rows of the tree's tables. A template takes several times as long for the
// 250 rows of a page, which is most of what a page costs.
type rowWriter struct {
	strings.Builder
	v *view
}

// cell writes a cell under a label. What is in it is HTML already.
func (w *rowWriter) cell(label, class, html string) {
	w.WriteString(`<td role="cell"`)
	if class != "" {
		w.WriteString(` class="` + class + `"`)
	}
	w.WriteString(` data-label="` + label + `">` + html + `</td>`)
}

// head writes the first cell of a row, up to what is in it.
func (w *rowWriter) head(label string) {
	w.WriteString(`<tr role="row"><th role="rowheader" scope="row" class="wrap" data-label="` + label + `"><span>`)
}

func escaped(text string) string { return template.HTMLEscapeString(text) }

// label is a text as HTML.
func (w *rowWriter) label(key string) string { return escaped(w.v.T(key)) }

func pill(tone, text string) string {
	return `<span class="pill ` + tone + `">` + escaped(text) + `</span>`
}

// OrgRows are the rows of orgs.
func (v *view) OrgRows(t *treeView) template.HTML {
	w := &rowWriter{v: v}
	org, health, sources, lag, rate, behind := w.label("org"), w.label("tree.health"), w.label("tree.sources"), w.label("tree.lag"), w.label("tree.rate"), w.label("tree.behind")
	for _, o := range t.Below {
		w.head(org)
		w.WriteString(`<a href="` + escaped(t.Link("org", o.Code)) + `">` + escaped(o.Name) + `</a> <span class="minor">` + escaped(o.Code) + `</span></span></th>`)
		w.cell(health, "", `<span class="health">`+w.health(o)+`</span>`)
		w.cell(sources, "number", grouped(int64(o.Sources)))
		span := "—"
		if o.Sources > 0 {
			span = v.Span(o.Lag)
		}
		w.cell(lag, "number", escaped(span))
		w.cell(rate, "number", escaped(v.Rate(o.Rate)))
		w.cell(behind, "number", grouped(o.Behind))
		w.WriteString("</tr>")
	}
	return template.HTML(w.String())
}

// health is how the sources of an org are.
func (w *rowWriter) health(o *watch.Org) string {
	if o.Sources == 0 {
		return `<span class="none">` + w.label("tree.nosource") + `</span>`
	}
	var b strings.Builder
	b.WriteString(`<svg class="tones" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">`)
	for _, part := range bar(o.Tones) {
		fmt.Fprintf(&b, `<rect class="tone %s" x="%.2f" y="0" width="%.2f" height="8"/>`, part.Tone, part.X, part.Width)
	}
	b.WriteString(`</svg><span class="minor">`)
	if n := o.Tones[watch.Bad]; n > 0 {
		b.WriteString(pill("bad", strconv.Itoa(n)+" "+w.v.T("tone.bad")) + " ")
	}
	if n := o.Tones[watch.Wait]; n > 0 {
		b.WriteString(pill("wait", strconv.Itoa(n)+" "+w.v.T("tone.wait")))
	}
	if o.Worst() == watch.Good {
		b.WriteString(w.label("tree.well"))
	}
	b.WriteString(`</span>`)
	return b.String()
}

// SourceRows are the rows of sources.
func (v *view) SourceRows(t *treeView) template.HTML {
	w := &rowWriter{v: v}
	source, state, log, rate, behind, catchup, word := w.label("source"), w.label("state"), w.label("lag.log"), w.label("tree.rate"), w.label("tree.behind"), w.label("tree.catchup"), w.label("tree.word")
	total := make([]string, len(t.Stores))
	for i, s := range t.Stores {
		total[i] = w.label("lag.total") + " " + escaped(s)
	}
	for _, x := range t.Sources {
		w.head(source)
		w.WriteString(`<a href="/sources/` + escaped(url.PathEscape(x.ID)) + `">` + escaped(x.ID) + `</a><br><span class="minor">` + escaped(x.Org.Name) + `</span></span></th>`)
		w.cell(state, "", pill(x.Tone.String(), v.State(x.State)))
		span, codes := "—", ""
		if x.Log != nil {
			if x.Log.Lag.SourceLog != nil {
				span = v.Span(x.Log.Lag.SourceLog.P50)
			}
			codes = codeOf(x.Log.Code)
		}
		w.cell(log, "number", escaped(span))
		for i, place := range t.shown {
			f := &x.Flows[place]
			class := ""
			if f.Tone == watch.Bad {
				class = ` class="hurts"`
			}
			w.cell(total[i], "number", `<span`+class+`>`+escaped(v.Span(f.Lag))+`</span>`)
			if f.Record != nil {
				codes += codeOf(f.Record.Code)
			}
		}
		w.cell(rate, "number", escaped(v.Rate(x.Rate)))
		w.cell(behind, "number", grouped(x.Behind()))
		w.cell(catchup, "number", escaped(v.Span(x.CatchUp())))
		w.cell(word, "", `<span>`+codes+`</span>`)
		w.WriteString("</tr>")
	}
	return template.HTML(w.String())
}

func codeOf(code string) string {
	if code == "" {
		return ""
	}
	return "<code>" + escaped(code) + "</code> "
}
