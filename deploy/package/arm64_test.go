//go:build qemu

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestArm64 builds the program for arm64 without cgo and runs it under QEMU's user emulation
// (TRIBUTARY_QEMU): it tells its version, and log, agent and worker
// bring rows from a source to a store. Emulation takes too long for each run,
// so that only make test-arm64 builds this file.
func TestArm64(t *testing.T) {
	emulator := os.Getenv("TRIBUTARY_QEMU")
	bin, dir := filepath.Join(t.TempDir(), "tributary"), t.TempDir()
	cmd := exec.Command("go", "build", "-o", bin, "github.com/tributary-cdc/tributary/cmd/tributary")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if got := text(t, emulator, bin, "version", "--lang", "en"); !strings.HasPrefix(got, "tributary ") {
		t.Errorf("version: %s", got)
	}
	servers.Ran(t, "%s runs the program for arm64", strings.SplitN(text(t, emulator, "--version"), "\n", 2)[0])
	db := servers.Postgres(t, nil)
	exe := func(database, sql string, args ...any) {
		t.Helper()
		c, err := pgx.Connect(t.Context(), db.In(database))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(context.Background()) }() // what it did has been answered
		if _, err := c.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exe("postgres", "CREATE DATABASE city")
	exe("postgres", "CREATE DATABASE xueji")
	exe("xueji", "CREATE TABLE student (xh bigint PRIMARY KEY, xm text, jf numeric(10,2), rq timestamptz)")
	exe("xueji", "INSERT INTO student SELECT n, '王小明' || n, n / 7.0, '2026-09-01 08:00+08' FROM generate_series(1, 2000) n")
	port := program.Port(t)
	broker := fmt.Sprintf("{brokers: [\"127.0.0.1:%d\"], embedded: true}", port)
	base := fmt.Sprintf("host: 127.0.0.1, port: %d, user: postgres, password_env: %s", db.Port, program.PasswordVariable)
	for _, role := range []struct{ name, text string }{
		{"log", fmt.Sprintf("data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), port)},
		{"agent", fmt.Sprintf("name: a1\norg: \"330106\"\ndata_dir: %s\nhttp: 127.0.0.1:%d\nlog: %s\nsources:\n  - {name: xueji, engine: postgres, database: xueji, %s, tables: [\"public.*\"], first_start: load}\n", filepath.Join(dir, "agent"), program.Port(t), broker, base)},
		{"worker", fmt.Sprintf("name: w1\norgs: [\"330106\"]\nhttp: 127.0.0.1:%d\nlog: %s\nstore: {name: city, database: city, %s}\n", program.Port(t), broker, base)},
	} {
		p := &program.Process{Name: role.name, Args: []string{bin, role.name, "--config", program.Write(t, filepath.Join(dir, role.name+".yml"), "%s", role.text)}}
		p.Start(t, emulator, dir, db.Password)
	}
	sum := func(database, table string) (n int, digest string) {
		c, err := pgx.Connect(t.Context(), db.In(database))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(context.Background()) }() // read only
		if err := c.QueryRow(t.Context(), "SELECT count(*), coalesce(md5(string_agg(concat_ws('|', xh, xm, jf, rq), ',' ORDER BY xh)), '') FROM "+table).Scan(&n, &digest); err != nil {
			return 0, ""
		}
		return n, digest
	}
	same := func() {
		t.Helper()
		n, want := sum("xueji", "student")
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(2 * time.Minute); ; <-tick.C {
			have, got := sum("city", "ods.student")
			if have == n && got == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d of %d rows are in the store, or others", have, n)
			}
		}
	}
	same() // by the load
	exe("xueji", "UPDATE student SET jf = jf + 1 WHERE xh % 3 = 0")
	exe("xueji", "DELETE FROM student WHERE xh % 7 = 0")
	exe("xueji", "INSERT INTO student SELECT n, '李雷' || n, NULL, now() FROM generate_series(3001, 3300) n")
	same() // by the stream
}
