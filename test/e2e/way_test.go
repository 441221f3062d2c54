package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

var update = flag.Bool("update", false, "write the pages of types anew")

// way is log, agents and worker between one database and the store city: one agent
// writes Avro, the other JSON. The store tells them apart by the source.
type way struct {
	t       *testing.T
	store   *pgx.Conn
	sources []string
	bin     string
	city    string         // the worker's file
	agents  map[string]int // ports of http, by source
}

// newWay runs the programs until the named tables are loaded, two rows from each source.
// The source is given as in an agent's file, without name, host and password.
func newWay(t *testing.T, pg servers.DB, source, password string, tables []string) *way {
	t.Helper()
	bin, dir, port := program.Build(t), t.TempDir(), program.Port(t)
	secret := func(name, password string) string {
		return program.Write(t, filepath.Join(dir, name), "%s\n", password)
	}
	w := &way{t: t, bin: bin, agents: map[string]int{}, sources: []string{"330106-leixing", "330107-leixing"}}
	agent := func(name, org, codec string) *program.Process {
		w.agents[org+"-leixing"] = program.Port(t)
		return &program.Process{Name: name, Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, name+".yml"), `
name: %s
org: "%s"
codec: %s
data_dir: %s
log: {brokers: ["127.0.0.1:%d"], embedded: true}
http: 127.0.0.1:%d
sources:
  - {name: leixing, host: 127.0.0.1, password_file: %s, first_start: load, %s}
`, name, org, codec, filepath.Join(dir, name), port, w.agents[org+"-leixing"], secret("source", password), source)}}
	}
	w.city = program.Write(t, filepath.Join(dir, "city.yml"), `
name: city
orgs: ["330106", "330107"]
log: {brokers: ["127.0.0.1:%d"], embedded: true}
store: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_file: %s}
`, port, pg.Port, secret("store", pg.Password))
	for _, p := range []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), port)}},
		agent("a1", "330106", "avro"), agent("a2", "330107", "json"),
		{Name: "city", Args: []string{"worker", "--config", w.city}},
	} {
		p.Start(t, bin, dir, password, pg.Password)
	}
	w.store = connect(t, pg, "city")
	mustExec(t, w.store, "SET bytea_output = 'hex'; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'")
	if !within(120*time.Second, func() bool { return w.loaded(tables) }) {
		t.Fatal("the tables weren't loaded within 120 s")
	}
	return w
}

// loaded reports whether each table has two rows from each source, and no load goes on.
func (w *way) loaded(tables []string) bool {
	var n int
	for _, table := range tables {
		err := w.store.QueryRow(w.t.Context(), "SELECT count(*) FROM ods."+table).Scan(&n)
		if err != nil || n != 2*len(w.sources) {
			return false
		}
	}
	err := w.store.QueryRow(w.t.Context(), "SELECT count(*) FROM tributary.table_state WHERE state = 'loading'").Scan(&n)
	return err == nil && n == 0
}

// verify wants every table of every source to be equal by tributary verify, whatever types
// it has.
func (w *way) verify() {
	w.t.Helper()
	for _, source := range w.sources {
		for name, c := range verify(w.t, w.bin, 0, source, "--store", w.city, "--agent", fmt.Sprintf("http://127.0.0.1:%d", w.agents[source])) {
			if c.State != "equal" || c.Rows == 0 {
				w.t.Errorf("%s: %+v", name, c)
			}
		}
	}
}

// stored gives a column's type in the store, and its value in the row that was streamed.
func (w *way) stored(table, column string) (typ, value string) {
	w.t.Helper()
	err := w.store.QueryRow(w.t.Context(), fmt.Sprintf(`SELECT format_type(atttypid, atttypmod), (SELECT coalesce(%[2]s::text, 'NULL') FROM ods.%[1]s WHERE id = 3 AND _source = '%[3]s')
		FROM pg_attribute WHERE attrelid = 'ods.%[1]s'::regclass AND attname = '%[2]s'`, table, column, w.sources[0])).Scan(&typ, &value)
	if err != nil {
		w.t.Fatal(err)
	}
	return typ, value
}

// holdPage holds a part of a page to a text, or writes it there.
func holdPage(t *testing.T, page, part, text string) {
	t.Helper()
	whole, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- begin: "+part+" -->\n", "<!-- end: "+part+" -->"
	head, rest, ok := strings.Cut(string(whole), begin)
	was, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place between %q and %q", page, begin, end)
	}
	text += "\n"
	if *update {
		if err := os.WriteFile(page, []byte(head+begin+text+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if was != text {
		t.Errorf("%s isn't what was found: go test ./test/e2e -run %s -update", page, t.Name())
	}
}
