package mysql_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/peer"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestEncrypted: a server that takes no plain text is read over TLS, its sessions and its
// log, and each thing that is wrong with a certificate is told apart.
func TestEncrypted(t *testing.T) {
	for name, tt := range map[string]struct {
		start  servers.Starter
		reload string
		more   map[string]string
		plain  string       // what plain text is refused with
		next   servers.Leaf // of a certificate that takes the first one's place
		code   string
	}{
		// MariaDB 10.11 refuses plain text as a wrong password.
		"MariaDB": {servers.MariaDB, "FLUSH SSL", map[string]string{"ssl": "1"}, "MYSQL_LOGIN", servers.Leaf{Hosts: []string{"127.0.0.1"}, Expired: true}, peer.Expired},
		// MySQL loads no certificate that has expired.
		"MySQL": {servers.MySQL, "ALTER INSTANCE RELOAD TLS", nil, peer.Required, servers.Leaf{Hosts: []string{"other.example"}}, peer.WrongName},
	} {
		t.Run(name, func(t *testing.T) {
			ca, server := servers.NewAuthority(t), servers.Leaf{Name: "db.example", Hosts: []string{"127.0.0.1"}}
			settings := map[string]string{"ssl-ca": ca.File}
			settings["ssl-cert"], settings["ssl-key"] = ca.Issue(t, "server", server)
			for k, v := range tt.more {
				settings[k] = v
			}
			g := newRig(t, tt.start(t, settings), "secret")
			g.run("CREATE TABLE s (id int PRIMARY KEY)")
			g.run("SET GLOBAL require_secure_transport = ON")
			g.refusesTLS(tt.plain)
			full := peer.TLS{Mode: peer.VerifyFull, CAFile: ca.File}

			g.o.TLS = full
			g.r = nil
			g.first()
			g.run("INSERT INTO s VALUES (1)")
			if seg := g.busy(); len(seg.Rows) != 1 {
				t.Errorf("%+v", seg)
			}
			// A context that ends while the log is silent, and another one: the connection stays.
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			for seg, err := g.r.Next(ctx); err == nil; seg, err = g.r.Next(ctx) {
				if seg.Kind != event.Idle {
					t.Errorf("%+v", seg)
				}
			}
			cancel()
			g.run("INSERT INTO s VALUES (2), (3)")
			if seg := g.busy(); len(seg.Rows) != 2 {
				t.Errorf("%+v", seg)
			}
			src, err := g.r.Source(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if tables, err := src.Tables(t.Context()); err != nil || len(tables) != 1 {
				t.Errorf("%v, %v", tables, err)
			}
			if err := src.Close(); err != nil {
				t.Error(err)
			}
			if c := g.loaded("s"); len(c.Rows) != 3 {
				t.Errorf("%d rows by load", len(c.Rows))
			}
			if state := g.cipher(t); state == "" {
				t.Error("the session isn't encrypted")
			}

			g.o.TLS.ServerName = "other.example"
			g.refusesTLS(peer.WrongName)
			g.o.TLS = peer.TLS{Mode: peer.VerifyCA, CAFile: ca.File}
			g.cipher(t)
			g.o.TLS.CAFile = servers.NewAuthority(t).File
			g.refusesTLS(peer.Untrusted)
			g.o.TLS = peer.TLS{Mode: peer.Require}
			g.cipher(t)
			g.o.TLS = peer.TLS{Mode: peer.Prefer}
			if g.cipher(t) == "" {
				t.Error("prefer goes without what the server offers")
			}

			// The account that demands a certificate.
			g.run("CREATE USER 'shown'@'%' IDENTIFIED BY 'a word of the test' REQUIRE X509")
			g.run("GRANT ALL ON *.* TO 'shown'@'%'")
			g.o.User, g.o.Password, g.o.TLS = "shown", "a word of the test", full
			g.refuses("MYSQL_LOGIN")
			g.o.TLS.CertFile, g.o.TLS.KeyFile = ca.Issue(t, "client", servers.Leaf{Name: "agent"})
			g.cipher(t)
			g.o.TLS.KeyFile = settings["ssl-key"]
			g.refusesTLS(peer.BadFile)

			// What a certificate says counts when a connection is made: the server's, and ours.
			g.o.User, g.o.Password, g.o.TLS = g.db.User, g.db.Password, full
			ca.Issue(t, "server", tt.next)
			g.run(tt.reload)
			g.refusesTLS(tt.code)
			ca.Issue(t, "server", server)
			g.run(tt.reload)
			g.cipher(t)
		})
	}
}

// refusesTLS has a reader with the rig's options fail with a code.
func (g *rig) refusesTLS(code string) {
	g.t.Helper()
	_, err := mysql.Open(g.t.Context(), g.o)
	if got, _ := capture.CodeOf(err); got != code || capture.ActionOf(err) != capture.AskOperator {
		g.t.Fatalf("%v, want %s", err, code)
	}
	if strings.Contains(err.Error(), g.o.Password) {
		g.t.Errorf("the error holds a password: %v", err)
	}
	g.r = nil
	if err := g.start(capture.Resume{FirstStart: true}); err == nil {
		g.t.Error("the reader starts nevertheless")
	}
	g.r = nil
}

// cipher gives that of a session with the rig's options.
func (g *rig) cipher(t *testing.T) string {
	t.Helper()
	s, err := mysql.Open(t.Context(), g.o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows, err := s.Rows("look at the connection", "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	return rows[0][1]
}
