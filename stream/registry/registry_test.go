package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/registry"
)

// memory is a log of one topic per name, in memory.
type memory struct {
	mu     sync.Mutex
	values map[string][][]byte
	reads  int
	err    error
}

func (m *memory) put(topic string, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[topic] = append(m.values[topic], value)
}

func (m *memory) ReadFrom(_ context.Context, p log.Partition, from log.Offset, f func(log.Offset, *log.Record) error) (log.Offset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	all := m.values[p.Topic]
	for o := max(from, 0); int(o) < len(all); o++ {
		if err := f(o, &log.Record{Value: all[o]}); err != nil {
			return 0, err
		}
	}
	return log.Offset(len(all)), m.err
}

func table(source, name string, columns ...string) *schema.Table {
	t := &schema.Table{Source: source, Dataset: name, Database: "xueji", Name: name, Key: []int{0},
		Columns: []schema.Column{{Name: "xh", Type: schema.Type{Kind: schema.Int64}}}}
	for _, c := range columns {
		t.Columns = append(t.Columns, schema.Column{Name: c, Type: schema.Type{Kind: schema.String}, Nullable: true})
	}
	return t
}

func record(t *testing.T, tab *schema.Table) []byte {
	t.Helper()
	_, value, err := envelope.MarshalSchema(tab)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func org(code string) registry.Org {
	return registry.Org{Code: code, Changes: "tributary." + code + ".changes", Schemas: "tributary." + code + ".schemas"}
}

// rig serves two orgs. The first has, by id: student, student again, school,
// a record of nobody's, student with a column more.
func rig(t *testing.T) (*memory, string) {
	t.Helper()
	m := &memory{values: map[string][][]byte{}}
	a, b := org("330106"), org("330108")
	for _, v := range [][]byte{record(t, table("330106-xueji", "student")), record(t, table("330106-xueji", "student")), record(t, table("330106-xueji", "school")),
		[]byte("{"), record(t, table("330106-xueji", "student", "xm"))} {
		m.put(a.Schemas, v)
	}
	m.put(b.Schemas, record(t, table("330108-renshi", "teacher")))
	r, err := registry.New(m, []registry.Org{a, b}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(r.Handler())
	t.Cleanup(s.Close)
	return m, s.URL
}

func call(t *testing.T, method, url string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // read only
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(body)), res.Header
}

const (
	topic   = "tributary.330106.changes"
	student = topic + "-tributary._330106_u002dxueji.xueji.student.Envelope"
	school  = topic + "-tributary._330106_u002dxueji.xueji.school.Envelope"
)

func TestReadCalls(t *testing.T) {
	_, base := rig(t)
	quoted := func(tab *schema.Table) string {
		text, err := envelope.AvroSchema(tab)
		if err != nil {
			t.Fatal(err)
		}
		q, err := json.Marshal(string(text))
		if err != nil {
			t.Fatal(err)
		}
		return string(q)
	}
	first, later := quoted(table("330106-xueji", "student")), quoted(table("330106-xueji", "student", "xm"))
	for path, want := range map[string]string{
		"/330106/":              `{}`,
		"/330106/schemas/types": `["AVRO"]`,
		"/330106/schemas/ids/0": `{"schema":` + first + `}`,
		"/330106/schemas/ids/1": `{"schema":` + first + `}`, // published twice
		"/330106/schemas/ids/4?subject=" + topic + "-value":   `{"schema":` + later + `}`,
		"/330106/schemas/ids/0?fetchMaxId=true":               `{"maxId":4,"schema":` + first + `}`,
		"/330108/schemas/ids/0":                               `{"schema":` + quoted(table("330108-renshi", "teacher")) + `}`,
		"/330106/schemas/ids/1/versions":                      `[{"subject":"` + topic + `-value","version":1},{"subject":"` + student + `","version":1}]`,
		"/330106/schemas/ids/4/versions":                      `[{"subject":"` + topic + `-value","version":3},{"subject":"` + student + `","version":2}]`,
		"/330106/schemas/ids/2/subjects":                      `["` + topic + `-value","` + school + `"]`,
		"/330106/subjects":                                    `["` + school + `","` + student + `","` + topic + `-value"]`,
		"/330106/subjects?subjectPrefix=" + topic + "-v":      `["` + topic + `-value"]`,
		"/330106/subjects?subjectPrefix=:*:":                  `["` + school + `","` + student + `","` + topic + `-value"]`,
		"/330106/subjects/" + topic + "-value/versions":       `[1,2,3]`,
		"/330106/subjects/" + student + "/versions":           `[1,2]`,
		"/330106/subjects/" + student + "/versions/1":         `{"id":0,"schema":` + first + `,"subject":"` + student + `","version":1}`,
		"/330106/subjects/" + student + "/versions/latest":    `{"id":4,"schema":` + later + `,"subject":"` + student + `","version":2}`,
		"/330106/subjects/" + topic + "-value/versions/-1":    `{"id":4,"schema":` + later + `,"subject":"` + topic + `-value","version":3}`,
		"/330106/config":                                      `{"compatibilityLevel":"NONE"}`,
		"/330106/config/" + student + "?defaultToGlobal=true": `{"compatibilityLevel":"NONE"}`,
		"/330106/mode": `{"mode":"READONLY"}`,
		"/330106/subjects/" + student + "/versions/latest/schema": unquote(t, later),
		"/330106/schemas/ids/0/schema":                            unquote(t, first),
	} {
		status, body, header := call(t, http.MethodGet, base+path)
		if status != http.StatusOK || body != want {
			t.Errorf("%s: %d %s\nwant %s", path, status, body, want)
		}
		if got := header.Get("Content-Type"); got != "application/vnd.schemaregistry.v1+json" {
			t.Errorf("%s: content type %q", path, got)
		}
	}
}

func unquote(t *testing.T, q string) (s string) {
	t.Helper()
	if err := json.Unmarshal([]byte(q), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRefusals(t *testing.T) {
	m, base := rig(t)
	for _, tt := range []struct {
		method, path string
		status, code int
		says         string
	}{
		{"GET", "/330106/schemas/ids/99", 404, 40403, "Schema 99 not found"},
		{"GET", "/330106/schemas/ids/3", 404, 40403, "Schema 3 not found"}, // nobody can read it
		{"GET", "/330106/schemas/ids/4294967296", 404, 404, "isn't an id"},
		{"GET", "/330106/schemas/ids/99/versions", 404, 40403, "Schema 99 not found"},
		{"GET", "/330106/subjects/none/versions", 404, 40401, "Subject 'none' not found."},
		{"GET", "/330106/subjects/none/versions/latest", 404, 40401, "Subject 'none' not found."},
		{"GET", "/330106/subjects/" + student + "/versions/3", 404, 40402, "Version 3 not found."},
		{"GET", "/330106/subjects/" + student + "/versions/0", 422, 42202, "'0' is not a valid version id"},
		{"GET", "/330106/subjects/" + student + "/versions/newest", 422, 42202, "'newest' is not a valid version id"},
		{"GET", "/330106/config/" + student, 404, 40408, "does not have subject-level compatibility"},
		{"GET", "/schemas/ids/0", 404, 404, "/330106, /330108"}, // without the org
		{"GET", "/330200/schemas/ids/0", 404, 404, `no org "330200"`},
		{"POST", "/330106/subjects/" + student + "/versions", 405, 405, "read-only"},
		{"POST", "/330106/subjects/" + student, 405, 405, "read-only"},
		{"PUT", "/330106/config", 405, 405, "read-only"},
		{"DELETE", "/330106/subjects/" + student, 405, 405, "read-only"},
	} {
		refused(t, tt.method, base+tt.path, tt.status, tt.code, tt.says)
	}
	m.mu.Lock()
	m.err = fmt.Errorf("broker secret.example:9092: %w", log.ErrUnavailable)
	m.mu.Unlock()
	refused(t, "GET", base+"/330106/subjects", 500, 50001, "the log can't be read")
	refused(t, "GET", base+"/330106/schemas/ids/98", 500, 50001, "the log can't be read")
	if status, _, _ := call(t, "GET", base+"/330106/schemas/ids/0"); status != http.StatusOK {
		t.Errorf("a known id while the log is away: %d", status)
	}
}

func refused(t *testing.T, method, url string, status, code int, says string) {
	t.Helper()
	got, body, header := call(t, method, url)
	var answer struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || got != status || answer.Code != code || !strings.Contains(answer.Message, says) {
		t.Errorf("%s %s: %d %s, want %d with %d and %q", method, url, got, body, status, code, says)
	}
	if strings.Contains(body, "secret") {
		t.Errorf("%s %s tells too much: %s", method, url, body)
	}
	if allow := header.Get("Allow"); status == http.StatusMethodNotAllowed && allow != "GET, HEAD" {
		t.Errorf("%s %s allows %q", method, url, allow)
	}
}

func TestFollowsTheTopic(t *testing.T) {
	m, base := rig(t)
	url := base + "/330106/schemas/ids/5"
	refused(t, "GET", url, 404, 40403, "Schema 5 not found")
	m.put(org("330106").Schemas, record(t, table("330106-xueji", "class")))
	if status, body, _ := call(t, "GET", url); status != http.StatusOK || !strings.Contains(body, "class") {
		t.Errorf("published since: %d %s", status, body)
	}
	before := m.reads
	for range 5 {
		call(t, "GET", url)
	}
	if m.reads != before {
		t.Errorf("%d reads of the log for a known id", m.reads-before)
	}
	m.mu.Lock()
	m.values[org("330106").Schemas] = m.values[org("330108").Schemas] // deleted and made again
	m.mu.Unlock()
	if _, body, _ := call(t, "GET", base+"/330106/subjects/"+topic+"-value/versions"); body != "[1]" {
		t.Errorf("versions of the new topic: %s", body)
	}
}

func TestOptions(t *testing.T) {
	for name, orgs := range map[string][]registry.Org{"none": nil, "no topic": {{Code: "330106"}}} {
		if _, err := registry.New(&memory{}, orgs, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
