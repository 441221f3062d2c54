package snapshot

import (
	"errors"
	"slices"
	"testing"
)

func (b Bounds) same(o Bounds) bool { return slices.Equal(b.From, o.From) && slices.Equal(b.To, o.To) }

func TestParseBounds(t *testing.T) {
	for text, want := range map[string]struct {
		bounds Bounds
		err    error
	}{
		"1..5":                  {bounds: Bounds{From: []string{"1"}, To: []string{"5"}}},
		"-5..":                  {bounds: Bounds{From: []string{"-5"}}},
		"..2012-09-01":          {bounds: Bounds{To: []string{"2012-09-01"}}},
		"330106,1..330106,9":    {bounds: Bounds{From: []string{"330106", "1"}, To: []string{"330106", "9"}}},
		"张..李":                  {bounds: Bounds{From: []string{"张"}, To: []string{"李"}}},
		`"a..b","c,""d""".."."`: {bounds: Bounds{From: []string{"a..b", `c,"d"`}, To: []string{"."}}},
		`""..b`:                 {bounds: Bounds{From: []string{""}, To: []string{"b"}}},
		"1.5..2.5":              {bounds: Bounds{From: []string{"1.5"}, To: []string{"2.5"}}},
		"2012-09-01 08:00:00..": {bounds: Bounds{From: []string{"2012-09-01 08:00:00"}}},
		"..":                    {err: ErrBadBounds},
		"":                      {err: ErrBadBounds},
		"5":                     {err: ErrBadBounds},
		"1,..5":                 {err: ErrBadBounds},
		",1..5":                 {err: ErrBadBounds},
		`"1..5`:                 {err: ErrBadBounds},
		`1"2..5`:                {err: ErrBadBounds},
		"1..2..3":               {err: ErrBadBounds},
	} {
		got, err := ParseBounds(text)
		if !errors.Is(err, want.err) || err == nil && !got.same(want.bounds) {
			t.Errorf("%q: %q, %v; want %q, %v", text, got, err, want.bounds, want.err)
		}
		if err != nil {
			continue
		}
		if again, err := ParseBounds(got.String()); err != nil || !again.same(got) {
			t.Errorf("%q printed as %q: %q, %v", text, got.String(), again, err)
		}
	}
}
