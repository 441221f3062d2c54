package main

import (
	"bytes"
	"compress/flate"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const columns = `xjh char(19) NOT NULL, xm varchar(64) NOT NULL, xbm %[1]s NOT NULL, csrq date NOT NULL, sfzjh char(18) NOT NULL, xxdm char(10) NOT NULL, nj smallint NOT NULL,
	bj varchar(32) NOT NULL, rxsj %[2]s NOT NULL, xz decimal(5,2) NOT NULL, bl float NOT NULL, zx bool NOT NULL, bz varchar(255), changed %[2]s(6) NOT NULL`

// values writes rows first … first+n-1 as SQL, as varied as real ones.
func values(rng *rand.Rand, first, n int) string {
	const family, given = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅鹏辉镕喆"
	f, g := []rune(family), []rune(given)
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		birth := time.Date(2008, 9, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rng.IntN(3000))
		note := make([]byte, 20+rng.IntN(60))
		for j := range note {
			note[j] = "abcdefghijklmnopqrstuvwxyz 0123456789"[rng.IntN(37)]
		}
		fmt.Fprintf(&b, "(%d,'G%018d','%c%c%c',%d,'%s','3301%014d','2133%06d',%d,'%d班','%s',%d.%02d,%.3f,%t,'%s','2026-11-24 08:00:00.%06d')",
			first+i, rng.Int64N(1e17), f[rng.IntN(len(f))], g[rng.IntN(len(g))], g[rng.IntN(len(g))], 1+rng.IntN(2), birth.Format("2006-01-02"), rng.Int64N(1e14),
			rng.IntN(1000), 1+rng.IntN(9), 1+rng.IntN(20), birth.AddDate(6, 0, 0).Format("2006-01-02 15:04:05"), rng.IntN(100), rng.IntN(100), rng.Float64(), rng.IntN(9) > 0, note, rng.IntN(1e6))
	}
	return b.String()
}

// compression tells how alike the rows are.
func compression() (float64, error) {
	text := values(rand.New(rand.NewPCG(7, 7)), 1, 5000)
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return 0, err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return 0, err
	}
	return float64(len(text)) / float64(out.Len()), w.Close()
}

// fill writes the backlog in transactions of 1,000 rows.
func (b *bench) fill(ctx context.Context, db *sql.DB, table string) error {
	rng := rand.New(rand.NewPCG(7, uint64(b.rows)))
	for first := 1; first <= b.rows; first += transaction {
		if _, err := db.ExecContext(ctx, "INSERT INTO "+table+" VALUES "+values(rng, first, transaction)); err != nil {
			return fmt.Errorf("write the backlog: %w", err)
		}
	}
	return nil
}

// prepared starts the agent once, so that it knows where to begin, and ends it.
func (b *bench) prepared(ctx context.Context, org string, agent func() (*process, error), follows func() (bool, error)) error {
	p, err := agent()
	if err != nil {
		return err
	}
	if err := until(ctx, time.Minute, "the agent "+org, follows); err != nil {
		return err
	}
	if err := until(ctx, time.Minute, "the agent's first records", func() (bool, error) {
		end, err := b.end(ctx, org)
		return end >= 2, err // open and heartbeat
	}); err != nil {
		return err
	}
	return p.End()
}

// captured measures an agent that has a backlog before it.
func (b *bench) captured(ctx context.Context, name, org string, rows int, agent func() (*process, error)) (sample, error) {
	from, err := b.end(ctx, org)
	if err != nil {
		return sample{}, err
	}
	before, err := b.logSize(org)
	if err != nil {
		return sample{}, err
	}
	p, err := agent()
	if err != nil {
		return sample{}, err
	}
	took, err := b.logged(ctx, name, org, from, rows)
	if err != nil {
		return sample{}, err
	}
	cpu, resident, err := p.used()
	if err != nil {
		return sample{}, err
	}
	after, err := b.logSize(org)
	if err != nil {
		return sample{}, err
	}
	s := sample{Rows: rows, Seconds: took.Seconds(), Rate: float64(rows) / took.Seconds(), CPU: cpu * 1e6 / float64(rows), Resident: resident, Wire: float64(after-before) / float64(rows)}
	return s, p.End()
}

const mariaOrg, pgOrg = "330106", "330108"

func (b *bench) mariaAgent() (*process, error) {
	return b.agent(mariaOrg, "xueji", "mariadb", `tables: ["xueji.*"]`, b.maria)
}

// mariadb measures MariaDB to Kafka.
func (b *bench) mariadb(ctx context.Context, r *report) error {
	for _, q := range []string{"CREATE DATABASE xueji CHARACTER SET utf8mb4",
		"CREATE TABLE xueji.student (id bigint PRIMARY KEY, " + fmt.Sprintf(columns, "tinyint", "datetime") + ")",
		"CREATE TABLE xueji.ping (id bigint PRIMARY KEY, at datetime(6) NOT NULL)"} {
		if _, err := b.mdb.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	if err := b.prepared(ctx, mariaOrg, b.mariaAgent, func() (bool, error) {
		var n int
		err := b.mdb.QueryRowContext(ctx, "SELECT count(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'").Scan(&n)
		return n > 0, err
	}); err != nil {
		return err
	}
	if err := b.fill(ctx, b.mdb, "xueji.student"); err != nil {
		return err
	}
	s, err := b.captured(ctx, "capture-mariadb", mariaOrg, b.rows, b.mariaAgent)
	if err != nil {
		return err
	}
	r.add("MariaDB to Kafka, Avro, lz4", "", s)
	return nil
}

// inserts measures Kafka to an empty store, and plain COPY of the same rows.
func (b *bench) inserts(ctx context.Context, r *report) error {
	s, p, err := b.applied(ctx, "apply-inserts", b.rows)
	if err != nil {
		return err
	}
	if err := p.End(); err != nil {
		return err
	}
	c, err := pgx.Connect(ctx, b.store.PostgresURL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }() // only this measurement's
	if _, err := c.Exec(ctx, "CREATE TABLE plain (LIKE ods.student INCLUDING ALL)"); err != nil {
		return err
	}
	var rows bytes.Buffer
	if _, err := c.PgConn().CopyTo(ctx, &rows, "COPY ods.student TO STDOUT BINARY"); err != nil {
		return err
	}
	begun := time.Now()
	if _, err := c.PgConn().CopyFrom(ctx, &rows, "COPY plain FROM STDIN BINARY"); err != nil {
		return err
	}
	plain := float64(b.rows) / time.Since(begun).Seconds()
	s.Ratio = s.Rate / plain
	r.add("Kafka to PostgreSQL, inserts", "plain COPY into the same table", s)
	r.add("plain COPY into the same table", "", sample{Rows: b.rows, Rate: plain})
	_, err = c.Exec(ctx, "DROP TABLE plain")
	return err
}

// applied measures a worker until the store has so many rows of the log.
func (b *bench) applied(ctx context.Context, name string, total int) (sample, *process, error) {
	p, err := b.worker(mariaOrg, "ods")
	if err != nil {
		return sample{}, nil, err
	}
	var first time.Time
	profiled := make(chan error, 1)
	err = until(ctx, 10*time.Minute, "the backlog in the store", func() (bool, error) {
		if first.IsZero() {
			var any bool
			if err := b.sdb.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM tributary.claim WHERE worker = 'ods')").Scan(&any); err != nil || !any {
				return false, err
			}
			first = time.Now()
			go func() { profiled <- b.profile(ctx, name) }()
		}
		var ok bool
		err := b.sdb.QueryRowContext(ctx, "SELECT coalesce(sum(rows), 0) >= $1 FROM tributary.batch", total).Scan(&ok)
		return ok, err
	})
	if err != nil {
		return sample{}, p, err
	}
	took := time.Since(first)
	if err := <-profiled; err != nil {
		return sample{}, p, err
	}
	cpu, resident, err := p.used()
	return sample{Rows: b.rows, Seconds: took.Seconds(), Rate: float64(b.rows) / took.Seconds(), CPU: cpu * 1e6 / float64(b.rows), Resident: resident}, p, err
}

// updates measures Kafka to a store that has the rows: each of them is changed once.
func (b *bench) updates(ctx context.Context, r *report) error {
	for first := 1; first <= b.rows; first += transaction {
		if _, err := b.mdb.ExecContext(ctx, fmt.Sprintf("UPDATE xueji.student SET nj = 77, bz = CONCAT(LEFT(bz, 20), id) WHERE id BETWEEN %d AND %d", first, first+transaction-1)); err != nil {
			return err
		}
	}
	s, err := b.captured(ctx, "capture-mariadb-updates", mariaOrg, b.rows, b.mariaAgent)
	if err != nil {
		return err
	}
	r.add("MariaDB to Kafka, updates", "", s)
	if s, p, err := b.applied(ctx, "apply-updates", 2*b.rows); err != nil {
		return err
	} else if err := p.End(); err != nil {
		return err
	} else {
		r.add("Kafka to PostgreSQL, updates", "", s)
	}
	return nil
}

// postgres measures PostgreSQL to Kafka, and pg_recvlogical on the same WAL.
func (b *bench) postgres(ctx context.Context, r *report) error {
	agent := func() (*process, error) {
		return b.agent(pgOrg, "chengji", "postgres", `database: postgres, tables: ["public.*"]`, b.pg)
	}
	if _, err := b.pdb.ExecContext(ctx, "CREATE TABLE student (id bigint PRIMARY KEY, "+fmt.Sprintf(columns, "smallint", "timestamp")+")"); err != nil {
		return err
	}
	if err := b.prepared(ctx, pgOrg, agent, func() (bool, error) {
		var n int
		err := b.pdb.QueryRowContext(ctx, "SELECT count(*) FROM pg_replication_slots WHERE active AND confirmed_flush_lsn IS NOT NULL").Scan(&n)
		return n > 0, err
	}); err != nil {
		return err
	}
	var publication, end string
	if err := b.pdb.QueryRowContext(ctx, "SELECT pubname FROM pg_publication").Scan(&publication); err != nil {
		return err
	}
	if _, err := b.pdb.ExecContext(ctx, "SELECT pg_create_logical_replication_slot('ceiling', 'pgoutput')"); err != nil {
		return err
	}
	if err := b.fill(ctx, b.pdb, "student"); err != nil {
		return err
	}
	if err := b.pdb.QueryRowContext(ctx, "SELECT pg_current_wal_lsn()").Scan(&end); err != nil {
		return err
	}
	// The ceiling runs before and after, because the first reader warms the caches.
	first, err := b.ceiling(ctx, publication, end)
	if err != nil {
		return err
	}
	s, err := b.captured(ctx, "capture-postgres", pgOrg, b.rows, agent)
	if err != nil {
		return err
	}
	s.Ratio = s.Rate / first
	r.add("PostgreSQL to Kafka over TCP", "pg_recvlogical to /dev/null", s)
	r.add("pg_recvlogical to /dev/null over TCP", "", sample{Rows: b.rows, Rate: first})
	return nil
}

// ceiling gives pg_recvlogical's rows per second.
func (b *bench) ceiling(ctx context.Context, publication, end string) (float64, error) {
	program, err := exec.LookPath(b.pg.Program("pg_recvlogical"))
	if err != nil {
		if program, err = exec.LookPath("pg_recvlogical"); err != nil {
			return 0, fmt.Errorf("the ceiling of PostgreSQL needs pg_recvlogical (Debian: postgresql-client): %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, program, "-h", b.pg.Host, "-p", fmt.Sprint(b.pg.Port), "-U", b.pg.User, "-d", "postgres", "--slot", "ceiling", "--start", "--no-loop",
		"--endpos", end, "-o", "proto_version=1", "-o", "publication_names="+publication, "-f", "-")
	cmd.Env = append(cmd.Environ(), "PGPASSWORD="+b.pg.Password)
	cmd.Stdout = nil // /dev/null
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("pg_recvlogical: %w", err)
	}
	return float64(b.rows) / time.Since(begun).Seconds(), nil
}

// latency writes one-row transactions at a steady rate and looks when the store shows
// them, by the writer's own clock.
func (b *bench) latency(ctx context.Context, r *report, seconds int) error {
	b.http = "127.0.0.1:0" // two programs run, neither is profiled
	agent, err := b.mariaAgent()
	if err != nil {
		return err
	}
	worker, err := b.worker(mariaOrg, "ods")
	if err != nil {
		return err
	}
	next := int64(1)
	if _, err := b.mdb.ExecContext(ctx, "INSERT INTO xueji.ping VALUES (?, UTC_TIMESTAMP(6))", next); err != nil {
		return err
	}
	if err := until(ctx, time.Minute, "the first row", func() (bool, error) {
		var n int
		err := b.sdb.QueryRowContext(ctx, "SELECT count(*) FROM ods.ping").Scan(&n)
		return n > 0, err
	}); err != nil {
		return err
	}
	for _, rate := range []int{200, 500, 1000} {
		s, err := b.pings(ctx, &next, rate, seconds)
		if err != nil {
			return err
		}
		r.add(fmt.Sprintf("commit to visible, %d one-row transactions/s", rate), "", s)
	}
	cpu, resident, err := agent.used()
	if err != nil {
		return err
	}
	r.add("agent beside them", "", sample{CPU: cpu * 1e6 / float64(next), Resident: resident})
	return worker.End()
}

func (b *bench) pings(ctx context.Context, next *int64, rate, seconds int) (sample, error) {
	first, count := *next+1, rate*seconds
	*next += int64(count)
	committed := make([]time.Time, count)
	var mu sync.Mutex
	const writers = 8 // each row has its own, so that one slow commit delays few
	var wg sync.WaitGroup
	errs := make([]error, writers)
	begun := time.Now()
	for w := range writers {
		wg.Go(func() {
			for i := w; i < count && errs[w] == nil; i += writers {
				due := time.NewTimer(time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				<-due.C
				_, err := b.mdb.ExecContext(ctx, "INSERT INTO xueji.ping VALUES (?, UTC_TIMESTAMP(6))", first+int64(i))
				mu.Lock()
				committed[i] = time.Now()
				mu.Unlock()
				errs[w] = err
			}
		})
	}
	c, err := pgx.Connect(ctx, b.store.PostgresURL("postgres"))
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = c.Close(ctx) }() // only this measurement's
	seen, lags := make([]time.Time, count), make([]float64, 0, count)
	missing := count
	for deadline := time.Now().Add(time.Duration(seconds+30) * time.Second); missing > 0 && time.Now().Before(deadline); {
		rows, err := c.Query(ctx, "SELECT id FROM ods.ping WHERE id >= $1 AND id > $2", first, lowest(seen, first)-1)
		if err != nil {
			return sample{}, err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return sample{}, err
		}
		now := time.Now()
		for _, id := range ids {
			if i := id - first; i < int64(count) && seen[i].IsZero() {
				seen[i] = now
				missing--
			}
		}
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return sample{}, err
		}
	}
	if missing > 0 {
		return sample{}, fmt.Errorf("%d of %d rows didn't become visible", missing, count)
	}
	for i := range seen {
		lags = append(lags, float64(max(0, seen[i].Sub(committed[i])).Microseconds())/1000)
	}
	slices.Sort(lags)
	return sample{Rows: count, P50: lags[len(lags)/2], P99: lags[len(lags)*99/100]}, nil
}

// lowest is the first id that hasn't been seen.
func lowest(seen []time.Time, first int64) int64 {
	for i := range seen {
		if seen[i].IsZero() {
			return first + int64(i)
		}
	}
	return first + int64(len(seen))
}
