package mysql_test

import (
	"encoding/json"
	"fmt"
	"testing"
)

// testRestartKnows has a state that is older than the last transactions, one of them without
// a row for us. A restart says at once that all of them were read, since views may not show
// them yet; and it knows all their GTIDs, or another server would be asked for them later.
func testRestartKnows(t *testing.T, g *rig) {
	other := g.name + "_other"
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.run("CREATE DATABASE " + other)
	g.run("CREATE TABLE " + other + ".s (id int PRIMARY KEY)")
	res := g.first()
	for n := 1; len(res.Since) == 0; n++ { // a state comes with a transaction once a second
		g.run(fmt.Sprintf("INSERT INTO %s.s VALUES (%d)", other, n))
		g.run(fmt.Sprintf("INSERT INTO s VALUES (%d)", n))
		g.take(&res, g.busy())
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	seg := g.next()
	if seg.Restart.Compare(res.Restart) < 0 {
		t.Errorf("reading had come to %s, after the restart it says %s", res.Restart, seg.Restart)
	}
	if g.maria() {
		return
	}
	var state struct{ GTIDs string }
	if err := json.Unmarshal(seg.State, &state); err != nil {
		t.Fatal(err)
	}
	if lacks := g.query(fmt.Sprintf("SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, '%s')", state.GTIDs))[0]; lacks != "" {
		t.Errorf("GTIDs %q aren't known after the restart", lacks)
	}
}
