// Package workload writes the transactions of two districts into real databases:
// enrolment (学籍) in MariaDB, scores (成绩) in PostgreSQL. Every transaction keeps
// sums that anyone can check: head counts equal the students, sheets their scores.
// It decides what is written, from a seed; it knows nothing of capture.
package workload

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
)

// Table is a table with the expressions that give one row's canonical text, the
// same at the source and in a PostgreSQL store.
type Table struct {
	Name   string
	Source string // expression in the source's SQL
	Store  string // expression in PostgreSQL's
}

// District is one source database under work. Step must not be called twice at once.
type District struct {
	ID     string // of the source, e.g. 330106-xueji
	Tables []Table
	Txns   atomic.Int64 // committed, and with a row changed

	db     *sql.DB
	rng    *rand.Rand
	next   int64
	rows   int64 // changed in the transaction under way
	create []string
	seed   func(context.Context, *sql.Tx) error
	step   func(context.Context, *sql.Tx) error
}

const schools = 20

// Setup makes the tables, empty.
func (d *District) Setup(ctx context.Context) error {
	for _, s := range d.create {
		if _, err := d.db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("make the tables of %s: %w", d.ID, err)
		}
	}
	return nil
}

// Seed writes the first rows. It is called once the source is being read.
func (d *District) Seed(ctx context.Context) error { return d.within(ctx, d.seed, false) }

// Step writes one transaction.
func (d *District) Step(ctx context.Context) error { return d.within(ctx, d.step, true) }

func (d *District) within(ctx context.Context, f func(context.Context, *sql.Tx) error, fickle bool) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("source %s: %w", d.ID, err)
	}
	d.rows = 0
	if err := f(ctx, tx); err != nil {
		_ = tx.Rollback() // the first error is the one to tell
		return fmt.Errorf("source %s: %w", d.ID, err)
	}
	if fickle && d.rng.IntN(25) == 0 { // people change their minds
		return tx.Rollback()
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("source %s: %w", d.ID, err)
	}
	if d.rows > 0 {
		d.Txns.Add(1)
	}
	return nil
}

func (d *District) run(ctx context.Context, tx *sql.Tx, format string, args ...any) (int64, error) {
	r, err := tx.ExecContext(ctx, fmt.Sprintf(format, args...)) // numbers of our own only
	if err != nil {
		return 0, fmt.Errorf("%.40s: %w", format, err)
	}
	n, err := r.RowsAffected()
	d.rows += n
	return n, err
}

func (d *District) school() string { return fmt.Sprintf("2133%06d", d.rng.IntN(schools)) }

// Enrolment is the MariaDB of 330106 西湖区.
func Enrolment(db *sql.DB, seed uint64) *District {
	d := &District{ID: "330106-xueji", db: db, rng: rand.New(rand.NewPCG(seed, 11)), next: 1, Tables: []Table{
		{"school", "CONCAT_WS('|', xxdm, xxmc, head_count)", "concat_ws('|', xxdm, xxmc, head_count)"},
		{"class", "CONCAT_WS('|', bh, xxdm, bjmc, ssnj)", "concat_ws('|', bh, xxdm, bjmc, ssnj)"},
		{"student", "CONCAT_WS('|', xh, xxdm, bh, xm, xbm, csrq, sznj, changed)",
			"concat_ws('|', xh, xxdm, bh, xm, xbm, csrq, sznj, to_char(changed, 'YYYY-MM-DD HH24:MI:SS.US'))"},
	}}
	d.create = []string{
		"CREATE TABLE school (xxdm char(10) PRIMARY KEY, xxmc varchar(60) NOT NULL, head_count int NOT NULL)",
		"CREATE TABLE class (bh bigint PRIMARY KEY, xxdm char(10) NOT NULL, bjmc varchar(20) NOT NULL, ssnj varchar(10) NOT NULL)",
		"CREATE TABLE student (xh bigint unsigned PRIMARY KEY, xxdm char(10) NOT NULL, bh bigint NOT NULL, xm varchar(36) CHARACTER SET gbk NOT NULL, xbm tinyint NOT NULL, csrq date NOT NULL, sznj smallint NOT NULL, changed datetime(6) NOT NULL, KEY (xxdm))",
	}
	d.seed = func(ctx context.Context, tx *sql.Tx) error {
		_, err := d.run(ctx, tx, "INSERT INTO school SELECT CONCAT('2133', LPAD(seq, 6, '0')), CONCAT('西湖第', seq, '小学'), 0 FROM seq_0_to_%d", schools-1)
		return err
	}
	d.step = d.enrolmentStep
	return d
}

func (d *District) enrolmentStep(ctx context.Context, tx *sql.Tx) error {
	a, b := d.school(), d.school()
	switch n := d.rng.IntN(1000); {
	case n < 80: // a class enrolled: class and 45 students, and the school's head count
		bh := d.next
		d.next++
		if _, err := d.run(ctx, tx, "INSERT INTO class VALUES (%d, '%s', '一年级%d班', '2026')", bh, a, bh%20); err != nil {
			return err
		}
		if _, err := d.run(ctx, tx, "INSERT INTO student SELECT %d * 1000 + seq, '%s', %d, CONCAT('镕', seq), 1 + seq %% 2, '2019-09-01' + INTERVAL seq DAY, 1, UTC_TIMESTAMP(6) FROM seq_1_to_45", bh, a, bh); err != nil {
			return err
		}
		_, err := d.run(ctx, tx, "UPDATE school SET head_count = head_count + 45 WHERE xxdm = '%s'", a)
		return err
	case n < 500: // a transfer: both head counts change with the student
		if a == b {
			return nil
		}
		moved, err := d.run(ctx, tx, "UPDATE student SET xxdm = '%s', changed = UTC_TIMESTAMP(6) WHERE xxdm = '%s' ORDER BY xh LIMIT 2", b, a)
		if err != nil {
			return err
		}
		if _, err := d.run(ctx, tx, "UPDATE school SET head_count = head_count - %d WHERE xxdm = '%s'", moved, a); err != nil {
			return err
		}
		_, err = d.run(ctx, tx, "UPDATE school SET head_count = head_count + %d WHERE xxdm = '%s'", moved, b)
		return err
	case n < 940: // a correction
		_, err := d.run(ctx, tx, "UPDATE student SET xm = CONCAT(LEFT(xm, 20), '改'), changed = UTC_TIMESTAMP(6) WHERE xxdm = '%s' ORDER BY xh DESC LIMIT 1", a)
		return err
	case n < 942: // a whole grade moves up
		_, err := d.run(ctx, tx, "UPDATE student SET sznj = sznj %% 6 + 1, changed = UTC_TIMESTAMP(6) ORDER BY xh LIMIT 2000")
		return err
	default:
		gone, err := d.run(ctx, tx, "DELETE FROM student WHERE xxdm = '%s' ORDER BY xh LIMIT 3", a)
		if err != nil {
			return err
		}
		_, err = d.run(ctx, tx, "UPDATE school SET head_count = head_count - %d WHERE xxdm = '%s'", gone, a)
		return err
	}
}

// Scores is the PostgreSQL of 330108 滨江区.
func Scores(db *sql.DB, seed uint64) *District {
	d := &District{ID: "330108-chengji", db: db, rng: rand.New(rand.NewPCG(seed, 12)), next: 1}
	for _, t := range []struct{ name, row string }{
		{"teacher", "concat_ws('|', gh, xm, xxdm)"}, {"score_sheet", "concat_ws('|', cjdid, kch, xn, n)"},
		{"score", "concat_ws('|', cjdid, xh, kccj, to_char(changed, 'YYYY-MM-DD HH24:MI:SS.US'))"},
	} {
		d.Tables = append(d.Tables, Table{t.name, t.row, t.row})
	}
	d.create = []string{
		"CREATE TABLE teacher (gh bigint PRIMARY KEY, xm text NOT NULL, xxdm char(10) NOT NULL)",
		"CREATE TABLE score_sheet (cjdid bigint PRIMARY KEY, kch text NOT NULL, xn text NOT NULL, n int NOT NULL)",
		"CREATE TABLE score (cjdid bigint, xh bigint, kccj numeric(5,1) NOT NULL, changed timestamp(6) NOT NULL, PRIMARY KEY (cjdid, xh))",
	}
	d.seed = func(ctx context.Context, tx *sql.Tx) error {
		_, err := d.run(ctx, tx, "INSERT INTO teacher SELECT i, '教师' || i, '2133' || lpad((i %% %d)::text, 6, '0') FROM generate_series(1, 300) i", schools)
		return err
	}
	d.step = d.scoreStep
	return d
}

const clock = "clock_timestamp() AT TIME ZONE 'UTC'"

func (d *District) scoreStep(ctx context.Context, tx *sql.Tx) error {
	sheet := 1 + d.rng.Int64N(d.next)
	switch n := d.rng.IntN(100); {
	case n < 30: // a sheet of scores
		id, count := d.next, 20+d.rng.IntN(30)
		d.next++
		if _, err := d.run(ctx, tx, "INSERT INTO score_sheet VALUES (%d, 'K%02d', '2026-2027', %d)", id, d.rng.IntN(12), count); err != nil {
			return err
		}
		_, err := d.run(ctx, tx, "INSERT INTO score SELECT %d, i, round((random() * 100)::numeric, 1), %s FROM generate_series(1, %d) i", id, clock, count)
		return err
	case n < 80: // a correction
		_, err := d.run(ctx, tx, "UPDATE score SET kccj = round((random() * 100)::numeric, 1), changed = %s WHERE cjdid = %d AND xh = %d", clock, sheet, 1+d.rng.IntN(20))
		return err
	case n < 90:
		_, err := d.run(ctx, tx, "UPDATE teacher SET xxdm = '%s' WHERE gh = %d", d.school(), 1+d.rng.IntN(300))
		return err
	default: // a score is withdrawn
		gone, err := d.run(ctx, tx, "DELETE FROM score WHERE cjdid = %d AND xh = %d", sheet, 1+d.rng.IntN(40))
		if err != nil {
			return err
		}
		_, err = d.run(ctx, tx, "UPDATE score_sheet SET n = n - %d WHERE cjdid = %d", gone, sheet)
		return err
	}
}

// Rows gives a table's rows at the source, canonical and in order.
func (d *District) Rows(ctx context.Context, t Table) ([]string, error) {
	return Strings(ctx, d.db, "SELECT "+t.Source+" FROM "+t.Name)
}

// Strings runs a query of one text column.
func Strings(ctx context.Context, db *sql.DB, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%.40s: %w", query, err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, fmt.Errorf("%.40s: %w", query, err)
		}
		out = append(out, strings.Clone(s))
	}
	return out, rows.Err()
}
