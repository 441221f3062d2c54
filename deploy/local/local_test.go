package local_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/test/servers"
)

func TestMariaDBHasNoDefaultCredentials(t *testing.T) {
	db := servers.MariaDB(t, nil)
	c := db.Connect(t, "")
	res, err := c.Execute(`SELECT count(*) FROM mysql.global_priv WHERE User NOT IN ('root', 'mariadb.sys') OR JSON_VALUE(Priv, '$.authentication_string') = '' AND NOT JSON_CONTAINS(Priv, 'true', '$.account_locked')`)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.GetInt(0, 0); err != nil || n != 0 {
		t.Errorf("%d users can come in without a password, %v", n, err)
	}
	info, err := os.Stat(filepath.Join(db.Server.Dir, "password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password's file has mode %v, %v", info.Mode(), err)
	}
}

func TestRestartKeepsData(t *testing.T) {
	db := servers.MariaDB(t, nil)
	if _, err := db.Connect(t, "").Execute("CREATE DATABASE kept"); err != nil {
		t.Fatal(err)
	}
	if err := db.Server.Kill(); err != nil {
		t.Fatal(err)
	}
	if db.Server.PID() != 0 {
		t.Error("a killed server has a process")
	}
	if err := db.Server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Connect(t, "kept").Execute("SELECT 1"); err != nil {
		t.Error(err)
	}
	if err := db.Server.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBadSettingIsShown(t *testing.T) {
	_, err := local.StartPostgres(t.Context(), local.Options{Dir: filepath.Join(mkdir(t), "pg"), Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("%v doesn't show what the server wrote", err)
	}
}

// TestGiveUpWhileFilesAreMade: who gives up isn't kept waiting until a server's first
// files are made.
func TestGiveUpWhileFilesAreMade(t *testing.T) {
	dir := filepath.Join(mkdir(t), "pg")
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	ended := make(chan error, 1)
	go func() {
		_, err := local.StartPostgres(ctx, local.Options{Dir: dir})
		ended <- err
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begun := false; !begun; {
		select {
		case <-tick.C:
			_, err := os.Stat(filepath.Join(dir, "data", "PG_VERSION"))
			begun = err == nil
		case err := <-ended:
			t.Fatal(err)
		}
	}
	giveUp()
	if err := <-ended; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "initdb") {
		t.Errorf("it ended with %v", err)
	}
}

func mkdir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "tributary-local-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
