package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
)

// written captures one row, so that there is something to lose.
func (g *rig) written() capture.Resume {
	g.t.Helper()
	run(g.t, g.sql, `CREATE TABLE s (id int PRIMARY KEY)`)
	res := g.first()
	run(g.t, g.sql, `INSERT INTO s VALUES (1)`)
	seg := g.busy()
	res.Last, res.Restart = seg.Txn.Position, seg.Restart
	if err := g.r.Close(); err != nil {
		g.t.Fatal(err)
	}
	g.inactive()
	return res
}

func (g *rig) inactive() {
	g.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		var active bool
		if err := g.sql.QueryRow(context.Background(), `SELECT active FROM pg_replication_slots WHERE database = current_database()`).Scan(&active); err != nil {
			g.t.Fatal(err)
		}
		if !active {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatal("the slot stays active")
		}
	}
}

func (g *rig) gap(res capture.Resume, code string) {
	g.t.Helper()
	err := g.start(res)
	var gap *capture.GapError
	if !errors.As(err, &gap) || gap.Code != code || gap.From != res.Last {
		g.t.Errorf("%v, want the gap %s after %s", err, code, res.Last)
	}
}

func testSlotDropped(t *testing.T, g *rig) {
	res := g.written()
	run(t, g.sql, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`)
	g.gap(res, "SLOT_LOST")
}

// testNoState has an order for a first start that nobody took back, and a log that
// has transactions of the source already.
func testNoState(_ *testing.T, g *rig) {
	res := g.written()
	res.State, res.FirstStart = nil, true
	g.gap(res, "NO_STATE")
}

func testSlotAgain(t *testing.T, g *rig) {
	res := g.written()
	var name string
	if err := g.sql.QueryRow(context.Background(), `SELECT slot_name FROM pg_replication_slots WHERE database = current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	run(t, g.sql, `SELECT pg_drop_replication_slot($1)`, name)
	run(t, g.sql, `INSERT INTO s VALUES (2)`) // lost to the new slot
	run(t, g.sql, `SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, name)
	g.gap(res, "SLOT_AHEAD")
}

func testSlotAdvanced(t *testing.T, g *rig) {
	res := g.written()
	run(t, g.sql, `INSERT INTO s VALUES (2)`)
	const ours = ` FROM pg_replication_slots WHERE database = current_database()`
	if g.can(`SELECT 'pg_replication_slot_advance'::regproc`) {
		run(t, g.sql, `SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn())`+ours)
	} else { // PostgreSQL 10: somebody takes what was meant for us
		run(t, g.sql, `SELECT pg_logical_slot_get_binary_changes(slot_name, NULL, NULL, 'proto_version', '1', 'publication_names', slot_name)`+ours)
	}
	g.gap(res, "SLOT_AHEAD")
}

func (g *rig) edit(res *capture.Resume, key string, value any) {
	g.t.Helper()
	var state map[string]any
	if err := json.Unmarshal(res.State, &state); err != nil {
		g.t.Fatal(err)
	}
	state[key] = value
	var err error
	if res.State, err = json.Marshal(state); err != nil {
		g.t.Fatal(err)
	}
}

func testOtherServer(t *testing.T, g *rig) {
	res := g.written()
	g.edit(&res, "system", "7000000000000000001")
	g.gap(res, "OTHER_SERVER")
}

func testLogReset(t *testing.T, g *rig) {
	res := g.written()
	res.Restart.Offset += 1 << 40
	g.gap(res, "LOG_RESET")
}
