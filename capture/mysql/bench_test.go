package mysql

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/packet"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// recorded is the server's end of a connection that sends what was recorded.
type recorded struct {
	net.Conn
	wire []byte
}

func (r *recorded) Read(p []byte) (int, error) {
	if len(r.wire) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.wire)
	r.wire = r.wire[n:]
	return n, nil
}

func (r *recorded) SetReadDeadline(time.Time) error { return nil }
func (r *recorded) Close() error                    { return nil }

// tape is a real server's log of so many transactions, and the reader that began before it.
type tape struct {
	r    *Reader
	from event.Place
	wire []byte
	rows int
}

const studentTable = `CREATE TABLE xueji.student (id bigint PRIMARY KEY, xjh char(19) NOT NULL, xm varchar(64) NOT NULL, xbm tinyint NOT NULL, csrq date NOT NULL, sfzjh char(18) NOT NULL,
	xxdm char(10) NOT NULL, nj smallint NOT NULL, bj varchar(32) NOT NULL, rxsj datetime NOT NULL, xz decimal(5,2) NOT NULL, bl float NOT NULL, zx bool NOT NULL, bz varchar(255), changed datetime(6) NOT NULL)`

// student writes a row of 15 columns, as varied as real ones.
func student(rng *rand.Rand, id int) string {
	note := make([]byte, 20+rng.IntN(60))
	for i := range note {
		note[i] = "abcdefghijklmnopqrstuvwxyz 0123456789"[rng.IntN(37)]
	}
	birth := time.Date(2008, 9, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rng.IntN(3000))
	return fmt.Sprintf("(%d,'G%018d','王%c',%d,'%s','3301%014d','2133%06d',%d,'%d班','%s',%d.%02d,%.3f,%t,'%s','2026-11-24 08:00:00.%06d')",
		id, rng.Int64N(1e17), []rune("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平")[rng.IntN(20)], 1+rng.IntN(2), birth.Format(time.DateOnly), rng.Int64N(1e14), rng.IntN(1000), 1+rng.IntN(9),
		1+rng.IntN(20), birth.AddDate(6, 0, 0).Format(time.DateTime), rng.IntN(100), rng.IntN(100), rng.Float64(), rng.IntN(9) > 0, note, rng.IntN(1e6))
}

// record writes rows in transactions of perTxn to a real MariaDB and keeps what it sends.
func record(b *testing.B, rows, perTxn int, update bool) *tape {
	b.Helper()
	db := servers.MariaDB(b, nil)
	sql := db.Connect(b, "")
	run := func(q string) {
		b.Helper()
		if _, err := sql.Execute(q); err != nil {
			b.Fatalf("%.100s: %v", q, err)
		}
	}
	run("CREATE DATABASE xueji CHARACTER SET utf8mb4")
	run(studentTable)
	write := func() {
		rng := rand.New(rand.NewPCG(7, 7))
		for first := 1; first <= rows; first += perTxn {
			values := make([]string, perTxn)
			for i := range values {
				values[i] = student(rng, first+i)
			}
			run("INSERT INTO xueji.student VALUES " + strings.Join(values, ","))
		}
	}
	if update {
		write()
	}
	r, err := New(Options{Source: event.Source{ID: "330106-bench", Org: "330106", Engine: event.MariaDB, Agent: "a1"},
		Host: db.Host, Port: db.Port, User: db.User, Password: db.Password, Tables: []string{"xueji.*"}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Close() })
	if _, err := r.Start(b.Context(), capture.Resume{FirstStart: true}); err != nil {
		b.Fatal(err)
	}
	t := &tape{r: r, from: r.at, rows: rows}
	if update {
		for first := 1; first <= rows; first += perTxn {
			run(fmt.Sprintf("UPDATE xueji.student SET nj = 77, bz = CONCAT(LEFT(bz, 20), id) WHERE id BETWEEN %d AND %d", first, first+perTxn-1))
		}
	} else {
		write()
	}
	sequence := byte(1)
	for i := range r.pending {
		t.wire = append(t.wire, framed(append([]byte{gomysql.OK_HEADER}, r.pending[i].raw...), &sequence)...)
	}
	for ends := 0; ends < rows/perTxn; {
		raw, err := r.stream.next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		t.wire = append(t.wire, framed(append([]byte{gomysql.OK_HEADER}, raw...), &sequence)...)
		if replication.EventType(raw[4]) == replication.XID_EVENT {
			ends++
		}
	}
	r.stream.close()
	return t
}

// play reads the tape from its beginning and gives each segment to f.
func (t *tape) play(b *testing.B, f func(*event.Segment)) {
	r := t.r
	conn := &recorded{wire: t.wire}
	r.stream = newDump(&client.Conn{Conn: packet.NewConn(conn)}, conn)
	r.newParser()
	r.pending, r.maps, r.at, r.last = nil, map[uint64]*relation{}, t.from, event.Position{}
	for rows := 0; rows < t.rows; {
		seg, err := r.Next(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		rows += len(seg.Rows)
		f(seg)
	}
}

var tapes = map[string]struct {
	rows, perTxn int
	update       bool
}{"transactions of 1000": {50_000, 1000, false}, "updates": {50_000, 1000, true}, "transactions of 1": {20_000, 1, false}}

// used gives the CPU time of this process so far: unlike the clock it counts nobody else's work.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCapture reads a real server's log from memory up to the records that a
// batch would carry. An operation is a row.
func BenchmarkCapture(b *testing.B) {
	for name, tt := range tapes {
		b.Run(name, func(b *testing.B) {
			t := record(b, tt.rows, tt.perTxn, tt.update)
			for _, stop := range []string{"values", "avro", "json"} {
				b.Run(stop, func(b *testing.B) {
					enc := envelope.NewEncoder(t.r.o.Source, "", map[string]envelope.Codec{"json": envelope.JSON}[stop])
					var records log.Records
					var key, value []byte
					t.play(b, func(seg *event.Segment) {
						for i := range seg.Rows {
							enc.BindTable(seg.Rows[i].Table, 1)
						}
					})
					b.ReportAllocs()
					b.ResetTimer()
					before := used(b)
					for done := 0; done < b.N; done += t.rows {
						t.play(b, func(seg *event.Segment) {
							if stop == "values" {
								return
							}
							for i := range seg.Rows {
								row := &seg.Rows[i]
								var err error
								if key, err = enc.AppendKey(key[:0], row); err != nil {
									b.Fatal(err)
								}
								if value, err = enc.AppendValue(value[:0], &seg.Txn, row, i); err != nil {
									b.Fatal(err)
								}
								records.Add(key, value, log.Header{Key: envelope.HeaderSource, Value: []byte("330106-bench")})
								if records.Size() > 1<<20 {
									records.Reset()
								}
							}
						})
					}
					b.ReportMetric(float64(used(b)-before)/float64(b.N), "cpu-ns/op")
				})
			}
		})
	}
}
