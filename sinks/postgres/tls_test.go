package postgres_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestEncrypted: a store with sslmode: require reaches a server that lets nobody in
// without encryption, on a machine with a folder for Unix sockets, too.
func TestEncrypted(t *testing.T) {
	db := servers.PostgresPrograms(t, nil)
	data := filepath.Join(db.Server.Dir, "data")
	servers.Certificate(t, data)
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
	s, err := postgres.New(postgres.Options{Host: db.Host, Port: db.Port, Database: db.Database, User: db.User, Password: db.Password, SSLMode: "require"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Prepare(t.Context()); err != nil {
		t.Error(err)
	}
}
