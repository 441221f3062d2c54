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
		"ALTER TABLE t ADD c char(300)":                              "refused",
		"ALTER TABLE t ADD c enum(x'41')":                            "refused",
		"ALTER TABLE t ADD c enum('€') CHARACTER SET ascii":          "refused",
		"ALTER TABLE t ADD SYSTEM VERSIONING":                        "refused",
		"ALTER TABLE t ADD c varchar(9) COLLATE uca1400_ai_ci":       "refused",
		"ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4, ADD c text": "refused",
		"ALTER TABLE t ADD c int; DROP TABLE t":                      "refused",
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

// TestServersOwn has what the parser doesn't know, or takes for something else.
func TestServersOwn(t *testing.T) {
	const head, tail = "id int!, a varchar(20) gbk!, b int unsigned", "unique PRIMARY(id), unique ua(a)"
	for sql, want := range map[string]string{
		// columns
		"ALTER TABLE t ADD c int NOT NULL DEFAULT 5 INVISIBLE, ADD d text COMPRESSED=zlib, ADD e varchar(9) COMPRESSED NOT NULL":                                                                                                              head + ", c int!, d text gbk, e varchar(9) gbk!, " + tail,
		"ALTER TABLE t ADD (c inet4, d inet6 NOT NULL DEFAULT '::', e uuid DEFAULT uuid() UNIQUE)":                                                                                                                                            head + ", c inet4, d inet6!, e uuid, unique PRIMARY(id), unique ua(a), unique e(e)",
		"ALTER TABLE t ADD c point NOT NULL SRID 4326, ADD SPATIAL INDEX (c), ADD d geometry REF_SYSTEM_ID=3, ADD FULLTEXT f (a)":                                                                                                             head + ", c point!, d geometry, " + tail + ", c(c), f(a)",
		"ALTER TABLE t ADD (c nchar, d nchar(5), e national character varying(7), f nvarchar(8), g national varchar(9) NOT NULL)":                                                                                                             head + ", c char(1) utf8mb3, d char(5) utf8mb3, e varchar(7) utf8mb3, f varchar(8) utf8mb3, g varchar(9) utf8mb3!, " + tail,
		"ALTER TABLE t ADD (c char(5) ascii, d varchar(5) unicode, e char(5) byte, ascii int, f text CHARACTER SET ascii)":                                                                                                                    head + ", c char(5) latin1, d varchar(5) ucs2, e binary(5), ascii int, f text ascii, " + tail,
		"ALTER TABLE t ADD c int CHECK (c > 0) NOT NULL, ADD d int CONSTRAINT x CHECK (d <> 1) NOT ENFORCED, ADD CHECK (b > 1)":                                                                                                               head + ", c int!, d int, " + tail,
		"ALTER TABLE t ADD c varchar(9) AS (convert(a using ascii)) PERSISTENT, ADD d int AS (b + 1) INVISIBLE":                                                                                                                               head + ", c varchar(9) gbk, d int virtual, " + tail,
		"ALTER TABLE t ADD (c int DEFAULT (b + 1) NOT NULL, d double DEFAULT -1.5e-3, e int DEFAULT NEXT VALUE FOR x.s COMMENT 'DEFAULT')":                                                                                                    head + ", c int!, d double, e int, " + tail,
		"ALTER TABLE t ADD c date DEFAULT DATE '2026-09-01' NOT NULL, ADD d varchar(9) DEFAULT _utf8'a' 'b' AFTER id, ADD e int DEFAULT x.nextval NULL":                                                                                       "id int!, d varchar(9) gbk, a varchar(20) gbk!, b int unsigned, c date!, e int, " + tail,
		"ALTER TABLE t ADD c int DEFAULT 1. FIRST, ADD d int DEFAULT 1.NOT NULL, ADD e decimal(3,1) DEFAULT -1. COMMENT 'x' AFTER a, ADD f double DEFAULT 1.e-5 FIRST, ADD g double DEFAULT .5E+3 AFTER a, ADD h double DEFAULT 1.e5 AFTER a": "f double, c int, id int!, a varchar(20) gbk!, h double, g double, e decimal(3,1), b int unsigned, d int!, " + tail,
		"ALTER TABLE t ADD c datetime DEFAULT NOW() ON UPDATE NOW() FIRST, ADD d int REFERENCES u (x) ON UPDATE CASCADE ON DELETE SET NULL":                                                                                                   "c datetime, " + head + ", d int, " + tail,
		"ALTER TABLE t ADD (c datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), d bit(3) DEFAULT b'1')":                                                                                                                head + ", c datetime(3), d bit(3), " + tail,
		"ALTER TABLE t ADD c int ENGINE_ATTRIBUTE='{}' COLUMN_FORMAT DYNAMIC, ADD masking int, ADD `key` int, ADD rank int":                                                                                                                   head + ", c int, masking int, key int, rank int, " + tail,
		"ALTER TABLE t ADD c serial, ADD d int SERIAL DEFAULT VALUE":                                                                                                                                                                          head + ", c bigint unsigned!, d int!, unique PRIMARY(id), unique ua(a), unique c(c), unique d(d)",
		// keys
		"ALTER TABLE t ADD INDEX IF NOT EXISTS ua (b), ADD UNIQUE KEY IF NOT EXISTS ub (b DESC) COMMENT 'unique', ADD CONSTRAINT c UNIQUE (id, b)": head + ", unique PRIMARY(id), unique ua(a), unique ub(b), unique c(id b)",
		"ALTER TABLE t ADD KEY type (b) COMMENT 'unique', ADD KEY USING BTREE (a), ADD KEY k TYPE BTREE (b) IGNORED":                               head + ", " + tail + ", type(b), a(a), k(b)",
		"ALTER TABLE t DROP CHECK ua": head + ", " + tail,
		"ALTER TABLE t DROP KEY IF EXISTS zz, DROP CONSTRAINT IF EXISTS ua, DROP FOREIGN KEY IF EXISTS f":                              head + ", unique PRIMARY(id)",
		"ALTER TABLE t DROP PRIMARY KEY, ADD CONSTRAINT x PRIMARY KEY y USING BTREE (id) KEY_BLOCK_SIZE=8":                             head + ", unique PRIMARY(id), unique ua(a)",
		"ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY IF NOT EXISTS (b) REFERENCES u (x) ON DELETE SET NULL, ADD VECTOR INDEX v (a) M=8": head + ", " + tail + ", v(a)",
		"ALTER TABLE t RENAME INDEX IF EXISTS ua TO uz, ALTER INDEX x NOT IGNORED, ALTER COLUMN b SET INVISIBLE":                       head + ", unique PRIMARY(id), unique uz(a)",
		"CREATE OR REPLACE UNIQUE INDEX IF NOT EXISTS u USING BTREE ON t WAIT 5 (b) COMMENT 'x'":                                       head + ", " + tail + ", unique u(b)",
		"CREATE SPATIAL INDEX s ON t (b)":     head + ", " + tail + ", s(b)",
		"DROP INDEX IF EXISTS ua ON t NOWAIT": head + ", unique PRIMARY(id)",
		// the statement
		"ALTER ONLINE IGNORE TABLE IF EXISTS t WAIT 5 ADD COLUMN IF NOT EXISTS (c int, CHECK (c > 0), d int), DROP COLUMN IF EXISTS zz": head + ", c int, d int, " + tail,
		"ALTER TABLE t NOWAIT CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci, ADD c int, DROP b":                        "id int!, a varchar(20) utf8mb4!, c int, " + tail,
		"/*!50100 ALTER TABLE t */ /*M!100200 ADD c int INVISIBLE */ /*!999999 , ADD d int */":                                          head + ", c int, " + tail,
		"ALTER TABLE t ADD c int PARTITION BY HASH (id) PARTITIONS 4":                                                                   head + ", c int, " + tail,
		"ALTER TABLE t DROP b REMOVE PARTITIONING":                                                                                      "id int!, a varchar(20) gbk!, " + tail,
		"ALTER TABLE t CONVERT PARTITION p TO TABLE u":                                                                                  head + ", " + tail,
		"ALTER TABLE t ENGINE=InnoDB ROW_FORMAT=DYNAMIC `PAGE_COMPRESSED`=1 COMMENT='x, ADD c int', ORDER BY a DESC, b":                 head + ", " + tail,
		"ALTER TABLE t":                head + ", " + tail,
		"CREATE TABLE t LIKE `a``b`.c": "refused",
		"CREATE OR REPLACE TABLE IF NOT EXISTS `t` (`id` int(11) NOT NULL, KEY `k` (`id`) USING BTREE) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=ascii COLLATE=ascii_bin `ENCRYPTED`=YES UNION=(a,b) PARTITION BY KEY () START TRANSACTION": "id int!, k(id)",
		// periods
		"ALTER TABLE t ADD x date, ADD y date NULL AFTER id, ADD PERIOD FOR p (x, `y`)":                                                       "id int!, y date!, a varchar(20) gbk!, b int unsigned, x date!, " + tail,
		"ALTER TABLE t CHANGE b c date, ADD d date, ADD PERIOD FOR p (c, d), DROP PERIOD FOR q":                                               "id int!, a varchar(20) gbk!, c date!, d date!, " + tail,
		"ALTER TABLE t ADD (x date, y date), ADD PERIOD FOR `p``` (x, y), ADD UNIQUE (b, `p``` WITHOUT OVERLAPS)":                             head + ", x date!, y date!, " + tail + ", unique b(b y x)",
		"CREATE TABLE t (a int, x timestamp(6), y timestamp(6) NULL, PRIMARY KEY (a, P WITHOUT OVERLAPS), PERIOD FOR p (x, y)) ENGINE=InnoDB": "a int!, x timestamp(6)!, y timestamp(6)!, unique PRIMARY(a y x)",
		// what stays unknown
		"ALTER TABLE t ADD PERIOD FOR p (x, y)":                                                       "refused",
		"ALTER TABLE t ADD PERIOD FOR SYSTEM_TIME (a, b)":                                             "refused",
		"ALTER TABLE t DROP PERIOD FOR SYSTEM_TIME":                                                   "refused",
		"ALTER TABLE t ADD PERIOD FOR p (a)":                                                          "refused",
		"ALTER TABLE t ADD PERIOD FOR p (a, b) x":                                                     "refused",
		"CREATE TABLE t (a int, x date, y date, PERIOD FOR p (x, y), UNIQUE (a, q WITHOUT OVERLAPS))": "refused",
		"ALTER TABLE t ADD c timestamp(6) GENERATED ALWAYS AS ROW START":                              "refused",
		"CREATE TABLE t (a int) WITH SYSTEM VERSIONING":                                               "refused",
		"ALTER TABLE t ADD UNIQUE (id, p WITHOUT OVERLAPS)":                                           "refused",
		"CREATE TABLE t (a int) PARTITION BY HASH (a) SELECT 1":                                       "refused",
		"CREATE TABLE t (a int) CHARACTER SET = DEFAULT":                                              "refused",
		"ALTER TABLE t ADD c varchar(9), CONVERT TO CHARACTER SET utf8mb4":                            "refused",
		"ALTER TABLE t SEQUENCE=1":                                                                    "refused",
		"ALTER TABLE t ADD c xmltype":                                                                 "refused",
		"ALTER TABLE t ADD c int `ENGINES_OWN`=1":                                                     "refused",
		"ALTER TABLE t ADD c binary(1073741824)":                                                      "refused",
		"CREATE SEQUENCE t":                                                                           "refused",
	} {
		st, err := Parse(base, maria)
		if err != nil {
			t.Fatal(err)
		}
		table, err := st.Create("utf8mb4")
		if err != nil {
			t.Fatal(err)
		}
		if got := after(table, sql); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", sql, got, want)
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
		"a backslash in a name": {`CREATE TABLE "t" ("a\" int)`, Session{Mode: ansiQuotes}, `a\ int`},
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
		"ALTER TABLE t DROP id, DROP a, DROP b", "DROP INDEX ua ON t", "CREATE TABLE x LIKE t", "ALTER DATABASE d CHARSET gbk", "ALTER TABLE t ADD c varchar(9) COLLATE 'x'", "(((", "'\\",
		"ALTER ONLINE TABLE t WAIT 5 ADD IF NOT EXISTS (c nchar(5) INVISIBLE, d inet6 DEFAULT '::', UNIQUE IF NOT EXISTS (c)), ADD SPATIAL KEY (d), CONVERT TO CHARACTER SET gbk",
		"ALTER TABLE t ADD c double DEFAULT -1.5e-3 COMMENT 'x' CHECK (c > 1) NOT ENFORCED PARTITION BY HASH (c)", "ALTER TABLE t ENGINE=InnoDB, ORDER BY a DESC, b",
		"CREATE OR REPLACE TABLE t (g point SRID 1, v int AS (1) PERSISTENT, CONSTRAINT x CHECK (1)) UNION=(a) COLLATE=gbk_bin PARTITION BY KEY ()", "CREATE TABLE t (LIKE x)",
		"ALTER TABLE t ADD c DEFAULT", "ALTER TABLE t ADD c int DEFAULT .", "ALTER TABLE t ADD KEY", "CREATE TABLE t (", "ALTER TABLE t ORDER BY", "DROP INDEX i ON"} {
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
