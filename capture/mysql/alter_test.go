package mysql

import (
	"fmt"
	"testing"
)

func TestAlter(t *testing.T) {
	for sql, want := range map[string]string{
		"ADD note text": "quiet +[note]",
		"ADD COLUMN IF NOT EXISTS a int(11) NULL COMMENT 'default' AFTER b, ADD `B` decimal(5, 2) FIRST": "quiet +[a b]",
		"ADD a int DEFAULT 5":              "loud",
		"ADD a int NOT NULL":               "loud",
		"ADD a timestamp":                  "loud",
		"ADD a int AS (b + 1) STORED":      "loud",
		"ADD (a int, b int)":               "loud",
		"ADD PRIMARY KEY (a)":              "loud",
		"ADD CONSTRAINT x PRIMARY KEY (a)": "loud",
		"ADD KEY i (a, b), ADD UNIQUE (c), ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES t (a)": "quiet",
		"DROP a, DROP COLUMN IF EXISTS B":                  "quiet -[a b]",
		"DROP INDEX i, DROP FOREIGN KEY f":                 "quiet",
		"DROP PRIMARY KEY":                                 "loud",
		"DROP PARTITION p":                                 "loud",
		"TRUNCATE PARTITION p":                             "loud",
		"EXCHANGE PARTITION p WITH TABLE t":                "loud",
		"ADD PARTITION (PARTITION p VALUES LESS THAN (9))": "quiet",
		"REORGANIZE PARTITION p INTO (PARTITION q VALUES LESS THAN (9), PARTITION r VALUES LESS THAN (10))": "quiet",
		"MODIFY a bigint":                  "loud",
		"CHANGE a b int":                   "loud -[a]",
		"RENAME COLUMN a TO b":             "loud -[a]",
		"RENAME INDEX a TO b":              "quiet",
		"RENAME TO x.y":                    "loud >x.y",
		"RENAME AS y, ADD a int":           "loud +[a] >db.y",
		"CONVERT TO CHARACTER SET utf8mb4": "loud",
		"ALTER a SET DEFAULT 5, ALGORITHM=INSTANT, LOCK=NONE, ENGINE=InnoDB, FORCE": "quiet",
		"ADD note text, MODIFY b bigint":                                            "loud +[note]",
		"":                                                                          "quiet",
	} {
		a := alter(tokens(sql), "db")
		got := "loud"
		if a.quiet {
			got = "quiet"
		}
		if a.added != nil {
			got += fmt.Sprint(" +", a.added)
		}
		if a.gone != nil {
			got += fmt.Sprint(" -", a.gone)
		}
		if a.renamed != "" {
			got += " >" + a.renamed
		}
		if got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

func TestRenames(t *testing.T) {
	for sql, want := range map[string]string{
		"a TO b":                 "map[db.a:db.b] [db.b]",
		"a TO x.b, c TO a":       "map[db.c:db.a] [db.a x.b]",
		"a TO t, b TO a, t TO b": "map[] [db.a db.b]",
		"a WAIT 5 TO b":          "map[db.a:db.b] [db.b]",
		"a TO":                   "map[] []",
	} {
		gone, taken := renames(tokens(sql), "db")
		if got := fmt.Sprint(gone, taken); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}
