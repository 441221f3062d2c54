package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAlign(t *testing.T) {
	got := align([][]string{{"源 source", "库", "已入库 applied", "状态"}, {"330106-xueji", "province", "7", "applying"}, {"滨江区", "市", "12345", "gap"}})
	want := "源 source     库        已入库 applied  状态\n330106-xueji  province               7  applying\n滨江区        市                 12345  gap\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for i, line := range strings.Split(strings.TrimSpace(got), "\n") {
		if n := columns(line[:strings.LastIndex(line, " ")+1]); n != 40 {
			t.Errorf("the last column of line %d begins at %d", i, n)
		}
	}
}

func TestScreenWritesInPlace(t *testing.T) {
	var b bytes.Buffer
	s := screen{out: &b, live: true}
	s.show([][]string{{"a"}, {"b"}})
	s.show([][]string{{"c"}, {"d"}})
	if got, want := b.String(), "\na\x1b[K\nb\x1b[K\n\x1b[2Ac\x1b[K\nd\x1b[K\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b.Reset()
	s = screen{out: &b}
	s.show([][]string{{"a"}})
	s.show([][]string{{"a"}})
	if got := b.String(); got != "\na\n\na\n" {
		t.Errorf("%q without a terminal", got)
	}
}

// TestNeverSilent: while something is awaited, no two seconds pass without a line.
func TestNeverSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		say := newTeller(&b)
		say.step("one")
		done := say.await("xueji")
		<-time.After(6 * time.Second)
		synctest.Wait()
		done()
		<-time.After(10 * time.Second)
		say.close()
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		if len(lines) < 4 || len(lines) > 5 || !strings.Contains(lines[len(lines)-1], "xueji 6 s") {
			t.Errorf("%q", lines)
		}
		last := time.Time{}
		for _, line := range lines {
			at, err := time.Parse("15:04:05.0", line[:10])
			if err != nil {
				t.Fatal(err)
			}
			if !last.IsZero() && at.Sub(last) > 2*time.Second {
				t.Errorf("%s of silence before %q", at.Sub(last), line)
			}
			last = at
		}
	})
}
