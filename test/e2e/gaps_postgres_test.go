package e2e

import (
	"testing"

	"github.com/tributary-cdc/tributary/test/servers"
)

const ourSlot = " FROM pg_replication_slots WHERE database = 'xueji'"

// slot does something to the slot, once the server has noticed that the agent is gone.
func (x *gapRig) slot(sql string) {
	x.Helper()
	await(x.T, "the end of the slot's reader", func() bool {
		var active int
		if err := x.source.QueryRowContext(x.Context(), "SELECT count(*)"+ourSlot+" AND active").Scan(&active); err != nil {
			x.Fatal(err)
		}
		return active == 0
	})
	x.run(x.source, sql+ourSlot)
}

// TestGapsOfPostgres loses continuity in every way that a PostgreSQL server can; GAPS=all
// runs those, too, that take their time.
func TestGapsOfPostgres(t *testing.T) {
	x := newGapRig(t, "postgres", servers.PostgresPrograms(t, nil))
	x.repair("GAP_NONE")
	x.causes(append([]cause{
		{name: "slot dropped", code: "SLOT_LOST", always: true, lose: func(x *gapRig) {
			x.slot("SELECT pg_drop_replication_slot(slot_name)")
			x.change()
		}},
		{name: "attack 22, slot made again", code: "SLOT_AHEAD", lose: func(x *gapRig) {
			x.slot("SELECT pg_drop_replication_slot(slot_name)")
			x.change()
			x.run(x.source, "SELECT pg_create_logical_replication_slot('tributary_330106_xueji', 'pgoutput')")
		}},
		{name: "attack 22, slot moved ahead", code: "SLOT_AHEAD", lose: func(x *gapRig) {
			x.change()
			x.slot("SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn())")
		}},
		{name: "slot invalidated", code: "SLOT_INVALIDATED", lose: func(x *gapRig) {
			x.run(x.source, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
			for range 6 {
				x.change()
				x.run(x.source, "SELECT pg_switch_wal()", "CHECKPOINT")
			}
			x.run(x.source, "ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")
		}},
		{name: "attack 22, backup restored", code: "LOG_RESET", lose: restored(0)},
		{name: "attack 22, backup restored and written on", code: "LOG_RESET", lose: restored(40)},
		{name: "another server", code: "OTHER_SERVER", lose: func(x *gapRig) {
			other := servers.PostgresPrograms(x.whole, nil)
			x.make(other)
			x.source = x.at(other, "xueji")
			x.send(other)
			x.change()
		}},
	}, ofTheLog...))
	x.killed(cause{code: "SLOT_LOST", lose: func(x *gapRig) {
		x.slot("SELECT pg_drop_replication_slot(slot_name)")
		x.change()
	}}, 5)
}
