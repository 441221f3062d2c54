// Package servers starts real servers for tests on private ports of loopback and
// stops them with the test: PostgreSQL in a container where a Docker engine answers,
// else, like the others, by the code of the demo. Which one ran is printed. It
// decides nothing about what is tested.
package servers

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// DB says how to reach a server. The password is made anew for each.
type DB struct {
	Host     string
	Port     uint16
	User     string
	Password string
	Database string
	// Server is nil if the server runs in a container.
	Server *local.Server
}

// URL gives the address for pgx.
func (d DB) URL() string { return d.In(d.Database) }

// In gives the address of another database of the server, for pgx.
func (d DB) In(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(d.User, d.Password), Host: fmt.Sprintf("%s:%d", d.Host, d.Port), Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Starter starts a server that ends with the test. Settings are added to its
// command line.
type Starter func(t testing.TB, settings map[string]string) DB

// folder makes a folder that another user can reach; t.TempDir's parents are closed to it.
func folder(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tributary-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// remove deletes a folder. A killed server's children write on until they notice.
func remove(dir string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); ; <-tick.C {
		if err := os.RemoveAll(dir); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// programs is how a server starts from its programs.
type programs func(context.Context, local.Options) (*local.Server, error)

// start starts a release, or the machine's if that is empty. Without the programs,
// here or in the package repository, the test fails.
func (p programs) start(t testing.TB, release string, settings map[string]string) DB {
	t.Helper()
	s, err := p(t.Context(), local.Options{Dir: folder(t, "server"), Settings: settings, Release: release})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Abort(); err != nil {
			t.Error(err)
		}
	})
	Ran(t, "%s %s from %s", s.Engine, s.Version, s.How)
	return DB{Host: s.Host, Port: s.Port, User: s.User, Password: s.Password, Server: s}
}

// Postgres starts PostgreSQL with logical replication on: in a container where a
// Docker engine answers, else from programs.
func Postgres(t testing.TB, settings map[string]string) DB {
	t.Helper()
	if db, ok := container(t, settings); ok {
		return db
	}
	return PostgresPrograms(t, settings)
}

// PostgresPrograms starts PostgreSQL from programs, for a test that needs the
// server's process, its files or the programs beside it.
func PostgresPrograms(t testing.TB, settings map[string]string) DB {
	t.Helper()
	return postgres(t, "", settings)
}

func postgres(t testing.TB, release string, settings map[string]string) DB {
	t.Helper()
	all := map[string]string{"fsync": "off"}
	for k, v := range settings {
		all[k] = v
	}
	db := programs(local.StartPostgres).start(t, release, all)
	db.Database = "postgres"
	return db
}

// OldestStore is a release of the oldest PostgreSQL that can be a store.
const OldestStore = "12.22"

// PostgresRelease starts a release of PostgreSQL from programs that are fetched.
func PostgresRelease(t testing.TB, release string) DB {
	t.Helper()
	return postgres(t, release, nil)
}

// OldPostgres starts PostgreSQL 9.6, which is older than any that can be captured.
func OldPostgres(t testing.TB) DB {
	t.Helper()
	return postgres(t, "9.6.24", nil)
}

// MariaDB starts MariaDB with a row-based binary log and full metadata.
func MariaDB(t testing.TB, settings map[string]string) DB {
	t.Helper()
	return mariadb(t, "", settings)
}

func mariadb(t testing.TB, release string, settings map[string]string) DB {
	t.Helper()
	return programs(local.StartMariaDB).start(t, release, settings)
}

// MySQL starts MySQL with a row-based binary log, GTIDs and full metadata.
func MySQL(t testing.TB, settings map[string]string) DB {
	t.Helper()
	return programs(local.StartMySQL).start(t, "", settings)
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
