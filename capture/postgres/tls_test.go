package postgres_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/peer"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestEncrypted: a server with hostssl only is read over TLS, its sessions and its stream,
// and each thing that is wrong with a certificate is told apart.
func TestEncrypted(t *testing.T) {
	db := servers.PostgresPrograms(t, nil)
	data := filepath.Join(db.Server.Dir, "data")
	ca, server := servers.NewAuthority(t), servers.Leaf{Name: "db.example", Hosts: []string{"127.0.0.1"}}
	ca.IssueInto(t, data, server)
	admin := open(t, db, "postgres")
	run(t, admin, "CREATE TABLE s (id int PRIMARY KEY)")
	run(t, admin, "CREATE TABLE fat (id int PRIMARY KEY, t text)")
	run(t, admin, "INSERT INTO fat SELECT n, repeat(chr(64 + n), n * 50000) FROM generate_series(1, 20) n")
	hba := func(line string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hba("hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl replication all 127.0.0.1/32 scram-sha-256\n")
	run(t, admin, "ALTER SYSTEM SET ssl = on")
	run(t, admin, "ALTER SYSTEM SET ssl_ca_file = '"+ca.File+"'")
	run(t, admin, "SELECT pg_reload_conf()")
	o := postgres.Options{Source: event.Source{ID: "330108-secret", Org: "330108", Engine: event.Postgres, Agent: "a1"},
		Host: "127.0.0.1", Port: db.Port, Database: "postgres", User: db.User, Password: db.Password, Tables: []string{"public.*"}}
	// look opens a session and gives the code of what is wrong. A reload takes a moment.
	look := func(code string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; {
			s, err := postgres.Open(t.Context(), o)
			if err == nil {
				err = s.Replicates(t.Context())
				s.Close(t.Context())
			}
			got, _ := capture.CodeOf(err)
			if got == code && (err == nil) == (code == "") {
				if err != nil && (capture.ActionOf(err) != capture.AskOperator || strings.Contains(err.Error(), o.Password)) {
					t.Errorf("%v", err)
				}
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%v, want %q", err, code)
			}
		}
	}
	full := peer.TLS{Mode: peer.VerifyFull, CAFile: ca.File}
	look(peer.Required)
	o.TLS = full
	look("")
	g := &rig{t: t, db: db, sql: admin, o: o}
	t.Cleanup(func() { _ = g.r.Close() })
	g.first()
	run(t, admin, "INSERT INTO s VALUES (1)")
	if seg := g.busy(); len(seg.Rows) != 1 {
		t.Errorf("%+v", seg)
	}
	var plain int
	if err := admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'tributary' AND NOT s.ssl").Scan(&plain); err != nil || plain != 0 {
		t.Errorf("%d sessions in plain text, %v", plain, err)
	}
	c := g.loaded("fat", snapshot.Request{Rows: 100, Bytes: 64 << 20})
	for i, row := range c.Rows {
		if n := i + 1; row.After[0].Int() != int64(n) || string(row.After[1].B) != strings.Repeat(string(rune(64+n)), n*50000) {
			t.Errorf("row %d is %d with %d bytes", n, row.After[0].Int(), len(row.After[1].B))
		}
	}
	if len(c.Rows) != 20 || !c.End {
		t.Errorf("%d rows over TLS", len(c.Rows))
	}

	o.TLS.ServerName = "other.example"
	look(peer.WrongName)
	o.TLS = peer.TLS{Mode: peer.VerifyCA, CAFile: ca.File}
	look("")
	o.TLS.CAFile = servers.NewAuthority(t).File
	look(peer.Untrusted)
	for _, mode := range []peer.Mode{peer.Require, peer.Prefer} {
		o.TLS = peer.TLS{Mode: mode}
		look("")
	}

	hba("hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\nhostssl replication all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n")
	run(t, admin, "SELECT pg_reload_conf()")
	o.TLS = full
	look(peer.NoClient)
	o.TLS.CertFile, o.TLS.KeyFile = ca.Issue(t, "client", servers.Leaf{Name: "agent"})
	look("")

	ca.IssueInto(t, data, servers.Leaf{Name: "db.example", Hosts: server.Hosts, Expired: true})
	run(t, admin, "SELECT pg_reload_conf()")
	look(peer.Expired)
	ca.IssueInto(t, data, server)
	run(t, admin, "SELECT pg_reload_conf()")
	look("")

	run(t, admin, "ALTER SYSTEM SET ssl = off")
	hba("host all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 scram-sha-256\n")
	run(t, admin, "SELECT pg_reload_conf()")
	o.TLS = full
	look(peer.Unsupported)
	o.TLS = peer.TLS{Mode: peer.Prefer}
	look("")
	if c, err := pgx.Connect(t.Context(), db.URL()); err != nil {
		t.Error(err)
	} else {
		_ = c.Close(t.Context()) // only a look
	}
}
