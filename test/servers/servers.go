// Package servers starts real servers for tests, by the same code as the demo,
// on private ports and folders, and stops them with the test. Which one ran is
// printed. It decides nothing about what is tested.
package servers

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// DB says how to reach a server.
type DB struct {
	Host     string
	Port     uint16
	User     string
	Password string
	Database string
	Server   *local.Server
}

// URL gives the address for pgx.
func (d DB) URL() string { return d.Server.PostgresURL(d.Database) }

// folder makes a folder that another user can reach; t.TempDir's parents are closed to it.
func folder(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tributary-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func start(t testing.TB, name string, f func(context.Context, local.Options) (*local.Server, error), settings map[string]string) *local.Server {
	t.Helper()
	return startBy(t, f, local.Options{Dir: folder(t, name), Settings: settings})
}

func startBy(t testing.TB, f func(context.Context, local.Options) (*local.Server, error), o local.Options) *local.Server {
	t.Helper()
	s, err := f(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%s %s from %s on port %d", s.Engine, s.Version, s.How, s.Port)
	return s
}

// Postgres starts PostgreSQL with logical replication on. Without its programs
// on the machine the test fails.
func Postgres(t testing.TB, settings map[string]string) DB {
	t.Helper()
	all := map[string]string{"fsync": "off"}
	for k, v := range settings {
		all[k] = v
	}
	s := start(t, "postgres", local.StartPostgres, all)
	return DB{Host: s.Host, Port: s.Port, User: s.User, Password: s.Password, Database: "postgres", Server: s}
}

// OldPostgres starts PostgreSQL 9.6, fetched from Maven Central.
func OldPostgres(t testing.TB) DB {
	t.Helper()
	s := startBy(t, local.StartPostgres, local.Options{Dir: folder(t, "postgres96"), Old: true})
	return DB{Host: s.Host, Port: s.Port, User: s.User, Password: s.Password, Database: "postgres", Server: s}
}

// MariaDB starts MariaDB with a row-based binary log and full metadata.
func MariaDB(t testing.TB, settings map[string]string) DB {
	t.Helper()
	s := start(t, "mariadb", local.StartMariaDB, settings)
	return DB{Host: s.Host, Port: s.Port, User: s.User, Password: s.Password, Server: s}
}

// MySQL starts MySQL with a row-based binary log, GTIDs and full metadata.
func MySQL(t testing.TB, settings map[string]string) DB {
	t.Helper()
	s := start(t, "mysql", local.StartMySQL, settings)
	return DB{Host: s.Host, Port: s.Port, User: s.User, Password: s.Password, Server: s}
}

// Connect opens a connection to a MySQL or MariaDB server that ends with the test.
func (d DB) Connect(t testing.TB, database string) *client.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := client.ConnectWithContext(ctx, fmt.Sprintf("%s:%d", d.Host, d.Port), d.User, d.Password, database, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetCharset("utf8mb4"); err != nil {
		t.Fatal(err)
	}
	return c
}
