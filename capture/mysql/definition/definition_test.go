package definition

import (
	"errors"
	"strings"
	"testing"
)

// show prints a table in one line: columns with their character sets, "!" behind one that is
// NOT NULL and "?" behind one of which that isn't known, then keys.
func show(t *Table) string {
	var out []string
	for _, c := range t.Columns {
		s := c.Name + " " + c.Type
		if c.Charset != "" {
			s += " " + c.Charset
		}
		s += []string{"", "!", "?"}[c.Nulls]
		if c.Virtual {
			s += " virtual"
		}
		out = append(out, s)
	}
	for _, k := range t.Keys {
		var parts []string
		for _, p := range k.Parts {
			parts = append(parts, p.Column+strings.Repeat("*", min(1, p.Length)))
		}
		s := k.Name + "(" + strings.Join(parts, " ") + ")"
		if k.Unique {
			s = "unique " + s
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

var (
	maria  = Session{MariaDB: true, Version: 101105}
	oracle = Session{Version: 90700}
)

// base is the table that the statements of TestStatements change.
const base = "CREATE TABLE t (id int PRIMARY KEY, a varchar(20) NOT NULL, b int unsigned, UNIQUE KEY ua (a)) DEFAULT CHARSET=gbk"

func TestStatements(t *testing.T) {
	for sql, want := range map[string]string{
		"":                         "id int!, a varchar(20) gbk!, b int unsigned, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t ADD c text": "id int!, a varchar(20) gbk!, b int unsigned, c text gbk, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t ADD COLUMN c enum('男','女') FIRST, ADD d set('x','y''z') CHARACTER SET utf8mb4 AFTER id": "c enum('男','女') gbk, id int!, d set('x','y''z') utf8mb4, a varchar(20) gbk!, b int unsigned, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t ADD (c char, d bit(9), e year NOT NULL)":                                                "id int!, a varchar(20) gbk!, b int unsigned, c char(1) gbk, d bit(9), e year!, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t ADD c text, DEFAULT CHARACTER SET utf8":                                                 "id int!, a varchar(20) gbk!, b int unsigned, c text utf8mb3, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t ADD c varchar(9) COLLATE utf8mb4_uca1400_ai_ci":                                         "id int!, a varchar(20) gbk!, b int unsigned, c varchar(9) utf8mb4, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t ADD IF NOT EXISTS b text, DROP COLUMN IF EXISTS zz, MODIFY IF EXISTS y int":             "id int!, a varchar(20) gbk!, b int unsigned, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t DROP b, ADD b timestamp(3)":                                                             "id int!, a varchar(20) gbk!, b timestamp(3)?, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t ADD (v int AS (b + 1), w int GENERATED ALWAYS AS (b) STORED), DROP a":                   "id int!, b int unsigned, v int virtual, w int, unique PRIMARY(id)",
		"ALTER TABLE t DROP a":                "id int!, b int unsigned, unique PRIMARY(id)",
		"ALTER TABLE t MODIFY b bigint FIRST": "b bigint, id int!, a varchar(20) gbk!, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t MODIFY id bigint, MODIFY a varchar(30) CHARACTER SET latin1":                                                       "id bigint!, a varchar(30) latin1, b int unsigned, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t CHANGE a b int, CHANGE b a decimal(9) zerofill":                                                                    "id int!, b int, a decimal(9,0) unsigned, unique PRIMARY(id), unique ua(b)",
		"ALTER TABLE t RENAME COLUMN a TO x, RENAME COLUMN b TO a":                                                                        "id int!, x varchar(20) gbk!, a int unsigned, unique PRIMARY(id), unique ua(x)",
		"ALTER TABLE t CHANGE b first_name char(5) AFTER id, ADD c int AFTER first_name":                                                  "id int!, first_name char(5) gbk, c int, a varchar(20) gbk!, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4":                                                                                  "id int!, a varchar(20) utf8mb4!, b int unsigned, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t DROP PRIMARY KEY":                                                                                                  "id int!, a varchar(20) gbk!, b int unsigned, unique ua(a)",
		"ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (b, id), ADD INDEX (a), ADD UNIQUE (a)":                                          "id int!, a varchar(20) gbk!, b int unsigned!, unique PRIMARY(b id), unique ua(a), unique a_2(a), a(a)",
		"ALTER TABLE t ADD UNIQUE (a(5), b), ADD KEY k ((b + 1))":                                                                         "id int!, a varchar(20) gbk!, b int unsigned, unique PRIMARY(id), unique ua(a), unique a(a* b), k()",
		"ALTER TABLE t ALTER b SET DEFAULT 5, ENGINE=InnoDB, COMMENT='x', ALGORITHM=INPLACE, LOCK=NONE, FORCE":                            "id int!, a varchar(20) gbk!, b int unsigned, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t ADD PARTITION (PARTITION p VALUES LESS THAN (9))":                                                                  "id int!, a varchar(20) gbk!, b int unsigned, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t DROP PARTITION p":                                                                                                  "id int!, a varchar(20) gbk!, b int unsigned, unique PRIMARY(id), unique ua(a)",
		"CREATE UNIQUE INDEX u ON t (b)":                                                                                                  "id int!, a varchar(20) gbk!, b int unsigned, unique PRIMARY(id), unique ua(a), unique u(b)",
		"DROP INDEX ua ON t":                                                                                                              "id int!, a varchar(20) gbk!, b int unsigned, unique PRIMARY(id)",
		"ALTER TABLE t /* comment */ ADD `co``l` int -- end":                                                                              "id int!, a varchar(20) gbk!, b int unsigned, co`l int, unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t ADD c int /*!50100 , ADD d int */ /*!99999 , ADD e int */ /*M!100300 , ADD f int */":                               "id int!, a varchar(20) gbk!, b int unsigned, c int, d int, f int, unique PRIMARY(id), unique ua(a)",
		"CREATE OR REPLACE TABLE t (a json, b float(53), c real, d double(9,2) unsigned, e serial)":                                       "a longtext utf8mb4, b double, c double, d double unsigned, e bigint unsigned!, unique e(e)",
		"CREATE TABLE t (a text(100), b blob(70000), c tinytext, d long varchar, e nvar int)":                                             "refused",
		"CREATE TABLE t (a text(100), b blob(70000), c tinytext, d varbinary(7), e char(3) CHARACTER SET binary, f bool) CHARSET utf8mb4": "a text utf8mb4, b mediumblob, c tinytext utf8mb4, d varbinary(7), e binary(3), f tinyint",
		"CREATE TABLE `t` (\n  `a` int(11) DEFAULT NULL\n) START TRANSACTION":                                                             "a int",
		// What isn't known for sure.
		"ALTER TABLE t ADD a int":                                    "refused",
		"ALTER TABLE t DROP a, ADD a int":                            "refused",
		"ALTER TABLE t ADD UNIQUE u (a(5)), MODIFY a int":            "id int!, a int, b int unsigned, unique PRIMARY(id), unique ua(a), unique u(a)",
		"ALTER TABLE t DROP zz":                                      "refused",
		"ALTER TABLE t MODIFY zz int":                                "refused",
		"ALTER TABLE t ADD c int AFTER zz":                           "refused",
		"ALTER TABLE t ADD c inet6":                                  "refused",
		"ALTER TABLE t ADD c int INVISIBLE":                          "refused",
		"ALTER TABLE t ADD c varchar(9) COMPRESSED":                  "refused",
		"ALTER TABLE t ADD c nchar(5)":                               "refused",
		"ALTER TABLE t ADD c char(300)":                              "refused",
		"ALTER TABLE t ADD c enum(x'41')":                            "refused",
		"ALTER TABLE t ADD c enum('€') CHARACTER SET ascii":          "refused",
		"ALTER TABLE t ADD SYSTEM VERSIONING":                        "refused",
		"ALTER TABLE t ADD c varchar(9) COLLATE uca1400_ai_ci":       "refused",
		"ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4, ADD c text": "refused",
		"ALTER TABLE t ADD c int; DROP TABLE t":                      "refused",
		"ALTER TABLE t WAIT 5 ADD c int":                             "refused",
		"CREATE TABLE t (a int) SELECT 1":                            "refused",
		"CREATE TABLE t SELECT 1":                                    "refused",
		"/* /* */":                                                   "refused",
		"ALTER TABLE t ADD `c int":                                   "refused",
	} {
		st, err := Parse(base, maria)
		if err != nil {
			t.Fatal(err)
		}
		table, err := st.Create("utf8mb4")
		if err != nil {
			t.Fatal(err)
		}
		before := show(table)
		if got := after(table, sql); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", sql, got, want)
		}
		if show(table) != before {
			t.Errorf("%s: the table that was is %s now", sql, show(table))
		}
	}
}

// after shows a table after a statement.
func after(table *Table, sql string) string {
	if sql == "" {
		return show(table)
	}
	st, err := Parse(sql, maria)
	if err == nil && strings.HasPrefix(sql, "CREATE") && strings.Contains(sql, "TABLE") {
		table, err = st.Create("utf8mb4")
	} else if err == nil {
		table, err = st.Alter(table, "utf8mb4")
	}
	switch {
	case errors.Is(err, ErrRefused):
		return "refused"
	case err != nil:
		return err.Error()
	}
	return show(table)
}

// TestSession reads one statement as different sessions mean it.
func TestSession(t *testing.T) {
	for name, tt := range map[string]struct {
		sql  string
		s    Session
		want string
	}{
		"MySQL":                 {"CREATE TABLE t (a json, b real)", oracle, "a json, b double"},
		"REAL_AS_FLOAT":         {"CREATE TABLE t (b real)", Session{Mode: realAsFloat}, "b float"},
		"text in quotes":        {`CREATE TABLE t (a enum("x\"y"))`, maria, `a enum('x"y') gbk`},
		"ANSI_QUOTES":           {`CREATE TABLE "t" ("a" int)`, Session{Mode: ansiQuotes}, `a int`},
		"a backslash in a name": {`CREATE TABLE "t" ("a\" int)`, Session{Mode: ansiQuotes}, ""},
		"NO_BACKSLASH_ESCAPES":  {`CREATE TABLE t (a enum('x\','y'))`, Session{Mode: noBackslashEscapes}, `a enum('x\','y') gbk`},
		"MAXDB":                 {"CREATE TABLE t (a timestamp)", Session{Mode: 1 << 12}, ""},
		"comment of 5.7":        {"CREATE TABLE t (a int /*!50708 , b int */)", oracle, "a int, b int"},
		"at MariaDB":            {"CREATE TABLE t (a int /*!50708 , b int */)", maria, "a int"},
		"MariaDB's at MySQL":    {"CREATE TABLE t (a int /*M! , b int */)", oracle, "a int"},
		"TiDB's":                {"CREATE TABLE t (a int /*T![auto_rand] auto_random */)", oracle, "a int"},
		"unreadable":            {"CREATE TABLE t (a int)", Session{Unreadable: true}, ""},
	} {
		st, err := Parse(tt.sql, tt.s)
		var table *Table
		if err == nil {
			table, err = st.Create("gbk")
		}
		switch {
		case tt.want == "" && !errors.Is(err, ErrRefused):
			t.Errorf("%s: %v, want it refused", name, err)
		case tt.want != "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.want != "" && show(table) != tt.want:
			t.Errorf("%s: %s, want %s", name, show(table), tt.want)
		}
	}
}

func TestDatabase(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE DATABASE d": "d utf8mb3",
		"CREATE SCHEMA IF NOT EXISTS d CHARACTER SET gbk":  "d gbk",
		"ALTER DATABASE d COLLATE utf8mb4_nopad_bin":       "d utf8mb4",
		"ALTER DATABASE DEFAULT CHARACTER SET = 'utf8mb4'": " utf8mb4",
	} {
		st, err := Parse(sql, maria)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if name, charset, err := st.Database("utf8"); err != nil || name+" "+charset != want {
			t.Errorf("%s: %s %s, %v; want %s", sql, name, charset, err, want)
		}
	}
}

// TestKey has the key by which a server knows a table's rows.
func TestKey(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE TABLE t (a int, b int, PRIMARY KEY (b, a))":                                 "b a",
		"CREATE TABLE t (a int, b int NOT NULL, UNIQUE x (a), UNIQUE y (b))":                "b",
		"CREATE TABLE t (a varchar(9) NOT NULL, b int, UNIQUE (a(5)), UNIQUE (b))":          "",
		"CREATE TABLE t (a varchar(9) NOT NULL, b int NOT NULL, UNIQUE (a(9)), UNIQUE (b))": "a",
		"CREATE TABLE t (a int)": "",
	} {
		st, err := Parse(sql, maria)
		if err != nil {
			t.Fatal(err)
		}
		table, err := st.Create("gbk")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range table.Key() {
			got = append(got, table.Columns[i].Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

// FuzzParse shows that no statement makes the parser panic, and that what comes of one is a
// table.
func FuzzParse(f *testing.F) {
	for _, sql := range []string{base, "ALTER TABLE t ADD c enum('x','y') FIRST, DROP a, RENAME COLUMN b TO id2", "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4",
		"CREATE UNIQUE INDEX u ON t (b)", "ALTER TABLE t ADD c int /*!50100 , ADD d int */", "ALTER TABLE t ADD UNIQUE (zz)", "CREATE TABLE t (a int, UNIQUE (b))",
		"ALTER TABLE t DROP id, DROP a, DROP b", "DROP INDEX ua ON t", "CREATE TABLE x LIKE t", "ALTER DATABASE d CHARSET gbk", "ALTER TABLE t ADD c varchar(9) COLLATE 'x'", "(((", "'\\"} {
		f.Add(sql, uint64(0), true)
		f.Add(sql, uint64(ansiQuotes|noBackslashEscapes), false)
	}
	f.Fuzz(func(t *testing.T, sql string, mode uint64, mariadb bool) {
		s := Session{MariaDB: mariadb, Version: 101105, Mode: mode}
		st, err := Parse(sql, s)
		if err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Errorf("%v", err)
			}
			return
		}
		first, err := Parse(base, Session{})
		if err != nil {
			t.Fatal(err)
		}
		old, err := first.Create("utf8mb4")
		if err != nil {
			t.Fatal(err)
		}
		for _, make := range []func() (*Table, error){
			func() (*Table, error) { return st.Create("gbk") },
			func() (*Table, error) { return st.Alter(old, "gbk") },
		} {
			table, err := make()
			if err == nil {
				err = table.Check()
				table.Key()
			}
			if err != nil && !errors.Is(err, ErrRefused) {
				t.Errorf("%v", err)
			}
		}
		if database, table, ok := st.Like(); !ok && database+table != "" {
			t.Errorf("LIKE %q.%q, %t", database, table, ok)
		}
		if _, _, err := st.Database("gbk"); err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%v", err)
		}
	})
}
