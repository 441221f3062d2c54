package preflight

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
)

// postgresServer is what a PostgreSQL server has answered.
type postgresServer struct {
	o *Options
	r *Report
	s postgresAnswers

	printed  bool // the answers come from a file
	stranger bool // and aren't about the source's user
	version  int  // server_version_num
	user     string
	database string
	super    bool
	settings map[string]setting
	tables   []*postgresTable // those that are wanted
	// ours is the source's own slot, if it is there already.
	ours bool
	// byHand says that a person makes the publication, or has made it; storedSent that the
	// stream has stored generated columns.
	byHand, storedSent bool
}

// postgresAnswers answers statements, as postgres.Session does.
type postgresAnswers interface {
	Rows(ctx context.Context, what, sql string) ([][]string, error)
	Replicates(ctx context.Context) error
	Slot() string
	Publication() string
}

// setting is a line of pg_settings, with the value that counts for the source's user.
type setting struct{ value, unit, context, source string }

func checkPostgres(ctx context.Context, o *Options, r *Report) error {
	c := &postgresServer{o: o, r: r, printed: o.Printed != nil}
	if c.printed {
		p, err := readPrinted(o.Printed, event.Postgres, o.Postgres.Source.ID)
		if err != nil {
			return err
		}
		if p.slot, p.publication, err = postgres.Names(*o.Postgres); err != nil {
			return err
		}
		c.s = printedByPsql{p}
	} else {
		s, err := postgres.Open(ctx, *o.Postgres)
		if err != nil {
			return err
		}
		defer s.Close(context.WithoutCancel(ctx))
		c.s = s
	}
	if err := c.identify(ctx); err != nil || c.version < postgres.Oldest {
		return err
	}
	for _, step := range []func(context.Context) error{c.readSettings, c.rate, c.slots, c.catalogue, c.publication, c.waiting, c.replicates} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	c.timeouts()
	c.keeps()
	c.memory()
	return nil
}

// ask gives an answer. An access that the server refuses is noted, and seen is false.
func (c *postgresServer) ask(ctx context.Context, what, sql string) (rows [][]string, seen bool, err error) {
	rows, err = c.s.Rows(ctx, what, sql)
	if errors.Is(err, capture.ErrAccess) {
		c.r.Unseen = append(c.r.Unseen, Unseen{what, err.Error()})
		return nil, false, nil
	}
	return rows, err == nil, err
}

func ident(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// text writes a text for a statement.
func text(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// system is the repair by a setting of the whole server.
func (c *postgresServer) system(name, value string) []Repair {
	s := c.settings[name]
	set := Repair{SQL: "ALTER SYSTEM SET " + name + " = " + text(value), Undo: "ALTER SYSTEM SET " + name + " = " + text(s.value+s.unit), Setting: name + " = " + text(value)}
	if s.context == "postmaster" {
		set.Restart = true
		return []Repair{set}
	}
	return []Repair{set, {SQL: "SELECT pg_reload_conf()", Undo: "SELECT pg_reload_conf()"}}
}

// role is the repair by a setting of the source's user alone, where the server lets it be.
func (c *postgresServer) role(name, value string) []Repair {
	s, alter := c.settings[name], "ALTER ROLE "+ident(c.user)
	if s.context != "user" && s.context != "superuser" {
		return c.system(name, value)
	}
	undo := alter + " RESET " + name
	if s.source == "user" {
		undo = alter + " SET " + name + " = " + text(s.value+s.unit)
	}
	return []Repair{{SQL: alter + " SET " + name + " = " + text(value), Undo: undo}}
}

// identify finds out which server and which user it is.
func (c *postgresServer) identify(ctx context.Context) error {
	before := c.o.Now()
	rows, err := c.s.Rows(ctx, "read the version", askRole)
	if err != nil {
		return err
	}
	after := c.o.Now()
	row := rows[0]
	if c.version, err = strconv.Atoi(row[0]); err != nil {
		return fmt.Errorf("version %q: %w", row[0], err)
	}
	c.user, c.database, c.super = row[2], row[3], row[7] == "t"
	c.r.Server = "PostgreSQL " + row[1]
	seconds, err := strconv.ParseFloat(row[4], 64)
	if err != nil {
		return fmt.Errorf("the server's time %q: %w", row[4], err)
	}
	if c.printed {
		c.r.unseen("clock", onlyLive)
		c.r.unseen("TLS", onlyLive)
	} else {
		c.r.clocks(time.UnixMicro(int64(seconds*1e6)), before, after)
		c.r.encryption(c.o.Postgres.Host, c.o.Postgres.TLS, row[9])
	}
	if c.version < postgres.Oldest {
		c.r.add(Refuses, "PG_VERSION", "", c.r.Server)
	}
	if row[5] == "t" {
		c.r.add(Refuses, "PG_STANDBY", "", "pg_is_in_recovery() = t")
	}
	if row[6] == "SQL_ASCII" {
		c.r.add(Harms, "PG_ENCODING", c.database, "server_encoding = SQL_ASCII")
	}
	if c.stranger = c.printed && c.user != c.o.Postgres.User; c.stranger {
		c.r.stranger(c.user, c.o.Postgres.User)
		c.user, c.super = c.o.Postgres.User, false
		return nil
	}
	if row[8] != "t" && !c.super {
		c.r.add(Refuses, "PG_GRANT", c.user, "REPLICATION", Repair{SQL: "ALTER ROLE " + ident(c.user) + " REPLICATION", Undo: "ALTER ROLE " + ident(c.user) + " NOREPLICATION"})
	}
	if c.super {
		c.r.add(Advice, "PG_GRANT_EXCESS", c.user, "SUPERUSER", Repair{SQL: "ALTER ROLE " + ident(c.user) + " NOSUPERUSER REPLICATION", Undo: "ALTER ROLE " + ident(c.user) + " SUPERUSER", Decide: true})
	}
	if n, err := strconv.Atoi(row[10]); err != nil || n >= 0 && n < connections {
		alter := "ALTER ROLE " + ident(c.user) + " CONNECTION LIMIT "
		c.r.add(Refuses, "SOURCE_CONNECTIONS", c.user, "CONNECTION LIMIT "+row[10], Repair{SQL: alter + "-1", Undo: alter + row[10]})
	}
	return nil
}

func (c *postgresServer) readSettings(ctx context.Context) error {
	rows, err := c.s.Rows(ctx, "read the settings", askSettings)
	if err != nil {
		return err
	}
	c.settings = map[string]setting{}
	for _, row := range rows {
		c.settings[row[0]] = setting{row[1], row[2], row[3], row[4]}
	}
	if v := c.settings["wal_level"].value; v != postgres.WALLevel {
		c.r.add(Refuses, "PG_WAL_LEVEL", "", "wal_level = "+v, c.system("wal_level", postgres.WALLevel)...)
	}
	return nil
}

// number gives a setting's number in its own unit; -1 if the server has none of the name.
func (c *postgresServer) number(name string) int64 {
	v, err := strconv.ParseInt(c.settings[name].value, 10, 64)
	if err != nil {
		return -1
	}
	return v
}

// rate computes how fast the WAL grows: since its statistics began, or since the last
// checkpoint on a server that keeps none.
func (c *postgresServer) rate(ctx context.Context) error {
	basis, sql := "pg_stat_wal.wal_bytes", askWAL
	if c.version < 140000 {
		basis, sql = "pg_control_checkpoint()", askCheckpoint
	}
	rows, seen, err := c.ask(ctx, "read how fast the WAL grows", sql)
	if err != nil || !seen || len(rows) == 0 || rows[0][1] == "" {
		return err
	}
	bytes, berr := strconv.ParseFloat(rows[0][0], 64)
	seconds, serr := strconv.ParseFloat(rows[0][1], 64)
	if err := errors.Join(berr, serr); err != nil {
		return fmt.Errorf("growth of the WAL %q: %w", rows[0], err)
	}
	seconds = max(1, seconds)
	c.r.LogRate = &Rate{BytesPerDay: int64(bytes / seconds * 86400), Basis: fmt.Sprintf("%s / %.0f s", basis, seconds), Seconds: seconds}
	return nil
}

// slots judges whether there is room for the source's slot and its connection.
func (c *postgresServer) slots(ctx context.Context) error {
	rows, err := c.s.Rows(ctx, "list the slots", askSlots)
	if err != nil {
		return err
	}
	connected := false
	var idle []string
	for _, row := range rows {
		if row[0] != c.s.Slot() {
			if row[3] != "t" {
				idle = append(idle, fmt.Sprintf("%s (%s bytes)", row[0], row[4]))
			}
			continue
		}
		c.ours, connected = true, row[3] == "t"
		if row[1] != "pgoutput" || row[2] != c.database {
			c.r.add(Refuses, "SLOT_OTHER", row[0], fmt.Sprintf("plugin = %s, database = %s", row[1], row[2]), Repair{SQL: "SELECT pg_drop_replication_slot(" + text(row[0]) + ")", Decide: true})
		}
	}
	if len(idle) > 0 {
		c.r.add(Advice, "PG_SLOT_IDLE", "", strings.Join(idle, ", "), Repair{SQL: "SELECT pg_drop_replication_slot(" + text(strings.SplitN(idle[0], " (", 2)[0]) + ")", Decide: true})
	}
	if most := c.number("max_replication_slots"); !c.ours && int64(len(rows)) >= most {
		c.r.add(Refuses, "PG_SLOTS", "", fmt.Sprintf("max_replication_slots = %d, %d used", most, len(rows)), c.system("max_replication_slots", strconv.Itoa(len(rows)+4))...)
	}
	used, err := c.s.Rows(ctx, "count the WAL senders", askSenders)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(used[0][0], 10, 64)
	if err != nil {
		return fmt.Errorf("number of WAL senders %q: %w", used[0][0], err)
	}
	if most := c.number("max_wal_senders"); !connected && n >= most {
		c.r.add(Refuses, "PG_WAL_SENDERS", "", fmt.Sprintf("max_wal_senders = %d, %d used", most, n), c.system("max_wal_senders", strconv.FormatInt(n+4, 10))...)
	}
	if !c.ours {
		c.r.Makes = append(c.r.Makes, Repair{SQL: postgres.CreateSlot(c.version, text(c.s.Slot())), Undo: "SELECT pg_drop_replication_slot(" + text(c.s.Slot()) + ")"})
	}
	return nil
}

// replicates tries a replication connection, unless something that was found already
// stands against it.
func (c *postgresServer) replicates(ctx context.Context) error {
	if c.printed {
		c.r.unseen("pg_hba.conf", onlyLive)
		return nil
	}
	for _, f := range c.r.Findings {
		if f.Code == "PG_WAL_SENDERS" || f.Code == "SOURCE_CONNECTIONS" || f.Code == "PG_GRANT" && f.Found == "REPLICATION" {
			return nil
		}
	}
	err := c.s.Replicates(ctx)
	if errors.Is(err, capture.ErrAccess) {
		c.r.add(Refuses, "PG_ACCESS", c.user, err.Error(), Repair{Setting: fmt.Sprintf("pg_hba.conf: host %s %s AGENT_ADDRESS/32 scram-sha-256", c.database, c.user)})
		return nil
	}
	return err
}
