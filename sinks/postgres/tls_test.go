package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/peer"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestEncrypted: a store with TLS reaches a server that lets nobody in
// without encryption, on a machine with a folder for Unix sockets, too.
func TestEncrypted(t *testing.T) {
	db := servers.PostgresPrograms(t, nil)
	data := filepath.Join(db.Server.Dir, "data")
	ca := servers.NewAuthority(t)
	ca.IssueInto(t, data, servers.Leaf{Name: "store.example", Hosts: []string{"127.0.0.1"}})
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte("hostssl all all 127.0.0.1/32 scram-sha-256\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := connect(t, db.URL())
	for _, sql := range []string{"ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"} {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; { // until it lets nobody in
		plain, err := pgx.Connect(t.Context(), db.URL())
		if err != nil {
			break
		}
		_ = plain.Close(t.Context()) // only a look
		if time.Now().After(deadline) {
			t.Fatal("the server still takes plain connections")
		}
	}
	for mode, tt := range map[string]struct {
		tls  peer.TLS
		code string
	}{
		"none":        {peer.TLS{}, peer.Required},
		"require":     {peer.TLS{Mode: peer.Require}, ""},
		"verify-full": {peer.TLS{Mode: peer.VerifyFull, CAFile: ca.File}, ""},
		"other name":  {peer.TLS{Mode: peer.VerifyFull, CAFile: ca.File, ServerName: "other.example"}, peer.WrongName},
		"verify-ca":   {peer.TLS{Mode: peer.VerifyCA, CAFile: ca.File}, ""},
		"other CA":    {peer.TLS{Mode: peer.VerifyCA, CAFile: servers.NewAuthority(t).File}, peer.Untrusted},
	} {
		s, err := postgres.New(postgres.Options{Host: db.Host, Port: db.Port, Database: db.Database, User: db.User, Password: db.Password, TLS: tt.tls})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Prepare(t.Context())
		if worker.CodeOf(err) != tt.code || (err == nil) != (tt.code == "") || err != nil && !errors.Is(err, worker.ErrStoreAccess) {
			t.Errorf("%s: %v, want %q", mode, err, tt.code)
		}
		if err == nil {
			v := s.Viewer()
			if _, err := v.Recent(t.Context(), 1, nil); err != nil {
				t.Errorf("%s: the viewer: %v", mode, err)
			}
			if err := v.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
