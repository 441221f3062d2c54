package e2e

import (
	"testing"

	"github.com/tributary-cdc/tributary/test/servers"
)

const ourSlot = " FROM pg_replication_slots WHERE database = 'xueji'"

// TestGapsOfPostgres loses continuity in every way that a PostgreSQL server can; GAPS=all
// runs those, too, that take their time.
func TestGapsOfPostgres(t *testing.T) {
	x := newGapRig(t, "postgres", servers.PostgresPrograms(t, nil))
	x.repair("GAP_NONE")
	x.causes([]cause{
		{name: "slot dropped", code: "SLOT_LOST", always: true, lose: func(x *gapRig) {
			x.run(x.source, "SELECT pg_drop_replication_slot(slot_name)"+ourSlot)
			x.change()
		}},
	})
	x.killed(cause{code: "SLOT_LOST", lose: func(x *gapRig) {
		x.run(x.source, "SELECT pg_drop_replication_slot(slot_name)"+ourSlot)
		x.change()
	}}, 5)
}
