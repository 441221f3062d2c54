package mysql_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/stream/event"
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

// testPatterns changes the configuration between two starts: tables that it has got, or has
// again, are read before their changes come, once; those that it had already aren't.
func testPatterns(t *testing.T, g *rig) {
	for _, table := range []string{"a", "b", "c"} {
		g.run("CREATE TABLE " + table + " (id int PRIMARY KEY)")
	}
	a, b := g.name+".a", g.name+".b"
	g.o.Tables = []string{a, b}
	res := g.first()
	for _, step := range []struct {
		tables, read []string
	}{{[]string{a, b}, nil}, {[]string{a}, nil}, {[]string{a, g.name + ".[bc]"}, []string{b, g.name + ".c"}}, {[]string{a, g.name + ".[bc]"}, nil}} {
		if g.r != nil {
			if err := g.r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		g.r, g.o.Tables = nil, step.tables
		if err := g.start(res); err != nil {
			t.Fatal(err)
		}
		var read []string
		seg := g.next()
		for ; seg.Kind == event.TableAltered; seg = g.next() {
			if read = append(read, seg.Altered.Table); !seg.Altered.Reread {
				t.Errorf("altered %+v", seg.Altered)
			}
		}
		if seg.Kind != event.Idle || !slices.Equal(read, step.read) {
			t.Errorf("with %q: read are %q, want %q; then %+v", step.tables, read, step.read, seg)
		}
		res.Restart, res.State = seg.Restart, bytes.Clone(seg.State)
	}
}
