package mysql

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestShown: no value of a row and no default, comment or password stands in a log because
// a statement is shown.
func TestShown(t *testing.T) {
	for _, c := range []struct {
		sql     string
		defines bool
		want    string
	}{
		{"ALTER TABLE `t` ADD note varchar(40) DEFAULT 'it''s \\' secret' AFTER id", true, "ALTER TABLE `t` ADD note varchar(40) DEFAULT '…' AFTER id"},
		{"ALTER TABLE a.b\n\tMODIFY c decimal(5,2) COMMENT \"secret\"", true, "ALTER TABLE a.b MODIFY c decimal(5,2) COMMENT '…'"},
		{"/* secret */ ALTER TABLE t /* secret */ DROP x # secret\n, DROP y -- secret", true, "ALTER TABLE t DROP x , DROP y"},
		{"ALTER TABLE t COMMENT 'secret`", true, "ALTER TABLE t COMMENT '…'"},
		{"ALTER TABLE t ADD `a``b` int", true, "ALTER TABLE t ADD `a``b` int"},
		{"SELECT f('secret',3301, x'5ec7e7', -4.5)", false, "SELECT f('…',0, x'…', -0.0)"},
		{"CALL p(0x5ec7e7,`secret name of a column`)", false, "CALL p(0,`secret name of a column`)"},
		{"", true, ""},
	} {
		if got := shown(c.sql, c.defines); got != c.want {
			t.Errorf("%q is shown as %q, want %q", c.sql, got, c.want)
		}
	}
	long := shown("ALTER TABLE t "+strings.Repeat("学籍", 200), true)
	if len(long) > shownBytes || len(long) < shownBytes-utf8.UTFMax || !utf8.ValidString(long) {
		t.Errorf("%d bytes: %q", len(long), long)
	}
}
