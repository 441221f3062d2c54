package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
