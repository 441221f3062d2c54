package preflight

import (
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
)

func TestParseGrant(t *testing.T) {
	for line, want := range map[string]grant{
		"GRANT SELECT, REPLICATION SLAVE ON *.* TO `a`@`%`":                                    {privileges: []string{"SELECT", "REPLICATION SLAVE"}, database: "*", table: "*"},
		"GRANT ALL PRIVILEGES ON `x``y`.* TO 'a'@'b' WITH GRANT OPTION":                        {privileges: []string{"ALL PRIVILEGES"}, database: "x`y", table: "*", option: true},
		"GRANT SELECT (a, `b`), UPDATE ON `x`.`t` TO 'a'@'b' IDENTIFIED BY PASSWORD '*00'":     {privileges: []string{"UPDATE"}, columns: true, database: "x", table: "t"},
		"GRANT BINLOG_ADMIN,XA_RECOVER_ADMIN ON *.* TO `GRANT SELECT ON x.* WITH`@`127.0.0.1`": {privileges: []string{"BINLOG_ADMIN", "XA_RECOVER_ADMIN"}, database: "*", table: "*"},
	} {
		got, ok := parseGrant(line)
		if !ok || !slices.Equal(got.privileges, want.privileges) || got.columns != want.columns || got.database != want.database || got.table != want.table || got.option != want.option {
			t.Errorf("%s: %+v, %t", line, got, ok)
		}
	}
	for _, line := range []string{"GRANT `role` TO `a`@`%`", "GRANT PROXY ON ''@'%' TO 'root'@'localhost'", "GRANT EXECUTE ON PROCEDURE `x`.`p` TO `a`@`b`", "REVOKE SELECT ON `x`.* FROM `a`@`b`", ""} {
		if g, ok := parseGrant(line); ok {
			t.Errorf("%q was read as %+v", line, g)
		}
	}
}

func TestGrantScope(t *testing.T) {
	for _, tt := range []struct {
		database, table string // of the grant
		wantDB, wantT   string
		covers          bool
	}{
		{"*", "*", "x", "t", true}, {"x", "*", "x", "", true}, {"x", "t", "x", "t", true}, {"x", "t", "x", "", false}, {"x", "t", "x", "u", false},
		{"x%", "*", "xueji", "t", true}, {"x_", "*", "xueji", "t", false}, {`x\_y`, "*", "x_y", "t", true}, {`x\_y`, "*", "xzy", "t", false}, {"a[b]*", "*", "a[b]*", "t", true}, {"a[b]*", "*", "ab", "t", false},
	} {
		g := grant{database: tt.database, table: tt.table}
		if g.covers(tt.wantDB, tt.wantT) != tt.covers {
			t.Errorf("%+v", tt)
		}
	}
	for pattern, want := range map[string]string{"a_b.*": "`a\\_b`.*", "a*.t": "`a%`.*", "a_b.t": "`a_b`.`t`"} {
		if got := scopeOf(pattern); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
}

func TestXID(t *testing.T) {
	my := mysqlServer{}
	for _, tt := range []struct {
		row  []string
		want string
	}{{[]string{"1", "3", "1", "0x61276263"}, "0x612762,0x63,1"}, {[]string{"7", "2", "0", "0x6162"}, "0x6162,0x,7"}, {[]string{"1", "9", "1", "0x61"}, "0x61"}} {
		if got := my.xid(tt.row); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.row, got, tt.want)
		}
	}
}

func TestArray(t *testing.T) {
	for in, want := range map[string][]string{"{}": nil, "{a,b}": {"a", "b"}, `{"a,b",c}`: {"a,b", "c"}, `{"a\"b","c\\d"}`: {`a"b`, `c\d`}} {
		if got := array(in); !slices.Equal(got, want) {
			t.Errorf("%s: %q", in, got)
		}
	}
}

func TestShortened(t *testing.T) {
	for _, name := range []string{"一二三四五六七八九十一二三四五六七八九十一二", "x", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff一二三"} {
		if got := shortened(name); len(got) > longName || !utf8.ValidString(got) || got == "" {
			t.Errorf("%s: %q has %d bytes", name, got, len(got))
		}
	}
}

func TestSeverity(t *testing.T) {
	if Refuses.String() != "refuses" || Severity(9).String() != "severity(9)" {
		t.Error(Refuses, Severity(9))
	}
	r := Report{}
	if _, any := r.Worst(); any {
		t.Error("a report without findings has a worst one")
	}
	r.add(Harms, "A", "", "")
	r.add(Advice, "B", "", "")
	if worst, any := r.Worst(); !any || worst != Harms {
		t.Error(worst)
	}
}

// TestTableCase: a server that keeps names as they are written and compares them without
// case can't be made on a file system that knows case.
func TestTableCase(t *testing.T) {
	for value, want := range map[string]int{"0": 0, "1": 0, "2": 1} {
		c := mysqlServer{r: &Report{}, vars: map[string]string{"lower_case_table_names": value, "log_bin": "ON", "binlog_format": "ROW"}}
		if c.required(); len(c.r.Findings) != want || want > 0 && c.r.Findings[0].Code != "MYSQL_TABLE_CASE" {
			t.Errorf("%s: %+v", value, c.r.Findings)
		}
	}
}

// TestOldUUID: only a server that was upgraded has such a column.
func TestOldUUID(t *testing.T) {
	c := mysqlServer{r: &Report{}, mariadb: true, version: 101105}
	table := &mysqlTable{database: "x", name: "t", columns: []mysqlColumn{{name: "u", Info: rowimage.Info{DataType: "uuid", ColumnType: "uuid /* old */"}}}}
	if err := c.types(table); err != nil || len(c.r.Findings) != 1 || c.r.Findings[0].Code != "TYPE_UNSUPPORTED" || c.r.Findings[0].Repairs[0].SQL != "ALTER TABLE `x`.`t` FORCE" {
		t.Errorf("%+v, %v", c.r.Findings, err)
	}
}
