package preflight

import (
	"context"
	"fmt"
	"strconv"
)

// timeouts judges after which silence, or which work, the server ends a connection. The
// reader answers each second, and a chunk of a load takes some seconds.
func (c *postgresServer) timeouts() {
	for _, t := range []struct {
		name string
		min  int64 // milliseconds; 0 is no limit
		want string
	}{
		{"wal_sender_timeout", 10_000, "60s"}, {"statement_timeout", 60_000, "0"}, {"idle_session_timeout", 3_600_000, "0"},
		{"idle_in_transaction_session_timeout", 60_000, "0"}, {"transaction_timeout", 60_000, "0"},
	} {
		if v := c.number(t.name); v > 0 && v < t.min {
			c.r.add(Harms, "PG_TIMEOUT", "", fmt.Sprintf("%s = %d ms", t.name, v), c.role(t.name, t.want)...)
		}
	}
}

const gigabyte = 1 << 30

// keeps judges how much WAL an agent that is down may hold back: without a bound the
// server's disk fills, with a narrow one the slot is lost.
func (c *postgresServer) keeps() {
	most := c.number("max_slot_wal_keep_size") // megabytes
	if _, there := c.settings["max_slot_wal_keep_size"]; !there {
		c.r.add(Advice, "PG_SLOT_WAL", "", "max_slot_wal_keep_size: -")
		return
	}
	want := int64(10)
	if c.r.LogRate.tells() {
		want = max(want, c.r.LogRate.BytesPerDay*2*wantedHours/24/gigabyte+1) // a busy week has twice the rate
	}
	size := strconv.FormatInt(want, 10) + "GB"
	if most < 0 {
		c.r.add(Advice, "PG_SLOT_WAL", "", "max_slot_wal_keep_size = -1", c.unbounded(size)...)
		return
	}
	if c.r.LogRate == nil {
		return
	}
	if left := c.r.LogRate.lasts(most << 20); left < wantedHours && (c.r.LogRate.tells() || most < want<<10) {
		c.r.add(Harms, "PG_SLOT_WAL", "", fmt.Sprintf("max_slot_wal_keep_size = %d MB (%.1f h; %s)", most, left, c.r.LogRate.Basis), c.system("max_slot_wal_keep_size", size)...)
	}
}

// unbounded is the repair of a size that is -1, which takes no unit.
func (c *postgresServer) unbounded(size string) []Repair {
	steps := c.system("max_slot_wal_keep_size", size)
	steps[0].Undo = "ALTER SYSTEM SET max_slot_wal_keep_size = -1"
	return steps
}

// memory judges how much of a transaction is decoded before it goes to the server's disk.
func (c *postgresServer) memory() {
	const want = 64 << 10 // kilobytes, the server's own default
	if v := c.number("logical_decoding_work_mem"); v >= 0 && v < want {
		c.r.add(Advice, "PG_DECODING_MEMORY", "", fmt.Sprintf("logical_decoding_work_mem = %d kB", v), c.role("logical_decoding_work_mem", "64MB")...)
	}
}

// waiting lists transactions that the making of a slot would wait for.
func (c *postgresServer) waiting(ctx context.Context) error {
	if c.ours {
		return nil
	}
	rows, err := c.s.Rows(ctx, "list prepared transactions", askPrepared)
	if err != nil {
		return err
	}
	for _, row := range rows {
		c.r.add(Refuses, "PG_OPEN_TRANSACTION", row[1], fmt.Sprintf("pg_prepared_xacts: %s, %s", row[0], row[2]), Repair{SQL: "ROLLBACK PREPARED " + text(row[0]), Decide: true})
	}
	rows, err = c.s.Rows(ctx, "list long transactions", askLong(c.o))
	if err != nil {
		return err
	}
	for _, row := range rows {
		c.r.add(Harms, "PG_OPEN_TRANSACTION", row[1], fmt.Sprintf("pid %s, %s", row[0], row[2]), Repair{SQL: "SELECT pg_terminate_backend(" + row[0] + ")", Decide: true})
	}
	return nil
}
