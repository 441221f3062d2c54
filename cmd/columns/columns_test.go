package columns

import (
	"strings"
	"testing"
)

func TestAlign(t *testing.T) {
	got := Align([][]string{{"源 source", "库", "已入库 applied", "状态"}, {"330106-xueji", "province", "7", "applying"}, {"滨江区", "市", "12345", "gap, and a long note"}, {"alone"}}, func(i int) bool { return i == 2 })
	want := "源 source     库        已入库 applied  状态\n330106-xueji  province               7  applying\n滨江区        市                 12345  gap, and a long note\nalone\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for i, line := range strings.Split(got, "\n")[:2] {
		if n := Width(line[:strings.LastIndex(line, " ")+1]); n != 40 {
			t.Errorf("the last column of line %d begins at %d", i, n)
		}
	}
	if got := Align(nil, nil); got != "" {
		t.Errorf("of nothing %q", got)
	}
}
