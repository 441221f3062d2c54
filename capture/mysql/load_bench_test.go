package mysql

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture/snapshot/loadtest"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// BenchmarkLoad reads a table of a real server as a load does, up to the values.
func BenchmarkLoad(b *testing.B) {
	for name, start := range map[string]servers.Starter{"MariaDB": servers.MariaDB, "MySQL": servers.MySQL} {
		b.Run(name, func(b *testing.B) {
			db := start(b, nil)
			sql := db.Connect(b, "")
			run := func(q string) {
				b.Helper()
				if _, err := sql.Execute(q); err != nil {
					b.Fatalf("%.100s: %v", q, err)
				}
			}
			run("CREATE DATABASE xueji CHARACTER SET utf8mb4")
			run(studentTable)
			rng := rand.New(rand.NewPCG(7, 7))
			for first := 1; first <= 100_000; first += 1000 {
				values := make([]string, 1000)
				for i := range values {
					values[i] = student(rng, first+i)
				}
				run("INSERT INTO xueji.student VALUES " + strings.Join(values, ","))
			}
			r, err := New(Options{Source: event.Source{ID: "330106-bench", Org: "330106", Engine: event.MariaDB, Agent: "a1"},
				Host: db.Host, Port: db.Port, User: db.User, Password: db.Password, Tables: []string{"xueji.*"}})
			if err != nil {
				b.Fatal(err)
			}
			loadtest.Benchmark(b, r.Source)
		})
	}
}
