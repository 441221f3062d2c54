package servers

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// StandbySlot is the physical slot that a Standby reads by.
const StandbySlot = "standby"

// Standby starts a physical standby of a PostgreSQL server of ours (15 or newer, started
// by PostgresPrograms or Start with the same release), by a base backup of its files
// (manual, "Making a Base Backup Using the Low Level API").
func Standby(t testing.TB, primary DB, release string, settings map[string]string) DB {
	t.Helper()
	ctx := t.Context()
	c, err := pgx.Connect(ctx, primary.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	for _, sql := range []string{"SELECT pg_create_physical_replication_slot('" + StandbySlot + "', true)", "SELECT pg_backup_start('standby', true)"} {
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	dir, from := folder(t, "standby"), primary.Server.Dir
	owner, err := ownerOf(filepath.Join(from, "data"))
	if err != nil {
		t.Fatal(err)
	}
	to := keeper{t, owner}
	to.own(dir)
	to.copy(filepath.Join(from, "password"), filepath.Join(dir, "password"))
	to.tree(filepath.Join(from, "data"), filepath.Join(dir, "data"))
	var label string
	if err := c.QueryRow(ctx, "SELECT labelfile FROM pg_backup_stop(false)").Scan(&label); err != nil {
		t.Fatal(err)
	}
	to.write(filepath.Join(dir, "data", "backup_label"), label)
	to.write(filepath.Join(dir, "data", "standby.signal"), "")
	secret := filepath.Join(dir, "pgpass")
	to.write(secret, fmt.Sprintf("127.0.0.1:%d:*:%s:%s\n", primary.Port, primary.User, primary.Password))
	// In a file, so that ALTER SYSTEM can take it away.
	to.write(filepath.Join(dir, "data", "postgresql.auto.conf"), fmt.Sprintf("primary_conninfo = 'host=127.0.0.1 port=%d user=%s dbname=postgres passfile=%s sslmode=disable'\n", primary.Port, primary.User, secret))
	all := map[string]string{"fsync": "off", "hot_standby_feedback": "on", "primary_slot_name": StandbySlot}
	for k, v := range settings {
		all[k] = v
	}
	s, err := local.StartPostgres(ctx, local.Options{Dir: dir, Settings: all, Release: release})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Abort(); err != nil {
			t.Error(err)
		}
	})
	return DB{Host: s.Host, Port: s.Port, User: s.User, Password: s.Password, Database: "postgres", Server: s}
}

func ownerOf(path string) (*syscall.Stat_t, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("owner of %s: unknown on this system", path)
	}
	return s, nil
}

// keeper makes files that belong to the server's user.
type keeper struct {
	testing.TB
	owner *syscall.Stat_t
}

func (k keeper) own(path string) {
	k.Helper()
	if err := os.Chown(path, int(k.owner.Uid), int(k.owner.Gid)); err != nil {
		k.Fatal(err)
	}
}

func (k keeper) write(path, text string) {
	k.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.Fatal(err)
	}
	k.own(path)
}

func (k keeper) copy(from, to string) {
	k.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		k.Fatal(err)
	}
	k.write(to, string(b))
}

// tree copies a data folder that is in use. Files that go meanwhile are of no account; the
// log comes by streaming, and slots are the primary's own.
func (k keeper) tree(from, to string) {
	k.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target, top := filepath.Join(to, rel), strings.Split(rel, string(filepath.Separator))
		switch {
		case top[0] == "pg_replslot" && len(top) > 1:
			return nil
		case d.IsDir():
			if err := os.MkdirAll(target, 0o700); err != nil {
				return err
			}
			k.own(target)
			return nil
		case len(top) == 2 && top[0] == "pg_wal" || rel == "postmaster.pid" || rel == "postmaster.opts":
			return nil
		}
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		k.write(target, string(b))
		return nil
	})
	if err != nil {
		k.Fatal(err)
	}
}
