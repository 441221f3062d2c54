package postgres_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// logged is a transaction as the log has it: what a digest covers, row by row.
type logged struct {
	source, position string
	covered          []byte
}

// readLog reads whole transactions in the order of their commit records, by FORMAT.md
// and without the worker.
func readLog(t *testing.T, l *written) []logged {
	t.Helper()
	var done []logged
	part := map[string][]byte{}
	r := &reader{l: l}
	for from := log.Offset(0); from < l.end; {
		batches, err := r.Fetch(t.Context(), from, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for i := range batches {
			err := batches[i].Each(func(_ log.Offset, rec *log.Record) error {
				name, _ := rec.Header("source")
				source := string(name)
				add := func(id uint32, rest []byte) {
					version, err := hex.DecodeString(string(l.tables[id].Version()))
					if err != nil {
						t.Fatal(err)
					}
					part[source] = append(binary.BigEndian.AppendUint32(append(part[source], version...), uint32(len(rest))), rest...)
				}
				if rec.Value != nil {
					add(binary.BigEndian.Uint32(rec.Value[1:5]), rec.Value[5:])
					return nil
				}
				c, err := envelope.ParseControl(rec)
				switch {
				case err != nil:
					return err
				case c.Truncate != nil:
					add(c.Truncate.SchemaID, nil)
				case c.Commit != nil:
					done = append(done, logged{source, c.Commit.Txn.Position.String(), part[source]})
					part[source] = nil
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			from = batches[i].Last + 1
		}
	}
	return done
}

// TestDigestsFollowFromTheLog: anybody who has the log and the store's batches can
// compute their digests: of groups, of large transactions beside them, with truncates
// and with rows in quarantine.
func TestDigestsFollowFromTheLog(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	h, c := bench.fresh(t)
	l := newWritten()
	a, b := l.source(1, 1, named("330106-a")), l.source(2, 2, named("330108-b"))
	o := worker.Options{SpoolDir: t.TempDir(), SpoolBytes: 64 << 10, BatchRows: 300}
	w := apply(t, l, h.Open(t), o)
	w.await(t, a.table.Source, a.apply(insert(1, "a", "")))
	w.await(t, b.table.Source, b.apply(insert(1, "b", "")))
	sql(t, c, "ALTER TABLE ods.student ADD CHECK (name <> 'bad')")
	for n := range 40 {
		a.rows(100, func(i int) event.Row { return insert(int64(1000+100*n+i), "a", "giant") })
		w.await(t, b.table.Source, b.apply(insert(int64(10+n), "b", ""), insert(int64(100+n), []string{"good", "bad"}[n%2], "")))
	}
	a.commit(4000)
	a.truncate()
	a.rows(1, func(int) event.Row { return insert(7, "a", "after the truncate") })
	a.commit(2)
	last := a.apply(insert(8, "bad", ""))
	b.apply(remove(1))
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	for n := range int64(20) { // a backlog becomes groups; rows of both lie among each other
		a.rows(2, func(i int) event.Row { return insert(100+2*n+int64(i), "a", "grouped") })
		b.apply(insert(200+n, "b", "grouped"))
		last = a.commit(2)
	}
	w = apply(t, l, h.Open(t), o) // the chain goes on under another claim
	w.await(t, a.table.Source, last)
	w.await(t, b.table.Source, b.apply(insert(9, "b", "")))
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	wantChain(t, c, readLog(t, l))
	want := []string{"330106-a 330106 mariadb a streaming t", "330108-b 330106 mariadb a streaming t"}
	if got := texts(t, c, "SELECT concat_ws(' ', source, org, engine, agent, state, first_seen <= now()) FROM tributary.source ORDER BY 1"); !slices.Equal(got, want) {
		t.Errorf("sources %q, want %q", got, want)
	}
	lineage := fmt.Sprintf("{%s} {policy-1} {}", a.table.Version())
	if got := texts(t, c, "SELECT DISTINCT concat_ws(' ', versions, policies, hops) FROM tributary.batch_source WHERE source = '330106-a'"); !slices.Equal(got, []string{lineage}) {
		t.Errorf("lineage %q, want %q", got, lineage)
	}
}

// wantChain walks the batches from the first one and computes each digest.
func wantChain(t *testing.T, c *pgx.Conn, txns []logged) {
	t.Helper()
	var batch int64
	digest, n, covered := make([]byte, 32), 0, 0
	for first := true; ; first = false {
		var got []byte
		var steps string
		err := c.QueryRow(t.Context(), `SELECT id, digest, (SELECT string_agg(concat_ws(' ', source, from_position, to_position), ',') FROM tributary.batch_source WHERE batch = id)
			FROM tributary.batch WHERE previous IS NOT DISTINCT FROM CASE WHEN $1 THEN NULL ELSE $2::bigint END`, first, batch).Scan(&batch, &got, &steps)
		if err != nil {
			break // no batch follows
		}
		n++
		content := sha256.New()
		for _, x := range txns {
			for step := range strings.SplitSeq(steps, ",") {
				f := strings.Split(step, " ")
				if x.source == f[0] && x.position > f[1] && x.position <= f[2] {
					content.Write(x.covered)
					covered++
				}
			}
		}
		sum := sha256.Sum256(content.Sum(digest))
		if digest = sum[:]; !bytes.Equal(digest, got) {
			t.Fatalf("batch %d (%s) has digest %x, the log gives %x", batch, steps, got, digest)
		}
	}
	all := texts(t, c, "SELECT concat_ws(' ', (SELECT count(*) FROM tributary.batch), (SELECT batch FROM tributary.head))")
	if want := fmt.Sprint(n, " ", batch); len(all) != 1 || all[0] != want || covered != len(txns) {
		t.Errorf("the chain has %s batches and head, the store %q; it covers %d of %d transactions", want, all, covered, len(txns))
	}
	if n > covered-10 {
		t.Errorf("%d batches for %d transactions: no groups", n, covered)
	}
	t.Logf("%d batches with %d transactions", n, covered)
}
