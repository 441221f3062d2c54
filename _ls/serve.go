package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"io"
	"os/exec"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/kafka"
)

var _ = local.Options{}

func stat(pid int) (ppid int, own, kids float64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	ppid, _ = strconv.Atoi(f[1])
	n := func(i int) float64 { v, _ := strconv.ParseFloat(f[i], 64); return v / 100 }
	return ppid, n(11) + n(12), n(13) + n(14)
}

// cpu of a process; with children for PostgreSQL.
func cpu(pid int, children bool) float64 {
	_, own, kids := stat(pid)
	if !children {
		return own
	}
	own += kids
	d, _ := os.ReadDir("/proc")
	for _, e := range d {
		if p, err := strconv.Atoi(e.Name()); err == nil {
			if pp, o, k := stat(p); pp == pid {
				own += o + k
			}
		}
	}
	return own
}

func main() {
	rows := 1_000_000
	if len(os.Args) > 1 {
		rows, _ = strconv.Atoi(os.Args[1])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := options{program: "bin/tributary", out: "/tmp/ls", rows: rows, repeat: 1, codecs: []string{"avro", "json"}}
	os.MkdirAll(o.out, 0o755)
	die := func(err error) {
		if err != nil {
			fmt.Println("ERR", err)
			panic(err)
		}
	}
	b, err := start(ctx, o)
	if b != nil {
		defer b.stop(false)
	}
	die(err)
	for _, q := range []string{"CREATE DATABASE quan CHARACTER SET utf8mb4", studentTable("quan.full", "tinyint", "datetime")} {
		_, err := b.mdb.ExecContext(ctx, q)
		die(err)
	}
	die(fill(ctx, b.mdb, "quan.full", b.rows))
	_, err = b.pdb.ExecContext(ctx, "CREATE DATABASE quan")
	die(err)
	db, err := sql.Open("pgx", b.pg.PostgresURL("quan"))
	die(err)
	_, err = db.ExecContext(ctx, studentTable("full_student", "smallint", "timestamp"))
	die(err)
	die(fill(ctx, db, "full_student", b.rows))
	_, err = db.ExecContext(ctx, "VACUUM ANALYZE full_student")
	die(err)
	db.Close()
	fmt.Println("ready", b.maria.PID(), b.pg.PID(), b.kafka.PID(), b.dir)
	os.WriteFile("/tmp/ls/pids", fmt.Appendf(nil, "MARIA=%d PG=%d KAFKA=%d DIR=%s MPORT=%d PPORT=%d KADDR=%s\n", b.maria.PID(), b.pg.PID(), b.kafka.PID(), b.dir, b.maria.Port, b.pg.Port, b.kafka.Addr), 0o644)
	var mu sync.Mutex
	n := 0
	http.HandleFunc("/load", func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		v := q.URL.Query()
		codec, engine := v.Get("codec"), v.Get("engine")
		if codec == "" {
			codec = "avro"
		}
		if engine == "" {
			engine = "mariadb"
		}
		if p := v.Get("bin"); p != "" {
			b.program = p
		}
		b.profiles = v.Get("profile")
		s := source{org: fmt.Sprint(400000 + n), name: "quan", engine: engine, codec: codec, start: "load", settings: at(b.maria) + `, tables: ["quan.full"]` + v.Get("more")}
		pid, kids := b.maria.PID(), false
		if engine == "postgres" {
			s.settings = at(b.pg) + `, database: quan, tables: ["public.*"]` + fmt.Sprintf(", slot: s%d, publication: p%d", n, n)
			s.settings = at(b.pg) + `, database: quan, tables: ["public.*"]` + v.Get("more")
			pid, kids = b.pg.PID(), true
		}
		s0, k0 := cpu(pid, kids), cpu(b.kafka.PID(), false)
		a0 := 0.0
		out, err := b.loaded(ctx, fmt.Sprintf("load-%s", engine), s, b.rows, func() func() (bool, error) {
			topic := kafka.Changes(s.org)
			first := true
			var p *process
			return func() (bool, error) {
				if first {
					p, first = b.running[len(b.running)-1], false
					os.WriteFile("/tmp/ls/agentpid", fmt.Appendf(nil, "%d", p.PID()), 0o644)
				}
				end, err := b.end(ctx, topic)
				if err != nil || int(end) < b.rows {
					return false, err
				}
				now, err := p.counters(ctx)
				a0 = cpu(p.PID(), false)
				return int(now["tributary_source_rows_total"]) >= b.rows, err
			}
		}())
		if err != nil {
			fmt.Fprintln(w, "ERR", err)
			return
		}
		m := 1e6 / float64(b.rows)
		sc, kc := (cpu(pid, kids)-s0)*m, (cpu(b.kafka.PID(), false)-k0)*m
		fmt.Fprintf(w, "%s %s rate %.0f  server %.2f agent %.2f (whole %.2f) broker %.2f sum %.2f  peak %.0f MB wire %.0f\n", engine, codec, out.Rate, sc, out.CPU, a0*m, kc, sc+out.CPU+kc, out.Resident, out.Wire)
		if engine == "postgres" { // drop the slot
			if c, err := pgx.Connect(ctx, b.pg.PostgresURL("quan")); err == nil {
				c.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")
				c.Close(ctx)
			}
		}
		dirs, _ := filepath.Glob(filepath.Join(b.kafka.Dir, "data", kafka.Changes(s.org)+"-0"))
		_ = dirs
	})
	http.HandleFunc("/dump", func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		program, _ := exec.LookPath("mariadb-dump")
		s0 := cpu(b.maria.PID(), false)
		cmd := exec.CommandContext(ctx, program, "--no-defaults", "--host="+b.maria.Host, fmt.Sprintf("--port=%d", b.maria.Port), "--user="+b.maria.User, "--single-transaction", "--skip-lock-tables", "quan", "full")
		cmd.Env = append(cmd.Environ(), "MYSQL_PWD="+b.maria.Password)
		begun := time.Now()
		err := cmd.Run()
		t := time.Since(begun).Seconds()
		u := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		m := 1e6 / float64(b.rows)
		fmt.Fprintf(w, "dump rate %.0f wall %.2f us server %.2f client %.2f %v\n", float64(b.rows)/t, t*m, (cpu(b.maria.PID(), false)-s0)*m, u.Seconds()*m, err)
	})
	http.HandleFunc("/copy", func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		query := q.URL.Query().Get("q")
		if query == "" {
			query = "COPY full_student TO STDOUT"
		}
		c, err := pgx.Connect(ctx, b.pg.PostgresURL("quan"))
		if err != nil {
			fmt.Fprintln(w, err)
			return
		}
		defer c.Close(ctx)
		s0, c0 := cpu(b.pg.PID(), true), cpu(os.Getpid(), false)
		begun := time.Now()
		_, err = c.PgConn().CopyTo(ctx, io.Discard, query)
		t := time.Since(begun).Seconds()
		m := 1e6 / float64(b.rows)
		fmt.Fprintf(w, "copy rate %.0f wall %.2f us server %.2f client %.2f %v\n", float64(b.rows)/t, t*m, (cpu(b.pg.PID(), true)-s0)*m, (cpu(os.Getpid(), false)-c0)*m, err)
	})
	go http.ListenAndServe("127.0.0.1:7799", nil)
	<-ctx.Done()
}
