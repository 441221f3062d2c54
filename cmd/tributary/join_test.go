package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestRegistration goes from a new hub to an agent's assignment, by the commands that
// people type: the administrator's link, the tree, an invitation, join, a proposal,
// its approval, and what the agent reads of it, also once the hub is gone.
func TestRegistration(t *testing.T) {
	db := servers.Postgres(t, map[string]string{"wal_level": "logical"})
	broker, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	sql(t, db, "CREATE SCHEMA xueji; CREATE TABLE xueji.student (xh bigint PRIMARY KEY, xm text, sfzjh varchar(18), c4 bigint, bz text); COMMENT ON COLUMN xueji.student.bz IS '家庭住址'; CREATE TABLE xueji.score (xh bigint PRIMARY KEY, note text); "+
		"INSERT INTO xueji.score VALUES (1, 'not granted'); INSERT INTO xueji.student VALUES (1, '"+students[0]+"', '"+students[1]+"', "+students[2]+", '"+students[3]+"')")
	dir := t.TempDir()
	hub := hubFile(t, db, "")
	text, err := os.ReadFile(hub)
	if err != nil {
		t.Fatal(err)
	}
	more := fmt.Sprintf("http: 127.0.0.1:0\nagents: 127.0.0.1:0\ndata_dir: %s/hub\npartitions: 3\n", dir)
	hub = file(t, "hub.yml", strings.NewReplacer("accounts: none\n", more, "127.0.0.1:1\"", broker.Addr()+"\"").Replace(string(text)))
	well(t, "org", "import", file(t, "orgs.csv", well(t, "org", "example")), "--config", hub)

	h := startHub(t, hub, 2)
	base := strings.TrimSuffix(h.lines[0], "/")
	admin := newCaller(t, base).enter("admin", h.lines[1])
	op, ap := admin.person("op", "operator@330100"), admin.person("ap", "approver@330100")
	invited := op.post("/api/invitations", map[string]any{"org": "330106"})
	join := append(strings.Fields(invited["command"].(string))[1:], "--dir", filepath.Join(dir, "joined"), "--name", "host")
	if out := well(t, join...); !strings.Contains(out, "joined 西湖区 (330106) as agent 330106.1") {
		t.Error(out)
	}
	fails(t, "ALREADY_JOINED", join...)
	join[4] = filepath.Join(dir, "other")
	fails(t, "INVITATION_USED", join...)
	fails(t, "HUB_UNREACHABLE", "join", "https://127.0.0.1:1", join[2], "--dir", filepath.Join(dir, "third"))

	byFile(t, op, dir)

	at := []string{"--dir", filepath.Join(dir, "joined")}
	agent := file(t, "agent.yml", fmt.Sprintf("name: a1\norg: \"330106\"\ndata_dir: %s/agent\nlog: {brokers: [%q], embedded: true}\njoined: %s/joined\nsources:\n  - {name: xueji, engine: postgres, host: %s, port: %d, database: %s, user: %s, password_env: TRIBUTARY_TEST_STATE, tls: {mode: none}, first_start: load, tables: [\"xueji.*\"]}\n",
		dir, broker.Addr(), dir, db.Host, db.Port, db.Database, db.User))
	if out := well(t, append([]string{"certificate", "show"}, at...)...); !strings.Contains(out, "agent 330106.1 of 西湖区 (330106)") {
		t.Error(out)
	}
	well(t, append([]string{"certificate", "renew"}, at...)...)
	first := filepath.Join(dir, "etc", "agent.yml")
	password := file(t, "password", db.Password)
	add := append([]string{"source", "add", first, "--name", "xueji", "--engine", "postgres", "--host", db.Host, "--port", fmt.Sprint(db.Port), "--database", db.Database, "--user", db.User, "--password-file", password, "--tables", "xueji.*", "--first-start", "load"}, at...)
	fails(t, "NOT_JOINED", append(slices.Clone(add[:len(add)-1]), dir)...)
	fails(t, "USAGE_VALUE", append(slices.Clone(add), "--brokers", "kafka1")...)
	fails(t, "USAGE_FLAG", add...) // the question has no answer
	well(t, append(slices.Clone(add), "--brokers", broker.Addr())...)
	var begun config.Agent
	if err := config.Load(first, &begun); err != nil || begun.Org != "330106" || begun.Joined != filepath.Join(dir, "joined") || !begun.Log.Embedded || len(begun.Sources) != 1 || begun.DataDir != filepath.Join(dir, "agent") {
		t.Errorf("the file that was made: %+v, %v", begun, err)
	}
	dry := well(t, append([]string{"source", "propose", agent, "xueji", "--dry-run"}, at...)...)
	for _, want := range []string{"xueji.student", "xueji.score", "sfzjh", "id number", "by its name, by the form of values", "100 %", "by its comment", "2 rows of 2 tables were looked at"} {
		if !strings.Contains(dry, want) {
			t.Errorf("%q is missing in %s", want, dry)
		}
	}
	staysHere(t, dry, db.Password)
	if out := well(t, append([]string{"source", "propose", agent, "xueji", "--dry-run", "--names-only"}, at...)...); !strings.Contains(out, "No row was looked at.") || strings.Contains(out, "100 %") {
		t.Error(out)
	}
	fails(t, "USAGE_VALUE", append([]string{"source", "propose", agent, "xueji", "--standing", "main"}, at...)...)
	fails(t, "NOT_JOINED", "source", "list", "--dir", dir)
	fails(t, "SOURCE_NOT_GRANTED", "agent", "--config", agent)
	if out := well(t, append([]string{"source", "propose", agent, "xueji"}, at...)...); !strings.Contains(out, "request 1 waits") {
		t.Error(out)
	}
	left(t, dir, db.Password)
	var asked struct{ Data state.Request }
	ap.ask(http.MethodGet, "/api/requests/1", "", nil, &asked)
	if p := asked.Data.Content; p.Looked != state.LookedForms || len(p.Tables) != 2 || p.Tables[1].Sampled != 1 || len(p.Tables[1].Personal) != 5 {
		t.Errorf("%+v", p)
	}
	ap.post("/api/requests/1/approve", map[string]any{"tables": []string{"xueji.student"}, "reason": "成绩另行归集"})
	if out := well(t, append([]string{"source", "list"}, at...)...); !strings.Contains(out, "approved in part") {
		t.Error(out)
	}
	if out := well(t, append([]string{"source", "fetch"}, at...)...); !strings.Contains(out, "tributary.330106.changes/0") || strings.Contains(out, "score") {
		t.Error(out)
	}
	client, err := kafka.New(kafka.Options{Brokers: []string{broker.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if n, err := client.Partitions(t.Context(), kafka.Changes("330106")); err != nil || n != 3 {
		t.Errorf("%d partitions, %v", n, err)
	}

	h.stop() // the rest needs no hub
	var c config.Agent
	if err := config.Load(agent, &c); err != nil {
		t.Fatal(err)
	}
	m, _, err := granted(&c, slog.New(slog.DiscardHandler))
	if err != nil || m.Agent != "330106.1" || !slices.Equal(c.Sources[0].Tables, []string{"xueji.student"}) || c.Sources[0].Partition != 0 || c.Sources[0].Datasets["xueji.student"] != "student" {
		t.Errorf("%+v, %v", c.Sources, err)
	}
	vanished(t, &c)
	fails(t, "HUB_UNREACHABLE", append([]string{"source", "fetch"}, at...)...)
	if out := well(t, "source", "report", agent); !strings.Contains(out, "nothing has left") {
		t.Error(out)
	}
	fails(t, "USAGE_VALUE", "source", "report", agent, "--day", "29.11.2026")
	loads(t, client, "330106", agent)
	if out := well(t, "source", "report", agent); !strings.Contains(out, "330106-xueji  postgres.xueji.student  student  1") || strings.Contains(out, "score") {
		t.Error(out)
	}
	again := startHub(t, hub, 1)
	op.base, ap.base = strings.TrimSuffix(again.lines[0], "/"), strings.TrimSuffix(again.lines[0], "/")
	restsByHub(t, &registered{db: db, client: client, op: op, ap: ap, dir: dir, agent: agent})
	changesHands(t, &registered{db: db, client: client, op: op, ap: ap, dir: dir, agent: agent})
	byPage(t, db, dir)
	sourceByFile(t, &registered{db: db, op: op, ap: ap, dir: dir}, broker.Addr())
	if strings.Contains(strings.Join(again.lines, ""), "setup") {
		t.Error("a link although there is an administrator")
	}
	if next := op.post("/api/invitations", map[string]any{"org": "330108"}); next["org"] != "330108" { // the session is the database's
		t.Errorf("%v", next)
	}
	beyondLoopback(t, file(t, "wide.yml", strings.NewReplacer("accounts: none\n", strings.ReplaceAll(more, "127.0.0.1:0", "0.0.0.0:0")+"names: [127.0.0.1]\n", "127.0.0.1:1\"", broker.Addr()+"\"").Replace(string(text))))
	if err := os.Remove(filepath.Join(dir, "hub", "authority.key")); err != nil {
		t.Fatal(err)
	}
	fails(t, "HUB_KEY_MISSING", "hub", "--config", hub)
}

// students are the values of the source's row.
var students = []string{"王小明的名字不离开", "11010519491231002X", "13800138000", "西湖区文三路 138 号，对花生过敏"}

// staysHere: a text has no value of the source, and no password.
func staysHere(t *testing.T, text, password string) {
	t.Helper()
	for _, value := range append([]string{"not granted", password}, students...) {
		if strings.Contains(text, value) {
			t.Errorf("%q leaves the house: %s", value, text)
		}
	}
}

// left looks at the file that holds what the agent has sent, byte by byte.
func left(t *testing.T, dir, password string) {
	t.Helper()
	sent, err := filepath.Glob(filepath.Join(dir, "joined", "sent", "xueji-*.json"))
	if err != nil || len(sent) != 1 {
		t.Fatalf("%v, %v", sent, err)
	}
	b, err := os.ReadFile(sent[0])
	if err != nil {
		t.Fatal(err)
	}
	var p state.Proposal
	if err := json.Unmarshal(b, &p); err != nil || p.Name != "xueji" || !strings.Contains(string(b), `"sfzjh"`) {
		t.Errorf("%s, %v", b, err)
	}
	staysHere(t, string(b), password)
}

// vanished: a table that was granted, and that the source doesn't have any more, is told of
// by name and stands among the stopped ones.
func vanished(t *testing.T, c *config.Agent) {
	t.Helper()
	missing, err := missingTables(t.Context(), c, c.Sources[0], []string{"xueji.left'\"😀", "xueji.student"})
	if err != nil || !slices.Equal(missing, []string{"xueji.left'\"😀"}) {
		t.Errorf("%q, %v", missing, err)
	}
	a := absent{of: map[string][]string{}}
	if !a.set("330106-xueji", missing) || a.set("330106-xueji", missing) {
		t.Error("what is missing is told twice, or never")
	}
	got := a.over([]pipeline.Status{{Source: "330106-xueji"}, {Source: "330106-other"}})
	if len(got[0].Stopped) != 1 || got[0].Stopped[0].Table != missing[0] || got[0].Stopped[0].Code != absentCode || len(got[1].Stopped) != 0 {
		t.Errorf("%+v", got)
	}
	if !a.set("330106-xueji", nil) || len(a.over([]pipeline.Status{{Source: "330106-xueji"}})[0].Stopped) != 0 {
		t.Error("it is there again, and still told of")
	}
}

// byFile joins an agent without a connection: a request file, the operator's answer on the
// hub, and the answer's file.
func byFile(t *testing.T, op *caller, dir string) {
	t.Helper()
	invited := op.post("/api/invitations", map[string]any{"org": "330108"})
	request, answer := filepath.Join(dir, "request.json"), filepath.Join(dir, "answer.json")
	join := append(strings.Fields(invited["command"].(string))[1:], "--dir", filepath.Join(dir, "far"), "--name", "远处")
	well(t, append(join, "--offline", request)...)
	fails(t, "FILE_NOT_WRITTEN", append(join, "--offline", request)...)
	fails(t, "USAGE_FLAG", append(join, "--offline", request, "--answer", answer)...)
	fails(t, "CONFIG_FILE", append(join, "--answer", answer)...)
	b, err := os.ReadFile(request)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(op.post("/api/invitations/answer", map[string]any{"request": string(b)}))
	if err == nil {
		err = os.WriteFile(answer, got, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out := well(t, append(join, "--answer", answer)...); !strings.Contains(out, "joined 滨江区 (330108)") {
		t.Error(out)
	}
	well(t, "source", "list", "--dir", filepath.Join(dir, "far"))
}

// sourceByFile registers a source of the agent that has joined by a file, and goes on by files
// only: the agent can't reach the hub.
func sourceByFile(t *testing.T, r *registered, broker string) {
	t.Helper()
	far := filepath.Join(r.dir, "far")
	at := func(args ...string) []string { return append(args, "--dir", far) }
	cutOff(t, far)
	agent := file(t, "far.yml", fmt.Sprintf("name: far\norg: \"330108\"\ndata_dir: %s/far-agent\nlog: {brokers: [%q], embedded: true}\njoined: %s\nsources:\n  - {name: xueji, engine: postgres, host: %s, port: %d, database: %s, user: %s, password_env: TRIBUTARY_TEST_STATE, tls: {mode: none}, first_start: load, tables: [\"xueji.*\"]}\n",
		r.dir, broker, far, r.db.Host, r.db.Port, r.db.Database, r.db.User))
	fails(t, "HUB_UNREACHABLE", at("source", "propose", agent, "xueji", "--standing", "check")...)
	fails(t, "HUB_UNREACHABLE", at("certificate", "renew")...)
	renewal := filepath.Join(r.dir, "renewal.json")
	well(t, at("certificate", "renew", "--offline", renewal)...)
	renewed, err := os.ReadFile(renewal)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(r.op.post("/api/invitations/answer", map[string]any{"request": string(renewed)}))
	if err != nil {
		t.Fatal(err)
	}
	well(t, at("certificate", "renew", "--answer", file(t, "renewed.json", string(answer)))...)
	letter, assigned := filepath.Join(r.dir, "letter.json"), filepath.Join(r.dir, "assignments.json")
	text, err := os.ReadFile(agent)
	if err != nil {
		t.Fatal(err)
	}
	slashed := file(t, "slashed.yml", strings.Replace(string(text), "tables:", `datasets: {xueji.student: "a/b"}, tables:`, 1))
	fails(t, "DATASET_NAME", at("source", "propose", slashed, "xueji", "--offline", letter)...)
	if out := well(t, at("source", "propose", agent, "xueji", "--standing", "check", "--offline", letter)...); !strings.Contains(out, letter) {
		t.Error(out)
	}
	fails(t, "FILE_NOT_WRITTEN", at("source", "propose", agent, "xueji", "--standing", "check", "--offline", letter)...)
	b, err := os.ReadFile(letter)
	if err != nil {
		t.Fatal(err)
	}
	var opened struct{ Payload []byte }
	if err := json.Unmarshal(b, &opened); err != nil || !bytes.Contains(opened.Payload, []byte("xueji.student")) {
		t.Errorf("%s, %v", opened.Payload, err)
	}
	staysHere(t, string(opened.Payload), r.db.Password)
	id := r.op.post("/api/requests", map[string]any{"letter": string(b)})["id"].(float64)
	fetched := func() {
		t.Helper()
		var signed json.RawMessage
		r.op.ask(http.MethodGet, "/api/agents/330108.2/assignments", "", nil, &signed)
		if err := os.WriteFile(assigned, signed, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fetched()
	early, err := os.ReadFile(assigned)
	if err != nil {
		t.Fatal(err)
	}
	well(t, at("source", "assign", assigned)...)
	fails(t, "SOURCE_NOT_GRANTED", "agent", "--config", agent)
	r.ap.post(fmt.Sprintf("/api/requests/%.0f/approve", id), map[string]any{"tables": []string{"xueji.student"}, "reason": "成绩另行归集"})
	fetched()
	fails(t, "GRANT_FORGED", "source", "assign", assigned, "--dir", filepath.Join(r.dir, "joined")) // another agent's
	fails(t, "ANSWER_INVALID", at("source", "assign", file(t, "x.json", "{"))...)
	fails(t, "CONFIG_FILE", at("source", "assign", filepath.Join(r.dir, "none"))...)
	if out := well(t, at("source", "assign", assigned)...); !strings.Contains(out, "330108-xueji") || !strings.Contains(out, "tributary.330108.changes/0") || strings.Contains(out, "score") {
		t.Error(out)
	}
	fails(t, "GRANT_OLDER", at("source", "assign", file(t, "early.json", string(early)))...)
	client, err := kafka.New(kafka.Options{Brokers: []string{broker}}) // one that knows the new topics at once
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	loads(t, client, "330108", agent)
	if out := well(t, "source", "report", agent); !strings.Contains(out, "330108-xueji  postgres.xueji.student  student") {
		t.Error(out)
	}
	released := filepath.Join(r.dir, "released.json")
	fails(t, "SOURCE_NOT_RETIRED", at("source", "release", agent, "xueji", "--offline", released)...)
	r.ap.post("/api/sources/330108-xueji/retire", map[string]any{"reason": "系统下线"})
	fetched()
	well(t, at("source", "assign", assigned)...)
	if out := well(t, at("source", "release", agent, "xueji", "--offline", released, "--lang", "en")...); !strings.Contains(out, released) {
		t.Error(out)
	}
	if b, err = os.ReadFile(released); err != nil {
		t.Fatal(err)
	}
	r.op.post("/api/requests", map[string]any{"letter": string(b)})
	var sources []state.Assignment
	r.op.ask(http.MethodGet, "/api/sources", "", nil, &struct{ Data any }{&sources})
	if i := slices.IndexFunc(sources, func(a state.Assignment) bool { return a.Source == "330108-xueji" }); i < 0 || sources[i].LetGo == nil {
		t.Errorf("the hub doesn't know that the source is let go of: %+v", sources)
	}
}

// cutOff has an agent look for its hub where nothing is.
func cutOff(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, "joined.json")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err = json.Unmarshal(b, &m); err == nil {
		m["url"] = "https://127.0.0.1:1"
		b, err = json.Marshal(m)
	}
	if err == nil {
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// loads runs the agent without its hub until the granted table's row is in the log. No row
// of the other one is.
func loads(t *testing.T, client *kafka.Client, org, agent string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runAgent(ctx, agent, io.Discard, slog.New(slog.DiscardHandler)) }()
	all := ""
	for deadline := time.Now().Add(60 * time.Second); !strings.Contains(all, "王小明的名字不离开"); {
		if time.Now().After(deadline) {
			t.Fatal("no row comes")
		}
		all = ""
		_, err := client.ReadAll(ctx, log.Partition{Topic: kafka.Changes(org)}, func(_ log.Offset, r *log.Record) error {
			all += string(r.Value)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond): // the log has no way to be waited for a text
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if strings.Contains(all, "not granted") {
		t.Error("a row of a table that wasn't granted has left")
	}
}

// beyondLoopback: two hubs run on one database, and where others can come, pages are
// served by TLS only.
func beyondLoopback(t *testing.T, hub string) {
	t.Helper()
	h := startHub(t, hub, 1)
	addr, ok := strings.CutPrefix(h.lines[0], "https://127.0.0.1:")
	if !ok {
		t.Fatal(h.lines)
	}
	get := func(url string, header ...string) (*http.Response, error) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(header) > 0 {
			req.Host = header[0]
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // what is in the certificate is looked at below
		defer transport.CloseIdleConnections()
		res, err := transport.RoundTrip(req)
		if err == nil {
			err = res.Body.Close()
		}
		return res, err
	}
	if res, err := get("http://127.0.0.1:" + addr + "login"); err == nil && res.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %s", res.Status)
	}
	res, err := get("https://127.0.0.1:" + addr + "login")
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Strict-Transport-Security") == "" || res.TLS.PeerCertificates[0].VerifyHostname("127.0.0.1") != nil {
		t.Fatalf("%v, %v", res, err)
	}
	if cookie := res.Header.Get("Set-Cookie"); !strings.Contains(cookie, "Secure") {
		t.Error(cookie)
	}
	for name, want := range map[string]int{"127.0.0.1": http.StatusOK, "hub.example": http.StatusForbidden} {
		if res, err := get("https://127.0.0.1:"+addr+"metrics", name); err != nil || res.StatusCode != want {
			t.Errorf("metrics as %s: %v, %v", name, res, err)
		}
	}
	if res, err := get("https://127.0.0.1:"+addr+"login", "evil.example"); err != nil || res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another name: %v, %v", res, err)
	}
}

func sql(t *testing.T, db servers.DB, text string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), db.URL())
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Exec(t.Context(), text)
	if err = errors.Join(err, c.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}
