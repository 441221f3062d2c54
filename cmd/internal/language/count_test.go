package language

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/test/source"
)

func TestSprintf(t *testing.T) {
	for _, tt := range []struct {
		format string
		args   []any
		want   string
	}{
		{"%d {row|rows}", []any{1}, "1 row"},
		{"%d {row|rows}", []any{0}, "0 rows"},
		{"%d {row|rows} of %d {table|tables}", []any{int64(2), 1}, "2 rows of 1 table"},
		{"100%% of %s {table|tables}, %.0f {row|rows}/s", []any{"1", 1.0}, "100% of 1 table, 1 row/s"},
		{"%d {source stands|sources stand} behind {it}", []any{uint32(3)}, "3 sources stand behind {it}"},
		{"{a|b} %v {c", []any{[]int{1}}, "b [1] {c"},
		{"共 %d 行", []any{1}, "共 1 行"},
	} {
		if got := Sprintf(tt.format, tt.args...); got != tt.want {
			t.Errorf("Sprintf(%q, %v) = %q, want %q", tt.format, tt.args, got, tt.want)
		}
	}
}

var (
	// counted are words behind a number that are wrong behind 1.
	counted = regexp.MustCompile(`%(?:d|\.0f|s) (?:(?:more|held|further|foreign) )?((?:row|source|table|org|request|alarm|agent|store|column|line|record|transaction|change|key|topic|load|partition|hour|minute|second|day)s(?:$|[^a-z_]))`)
	bars    = regexp.MustCompile(`%[.0-9]*[a-z][^%]*\{[^{}|%]+\|[^{}|%]+\}`)
)

// TestCounts: no text of the program has a word in the plural behind a number that may be 1,
// and every text with two forms is put together by Sprintf. What only the log or an error about
// a program's own data says is left as it is: it is a line for those who know the number.
func TestCounts(t *testing.T) {
	texts, forms := 0, 0
	err := source.Literals("../..", func(path, text string) error {
		texts++
		if m := counted.FindString(text); m != "" && !strings.Contains(text, "interval '") {
			t.Errorf("%s: %q is wrong for 1: write {one|other} and use language.Sprintf", path, m)
		}
		if !bars.MatchString(text) {
			return nil
		}
		forms++
		src, err := os.ReadFile(path)
		if !regexp.MustCompile(`language\.Sprintf|counted\(`).Match(src) && !strings.HasSuffix(path, "texts.go") {
			t.Errorf("%s has two forms in %q and no language.Sprintf", path, text)
		}
		return err
	})
	if err != nil || texts < 1000 || forms < 15 {
		t.Errorf("%d texts, %d with two forms, %v", texts, forms, err)
	}
}
