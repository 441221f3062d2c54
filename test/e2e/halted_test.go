package e2e

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/test/servers"
)

// TestHaltedTablesAreAccepted: with the rule halt a table waits for a person at each change
// of its shape, and the others flow. Its rows are in the store once and in order after the
// command that accepts the change, though the worker is killed while they wait and again
// while they are applied.
func TestHaltedTablesAreAccepted(t *testing.T) {
	db := servers.MariaDB(t, nil)
	c := source(t, "MariaDB", db, rand.New(rand.NewPCG(seed(t), 23)))
	c.rule = "halt"
	c.run("CREATE TABLE calm (id int PRIMARY KEY)")
	c.insert()
	s := c.system(db, servers.Postgres(t, nil))
	s.same(c)
	worker := s.procs[2]
	status := func() string {
		out, _ := exec.CommandContext(t.Context(), s.bin, "status", fmt.Sprintf("http://127.0.0.1:%d", s.city), "--lang", "en").CombinedOutput() // it ends with 1
		return string(out)
	}
	calm := 0
	flows := func() {
		t.Helper()
		calm++
		c.run(fmt.Sprintf("INSERT INTO calm VALUES (%d)", calm))
		if !within(time.Minute, func() bool {
			var n int
			err := s.store.QueryRow(t.Context(), "SELECT count(*) FROM ods.calm").Scan(&n) // not there at first
			return err == nil && n == calm
		}) {
			t.Fatal("the other table stands still")
		}
	}
	flows()

	c.run("ALTER TABLE moving ADD more int")
	c.cols = append(c.cols, "more int")
	for range 4 {
		c.step()
	}
	c.insert()
	s.halted(t, `new column "more": int32`)
	flows()
	command := "tributary table accept 330108-moving moving.moving"
	if !within(10*time.Second, func() bool {
		out := status()
		return strings.Contains(out, command) && strings.Contains(out, "[SCHEMA_CHANGE_REFUSED]")
	}) {
		t.Errorf("status doesn't say how to go on:\n%s", status())
	}
	if !worker.Signal(syscall.SIGKILL) {
		t.Fatal("the worker was dead before it was killed")
	}
	for range 4 {
		c.step()
	}
	c.insert()
	worker.Again()
	flows()
	accept := func() {
		t.Helper()
		args := append(strings.Fields(command)[1:], "--worker", fmt.Sprintf("http://127.0.0.1:%d", s.city))
		if out, err := exec.CommandContext(t.Context(), s.bin, args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "accepted") {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	accept()
	if !worker.Signal(syscall.SIGKILL) { // somewhere on its way
		t.Fatal("the worker was dead before it was killed again")
	}
	c.insert()
	worker.Again()
	s.same(c)
	if got := column(t, s.store, "SELECT error x FROM tributary.table_state UNION ALL SELECT position FROM tributary.held UNION ALL SELECT code FROM tributary.anomaly"); len(got) > 0 {
		t.Errorf("left over: %q", got)
	}

	c.run("ALTER TABLE moving DROP COLUMN more")
	c.cols = c.cols[:len(c.cols)-1]
	c.insert()
	s.halted(t, `column "more" is gone: int32`)
	accept()
	s.same(c)
	for _, p := range slices.Backward(s.procs) {
		if !p.Signal(syscall.SIGTERM) || !p.Clean() {
			t.Errorf("%s didn't stop cleanly", p.Name)
		}
	}
}
