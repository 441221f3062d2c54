package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestSecureWay: a row comes from a source over TLS through Kafka, which takes users of
// SCRAM over TLS only, to a store over TLS, with the handbook's ACLs and no other.
func TestSecureWay(t *testing.T) {
	ca := servers.NewAuthority(t)
	db := servers.PostgresPrograms(t, nil)
	ca.IssueInto(t, filepath.Join(db.Server.Dir, "data"), servers.Leaf{Name: "db.example", Hosts: []string{"127.0.0.1"}})
	admin := connect(t, db, "postgres")
	for _, sql := range []string{"ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()", "CREATE DATABASE xueji", "CREATE DATABASE city"} {
		mustExec(t, admin, sql)
	}
	await(t, "TLS at the source", func() bool { return slices.Equal(column(t, connect(t, db, "postgres"), "SHOW ssl"), []string{"on"}) })
	source := connect(t, db, "xueji")
	mustExec(t, source, "CREATE TABLE student (id int PRIMARY KEY, name text)")
	k := servers.SecureKafka(t, ca, false)
	for _, user := range []string{"agent-330106", "worker-city", "hub-city"} {
		if err := k.SetUser(t.Context(), user, db.Password); err != nil {
			t.Fatal(err)
		}
	}
	servers.HandbookACLs(t, k)
	open, err := kafka.New(kafka.Options{Brokers: []string{k.Addr}}) // as the administrator
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := open.CreateTopics(t.Context(), "330106", kafka.TopicOptions{}); err != nil {
		t.Fatal(err)
	}
	bin, dir := program.Build(t), t.TempDir()
	tls := fmt.Sprintf("tls: {mode: verify-full, ca_file: %s}", ca.File)
	logAs := func(user string) string {
		return fmt.Sprintf("{brokers: [%q], durability: single, %s, sasl: {mechanism: SCRAM-SHA-512, user: %s, password_env: TRIBUTARY_TEST_PASSWORD}}", k.Secure, tls, user)
	}
	hubPort := program.Port(t)
	procs := []*program.Process{
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330106"
data_dir: %s
log: %s
sources:
  - {name: xueji, engine: postgres, host: 127.0.0.1, port: %d, database: xueji, user: postgres, password_env: TRIBUTARY_TEST_PASSWORD, tables: ["public.*"], first_start: now, %s}
`, filepath.Join(dir, "agent"), logAs("agent-330106"), db.Port, tls)}},
		{Name: "city", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), `
name: city
orgs: ["330106"]
log: %s
store: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_env: TRIBUTARY_TEST_PASSWORD, %s}
`, logAs("worker-city"), db.Port, tls)}},
		{Name: "hub", Args: []string{"hub", "--config", program.Write(t, filepath.Join(dir, "hub.yml"), "http: 127.0.0.1:%d\naccounts: none\norgs: [\"330106\"]\nlog: %s\n", hubPort, logAs("hub-city"))}},
	}
	for _, p := range procs {
		p.Start(t, bin, dir, db.Password)
	}
	await(t, "the slot", func() bool {
		return slices.Equal(column(t, admin, `SELECT count(*)::text FROM pg_replication_slots WHERE active AND confirmed_flush_lsn IS NOT NULL`), []string{"1"})
	})
	mustExec(t, source, "INSERT INTO student SELECT i, '学生' || i FROM generate_series(1, 100) i")
	city := connect(t, db, "city")
	await(t, "the store's table", func() bool {
		return slices.Equal(column(t, city, "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'ods' AND tablename = 'student'"), []string{"1"})
	})
	await(t, "the rows", func() bool {
		return slices.Equal(column(t, city, "SELECT count(*)::text FROM ods.student WHERE name = '学生' || id"), []string{"100"})
	})
	if plain := column(t, admin, "SELECT count(*)::text FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name LIKE 'tributary%' AND NOT s.ssl"); !slices.Equal(plain, []string{"0"}) {
		t.Errorf("%v of our sessions are plain", plain)
	}
	await(t, "what agent and worker say, at the hub", func() bool { code, _ := ask(t, hubPort, "/-/ready"); return code == http.StatusOK })
	for i := len(procs) - 1; i >= 0; i-- {
		if !procs[i].Signal(syscall.SIGTERM) || !procs[i].Clean() {
			t.Errorf("%s didn't stop cleanly", procs[i].Name)
		}
	}
}
