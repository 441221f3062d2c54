package servers

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the page of servers anew")

// TestPage holds the page of servers to the matrix.
func TestPage(t *testing.T) {
	const name = "../../capture/SERVERS.md"
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- begin -->\n", "<!-- end -->"
	head, rest, ok := strings.Cut(string(b), begin)
	was, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place between %q and %q", name, begin, end)
	}
	if *update {
		if err := os.WriteFile(name, []byte(head+begin+Page()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if was != Page() {
		t.Errorf("%s isn't the matrix: go test ./test/servers -run %s -update", name, t.Name())
	}
}

// TestJudge: what didn't run, failed, or isn't in the matrix is a fault.
func TestJudge(t *testing.T) {
	line := func(engine, version, part, result, lacks string) string {
		return strings.Join([]string{engine, version, part, result, lacks}, "\t") + "\n"
	}
	var all string
	for _, r := range Matrix {
		for _, part := range Parts {
			if r.State == Run {
				all += line(r.Engine, r.Version+".7-MariaDB-log", part, "passed", "")
			}
		}
	}
	for name, tt := range map[string]struct{ in, table, err string }{
		"all":            {in: all, table: "PostgreSQL  18.7"},
		"one is missing": {in: strings.Replace(all, "PostgreSQL\t12.7", "PostgreSQL\t16.7", 1), err: "PostgreSQL 12, reader and first load: didn't run"},
		"one failed":     {in: all + line("MySQL", "9.7.4", Parts[1], "failed", ""), err: "MySQL 9.7, types from source to store: failed"},
		"unknown":        {in: all + line("MySQL", "9.8.0", Parts[0], "passed", ""), err: "MySQL 9.8.0 ran"},
		"no longer so":   {in: all + line("PostgreSQL", "13.1", Parts[0], "passed", ""), err: "PostgreSQL 13.1 ran"},
		"something lacks": {in: line("PostgreSQL", "10.23", Parts[1], "passed", "no hstore in this build") + all,
			table: "passed; not run: no hstore in this build"},
	} {
		t.Run(name, func(t *testing.T) {
			var table strings.Builder
			err := Judge(strings.NewReader(tt.in), &table)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("%v, want %q", err, tt.err)
			}
			if !strings.Contains(table.String(), tt.table) {
				t.Errorf("table without %q:\n%s", tt.table, table.String())
			}
		})
	}
}
