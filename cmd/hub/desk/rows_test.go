package desk

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/stream/status"
)

// drawn is a board and a register of what a test draws.
type drawn struct {
	orgs    []catalog.Org
	records []*status.Record
}

func (d *drawn) Newest() []*status.Record   { return d.records }
func (d *drawn) Readings() []status.Reading { return nil }
func (d *drawn) Orgs(context.Context, []string) ([]catalog.Org, error) {
	return d.orgs, nil
}
func (d *drawn) Registered(context.Context) ([]catalog.Registered, error) { return nil, nil }

// district adds one with sources that are well.
func (d *drawn) district(code, name, store string, sources int) {
	d.orgs = append(d.orgs, catalog.Org{Code: code, Parent: "33", Path: "33/" + code + "/", Name: name})
	lag := status.Lag{SourceLog: &status.Figures{P50: 0.02}, SourceStore: &status.Figures{P99: 0.3}}
	for k := range sources {
		r := status.Record{Kind: status.OfSource, Org: code, Source: fmt.Sprintf("%s-s%d", code, k), State: "streaming", Written: time.Now(), Within: 1000, Lag: lag}
		s := r
		s.Kind, s.Store, s.State = status.OfStore, store, "applying"
		d.records = append(d.records, &r, &s)
	}
}

// draw gives a function that makes the page of the tree.
func (d *drawn) draw(t testing.TB, store string) func() string {
	t.Helper()
	d.orgs = append(d.orgs, catalog.Org{Code: "33", Path: "33/", Name: "浙江省"})
	w, err := watch.New(watch.Options{Board: d, Register: d, Stores: []watch.Store{{Name: store, Viewer: &board{}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Ask(t.Context())
	w.Look()
	page, err := template.New("tree").Funcs(functions).ParseFS(assets, "assets/frame.html", "assets/charts.html", "assets/tree.html")
	if err != nil {
		t.Fatal(err)
	}
	s := w.Snapshot()
	return func() string {
		v := &view{Lang: "zh-CN", Page: "tree", lang: language.Chinese, zone: time.Local, now: time.Now()}
		v.Data = &treeView{Tree: s.Tree(watch.Query{Scopes: []string{""}}), Query: url.Values{}, Stores: s.Stores, shown: []int{0}, At: s.At}
		var b bytes.Buffer
		if err := page.ExecuteTemplate(&b, "frame", v); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
}

// TestRows: whatever is in a name, a code, an id or a store's name stands in the rows as it is,
// and leads where it should.
func TestRows(t *testing.T) {
	const odd = `<script>"'&/ ?`
	d := &drawn{}
	d.district("330106"+odd, "西湖"+odd, "city"+odd, 1)
	d.records[0].State, d.records[0].Code = "gap", "SLOT_LOST"+odd
	page := d.draw(t, "city"+odd)()
	if strings.Contains(page, "<script>\"") || strings.Contains(page, `'&/`) {
		t.Errorf("a name is code: %s", page)
	}
	text := template.HTMLEscapeString(odd)
	for _, want := range []string{
		`<a href="/tree?org=330106` + template.HTMLEscapeString(url.QueryEscape(odd)) + `">西湖` + text + `</a> <span class="minor">330106` + text + `</span>`,
		`<a href="/sources/330106` + template.HTMLEscapeString(url.PathEscape(odd+"-s0")) + `">330106` + text + `-s0</a><br><span class="minor">西湖` + text + `</span>`,
		`data-label="源 → city` + text + `"`, `<code>SLOT_LOST` + text + `</code>`, `<span class="pill bad">有缺口</span>`, `<span class="pill bad">1 故障</span>`, `0.02 秒`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// BenchmarkTree makes the page of a city of 100 districts with 100 sources each.
func BenchmarkTree(b *testing.B) {
	d := &drawn{}
	for i := range 100 {
		d.district(fmt.Sprintf("33%04d", i), "区县", "city", 100)
	}
	draw := d.draw(b, "city")
	b.ReportAllocs()
	for b.Loop() {
		draw()
	}
}
