package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/capture/snapshot/loadtest"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// BenchmarkLoad reads a table of a real server as a load does, up to the values.
func BenchmarkLoad(b *testing.B) {
	db := servers.Postgres(b, nil)
	c, err := pgx.Connect(b.Context(), db.URL())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close(b.Context()) }() // only this benchmark's
	for _, q := range []string{`CREATE TABLE student (id bigint PRIMARY KEY, xjh char(19) NOT NULL, xm varchar(64) NOT NULL, xbm smallint NOT NULL, csrq date NOT NULL, sfzjh char(18) NOT NULL,
		xxdm char(10) NOT NULL, nj smallint NOT NULL, bj varchar(32) NOT NULL, rxsj timestamp NOT NULL, xz decimal(5,2) NOT NULL, bl real NOT NULL, zx bool NOT NULL, bz varchar(255), changed timestamp NOT NULL)`,
		`INSERT INTO student SELECT i, 'G' || lpad((i * 7919)::text, 18, '0'), '王伟', 1 + i % 2, date '2008-09-01' + i % 3000, '3301' || lpad((i * 31)::text, 14, '0'), '2133' || lpad((i % 1000)::text, 6, '0'), 1 + i % 9,
		i % 20 || '班', date '2014-09-01' + i % 3000, (i % 10000) / 100.0, (i % 1000) / 1000.0, i % 9 > 0, left(md5(i::text) || md5(i::text), 20 + i % 40), timestamp '2026-11-24 08:00:00' + i * interval '1 microsecond'
		FROM generate_series(1, 100000) i`,
		"VACUUM ANALYZE student"} {
		if _, err := c.Exec(b.Context(), q); err != nil {
			b.Fatalf("%.100s: %v", q, err)
		}
	}
	r, err := postgres.New(postgres.Options{Source: event.Source{ID: "330108-bench", Org: "330108", Engine: event.Postgres, Agent: "a1"},
		Host: db.Host, Port: db.Port, Database: db.Database, User: db.User, Password: db.Password, Tables: []string{"public.*"}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Close() }() // the server ends with the benchmark
	if _, err := r.Start(b.Context(), capture.Resume{FirstStart: true}); err != nil {
		b.Fatal(err)
	}
	loadtest.Benchmark(b, r.Source)
}
