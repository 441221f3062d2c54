package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/tributary-cdc/tributary/cmd/hub/joined"
	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/peer"
	"github.com/tributary-cdc/tributary/test/servers"
)

// districts is a hub over a Kafka with authorisation, and two districts whose agents have
// joined it and proposed a source each.
type districts struct {
	t          *testing.T
	dir        string
	ca         *servers.Authority
	kafka      *local.Kafka
	admin      *kafka.Client // may do everything
	db         servers.DB
	hub        *running
	op, ap     *caller
	auditor    *caller
	agentFiles map[string]string // by org
	passwords  map[string]string // of the log, by org
}

// TestRights: an approval makes the agent a user of Kafka who may use the topics and
// transactional ids of its own org and nothing else, whose password is only where it has to
// be, and who ends when the agent is shut out. Of what Kafka refuses the hub nothing is half
// done. One broker is enough for all of it.
func TestRights(t *testing.T) {
	d := newDistricts(t)
	d.refusesWithoutRights()
	d.approves()
	d.keepsPasswords()
	d.loads("330106")
	d.hostile("330106", "330108")
	d.retires("330106")
	d.shutsOut("330108")
}

func newDistricts(t *testing.T) *districts {
	d := &districts{t: t, dir: t.TempDir(), ca: servers.NewAuthority(t), agentFiles: map[string]string{}, passwords: map[string]string{}}
	d.kafka = servers.SecureKafka(t, d.ca, false)
	d.db = servers.Postgres(t, map[string]string{"wal_level": "logical"})
	var err error
	if d.admin, err = kafka.New(kafka.Options{Brokers: []string{d.kafka.Addr}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.admin.Close)
	const word = "a word of the hub"
	t.Setenv("TRIBUTARY_TEST_KAFKA", word)
	if err := d.kafka.SetUser(t.Context(), "hub", word); err != nil {
		t.Fatal(err)
	}
	d.allow(kafkago.ResourceTypeCluster, "kafka-cluster", kafkago.ACLOperationTypeCreate)
	d.allow(kafkago.ResourceTypeTopic, kafka.Prefix, kafkago.ACLOperationTypeRead, kafkago.ACLOperationTypeDescribeConfigs)

	way := fmt.Sprintf("brokers: [%q], durability: single, tls: {mode: verify-full, ca_file: %s}", d.kafka.Secure, d.ca.File)
	text, err := os.ReadFile(hubFile(t, d.db, ""))
	if err != nil {
		t.Fatal(err)
	}
	hub := file(t, "hub.yml", strings.NewReplacer("accounts: none\n", fmt.Sprintf("http: 127.0.0.1:0\nagents: 127.0.0.1:0\ndata_dir: %s/hub\n", d.dir),
		`brokers: ["127.0.0.1:1"], embedded: true`, way+", sasl: {mechanism: SCRAM-SHA-512, user: hub, password_env: TRIBUTARY_TEST_KAFKA}").Replace(string(text)))
	well(t, "org", "import", file(t, "orgs.csv", well(t, "org", "example")), "--config", hub)
	d.hub = startHub(t, hub, 2)
	admin := newCaller(t, strings.TrimSuffix(d.hub.lines[0], "/")).enter("admin", d.hub.lines[1])
	d.op, d.ap, d.auditor = admin.person("op", "operator@330100"), admin.person("ap", "approver@330100"), admin.person("auditor", "auditor@330100")
	sql(t, d.db, "CREATE SCHEMA xueji; CREATE TABLE xueji.student (xh bigint PRIMARY KEY, xm text); INSERT INTO xueji.student VALUES (1, '王小明的名字不离开')")
	for _, org := range []string{"330106", "330108"} {
		invited := d.op.post("/api/invitations", map[string]any{"org": org})
		well(t, append(strings.Fields(invited["command"].(string))[1:], "--dir", d.joined(org), "--name", "host")...)
		d.agentFiles[org] = file(t, org+".yml", fmt.Sprintf("name: a1\norg: %q\ndata_dir: %s/agent-%s\nlog: {%s}\njoined: %s\nsources:\n  - {name: xueji, engine: postgres, host: %s, port: %d, database: %s, user: %s, password_env: TRIBUTARY_TEST_STATE, tls: {mode: none}, first_start: load, tables: [\"xueji.*\"]}\n",
			org, d.dir, org, way, d.joined(org), d.db.Host, d.db.Port, d.db.Database, d.db.User))
		well(t, "source", "propose", d.agentFiles[org], "xueji", "--dir", d.joined(org))
	}
	return d
}

func (d *districts) joined(org string) string { return filepath.Join(d.dir, "joined-"+org) }

// allow gives the hub's own user a right.
func (d *districts) allow(kind kafkago.ResourceType, name string, operations ...kafkago.ACLOperationType) {
	d.t.Helper()
	if err := d.kafka.Allow(d.t.Context(), "hub", kind, name, kind == kafkago.ResourceTypeTopic, operations...); err != nil {
		d.t.Fatal(err)
	}
}

var approval = map[string]any{"tables": []string{"xueji.student"}}

// rights are those of a user that the brokers know.
func (d *districts) rights(user string) (all []string) {
	d.t.Helper()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	c := &kafkago.Client{Addr: kafkago.TCP(d.kafka.Addr), Transport: transport}
	res, err := c.DescribeACLs(d.t.Context(), &kafkago.DescribeACLsRequest{Filter: kafkago.ACLFilter{ResourceTypeFilter: kafkago.ResourceTypeAny, ResourcePatternTypeFilter: kafkago.PatternTypeAny,
		PrincipalFilter: "User:" + user, Operation: kafkago.ACLOperationTypeAny, PermissionType: kafkago.ACLPermissionTypeAny}})
	if err = errors.Join(err, res.Error); err != nil {
		d.t.Fatal(err)
	}
	for _, r := range res.Resources {
		for _, a := range r.ACLs {
			all = append(all, fmt.Sprintf("%s %s %s %s %s %s", a.PermissionType, a.Operation, r.ResourceType, r.PatternType, r.ResourceName, a.Host))
		}
	}
	slices.Sort(all)
	return all
}

// refusesWithoutRights: a hub that may make topics, and no users, approves nothing.
func (d *districts) refusesWithoutRights() {
	d.t.Helper()
	if got := d.ap.refused(http.StatusServiceUnavailable, "/api/requests/1/approve", approval); !strings.Contains(got, `"RIGHTS_FORBIDDEN"`) || !strings.Contains(got, "agent-330106.1") {
		d.t.Error(got)
	}
	if got := d.rights("agent-330106.1"); len(got) > 0 {
		d.t.Errorf("rights are left: %v", got)
	}
	if got := d.get("/api/requests/1"); !strings.Contains(got, `"state":"pending"`) {
		d.t.Errorf("the request waits no more: %s", got)
	}
	if out := well(d.t, "source", "fetch", "--dir", d.joined("330106"), "--output", "json"); strings.Contains(out, "xueji") || strings.Contains(out, "SCRAM") {
		d.t.Error(out)
	}
	d.allow(kafkago.ResourceTypeCluster, "kafka-cluster", kafkago.ACLOperationTypeAlter)
}

// approves: the same again succeeds, with the least rights.
func (d *districts) approves() {
	d.t.Helper()
	for n, org := range []string{"330106", "330108"} {
		d.ap.post(fmt.Sprintf("/api/requests/%d/approve", n+1), approval)
		well(d.t, "source", "fetch", "--dir", d.joined(org))
		m, err := joined.Open(d.joined(org))
		if err != nil {
			d.t.Fatal(err)
		}
		if d.passwords[org], err = m.LogPassword(); err != nil || len(d.passwords[org]) != 64 {
			d.t.Fatalf("%q, %v", d.passwords[org], err)
		}
	}
	want := []string{"Allow Describe Transactionalid Prefixed tributary.330106. *", "Allow DescribeConfigs Topic Prefixed tributary.330106. *", "Allow IdempotentWrite Cluster Literal kafka-cluster *",
		"Allow Read Topic Prefixed tributary.330106. *", "Allow Write Topic Prefixed tributary.330106. *", "Allow Write Transactionalid Prefixed tributary.330106. *"}
	if got := d.rights("agent-330106.1"); !slices.Equal(got, want) {
		d.t.Errorf("rights %q, want %q", got, want)
	}
}

// keepsPasswords looks for the passwords where they must not be: the database, the pages,
// the answers, the files of the agent, the hub's log.
func (d *districts) keepsPasswords() {
	d.t.Helper()
	looked := map[string]string{"log": d.hub.said.String()}
	for _, page := range []string{"/api/requests/1", "/api/agents", "/api/sources", "/requests/1", "/requests", "/invitations"} {
		looked[page] = d.get(page)
	}
	looked["fetch"] = well(d.t, "source", "fetch", "--dir", d.joined("330106"), "--output", "json")
	if !strings.Contains(looked["fetch"], `"sealed"`) {
		d.t.Errorf("no login: %s", looked["fetch"])
	}
	files := 0
	err := filepath.WalkDir(d.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(name)
		looked[name] = string(b)
		var signed struct{ Payload []byte }
		if json.Unmarshal(b, &signed) == nil && len(signed.Payload) > 0 {
			looked[name+" payload"] = string(signed.Payload)
		}
		return err
	})
	if err != nil || files < 7 {
		d.t.Fatalf("%d files, %v", files, err)
	}
	c, err := pgx.Connect(d.t.Context(), d.db.URL())
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }() // read only
	rows, err := c.Query(d.t.Context(), "SELECT relname FROM pg_class WHERE relnamespace = 'tributary'::regnamespace AND relkind = 'r'")
	if err != nil {
		d.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 10 {
		d.t.Fatalf("%v, %v", tables, err)
	}
	for _, table := range tables {
		var all string
		if err := c.QueryRow(d.t.Context(), "SELECT coalesce(string_agg(t::text, ' '), '') FROM tributary."+table+" t").Scan(&all); err != nil {
			d.t.Fatal(err)
		}
		looked[table] = all
	}
	for where, text := range looked {
		for _, password := range d.passwords {
			if strings.Contains(text, password) {
				d.t.Errorf("%s has a password", where)
			}
		}
	}
}

// loads runs an agent as the user that the hub has made, until its row is in the log.
func (d *districts) loads(org string) {
	d.t.Helper()
	loads(d.t, d.admin, org, d.agentFiles[org])
}

// login is who an agent is for the log.
func (d *districts) login(org string) *kafka.Login {
	return &kafka.Login{Mechanism: kafka.ScramSHA512, User: "agent-" + org + "." + map[string]string{"330106": "1", "330108": "2"}[org], Password: func() (string, error) { return d.passwords[org], nil }}
}

// as is a client with an agent's user.
func (d *districts) as(org string) *kafka.Client {
	d.t.Helper()
	c, err := kafka.New(kafka.Options{Brokers: []string{d.kafka.Secure}, TLS: peer.TLS{Mode: peer.VerifyFull, CAFile: d.ca.File},
		SASL: d.login(org)})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(c.Close)
	return c
}

// shutsOut: an agent that is shut out is no user of the log any more, also while Kafka was
// away at first, and an open connection of it may do nothing.
func (d *districts) shutsOut(org string) {
	t := d.t
	t.Helper()
	open := d.as(org)
	own := log.Partition{Topic: kafka.Status(org)}
	if _, err := open.Put(t.Context(), own, []byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	none := log.Partition{Topic: kafka.Prefix + org + ".none"}
	out := map[string]any{"reason": "被盗"}
	if err := d.kafka.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.op.refused(http.StatusServiceUnavailable, "/api/agents/330108.2/revoke", out); !strings.Contains(got, `"RIGHTS_NOT_TAKEN"`) {
		t.Error(got)
	}
	fails(t, "CERTIFICATE_REVOKED", "source", "fetch", "--dir", d.joined(org))
	if page := d.get("/invitations"); !strings.Contains(page, "Kafka 用户尚未删除") {
		t.Error("the page doesn't tell that the user is left")
	}
	if err := d.kafka.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.eventually("the agent writes as before", func() bool {
		_, err := open.Put(t.Context(), own, []byte("k"), []byte("v"))
		return err == nil
	})
	d.op.post("/api/agents/330108.2/revoke", out)
	code := ""
	d.eventually("a client that is connected has no rights", func() bool { // one that lost its connection meanwhile can't log in
		_, err := open.Put(t.Context(), own, []byte("k"), []byte("v"))
		if now := log.CodeOf(err); now != code {
			code = now
			t.Logf("the client is told %q: %v", code, err)
		}
		return code == "LOG_ACL" || code == "LOG_LOGIN"
	})
	if _, err := open.Put(t.Context(), none, []byte("k"), []byte("v")); log.CodeOf(err) != "LOG_LOGIN" { // a broker is asked for it by a new connection
		t.Errorf("a topic that isn't there: %v, want LOG_LOGIN", err)
	}
	if _, _, err := d.as(org).Fetcher(own, 0).Bounds(t.Context()); log.CodeOf(err) != "LOG_LOGIN" {
		t.Errorf("a new connection: %v, want LOG_LOGIN", err)
	}
	if got := d.rights("agent-330108.2"); len(got) > 0 {
		t.Errorf("rights are left: %v", got)
	}
	if page := d.get("/invitations"); strings.Contains(page, "Kafka 用户尚未删除") {
		t.Error("the page tells of a user that is gone")
	}
}

// retires: an agent whose last source is retired lets go of it, ends, and is no user of the
// log any more.
func (d *districts) retires(org string) {
	t := d.t
	t.Helper()
	ended, stop := runs(t, d.agentFiles[org])
	defer stop()
	sql(t, d.db, "INSERT INTO xueji.student VALUES (2, '仍在采集')")
	(&registered{client: d.admin}).logged(t, "仍在采集")
	d.ap.post("/api/sources/"+org+"-xueji/retire", map[string]any{"reason": "系统下线"})
	well(t, "source", "fetch", "--dir", d.joined(org))
	if err := ends(t, "the retired source's", ended); err != nil {
		t.Error(err)
	}
	if got := d.rights("agent-" + org + ".1"); len(got) > 0 {
		t.Errorf("rights are left: %v", got)
	}
	if out := well(t, "source", "fetch", "--dir", d.joined(org), "--output", "json"); strings.Contains(out, "sealed") || !strings.Contains(out, "let_go") {
		t.Error(out)
	}
}

// get reads a page as the operator, who may see all of it.
func (d *districts) get(path string) string {
	d.t.Helper()
	res, err := d.op.http.Get(d.op.base + path)
	if err != nil {
		d.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
	return string(b)
}

// refused calls the API where it says no, and gives the answer.
func (c *caller) refused(status int, path string, in any) string {
	c.t.Helper()
	var who struct{ Data struct{ Form string } }
	c.ask(http.MethodGet, "/api/session", "", nil, &who)
	b, err := json.Marshal(in)
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.base+path, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Tributary-Form", who.Data.Form)
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != status {
		c.t.Errorf("%s: %s %s, %v; want %d", path, res.Status, body, err, status)
	}
	return string(body)
}
