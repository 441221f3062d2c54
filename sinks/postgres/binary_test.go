package postgres

import (
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"
)

// TestNumeric holds the encoder against pgx's decoder of the same type.
func TestNumeric(t *testing.T) {
	m := pgtype.NewMap()
	decode := func(t rapid.TB, text string) string {
		b, err := appendNumeric(nil, []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var n pgtype.Numeric
		if err := m.Scan(pgtype.NumericOID, pgtype.BinaryFormatCode, b[4:], &n); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		v, err := n.Value()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return v.(string)
	}
	rapid.Check(t, func(r *rapid.T) {
		whole := rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})`).Draw(r, "whole")
		fraction := rapid.StringMatching(`(\.[0-9]{1,20})?`).Draw(r, "fraction")
		text := whole + fraction
		got, err := strconv.ParseFloat(decode(r, text), 64)
		if err != nil {
			r.Fatal(err)
		}
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			r.Fatal(err)
		}
		if got != want {
			r.Fatalf("%s came back as %v", text, got)
		}
	})
	for _, bad := range []string{"", "-", ".", "1.2.3", "1e5", " 1", "+1", "0x1", "1,5"} {
		if b, err := appendNumeric(nil, []byte(bad)); err == nil {
			t.Errorf("%q was taken as %x", bad, b)
		}
	}
}

func TestRefusedForms(t *testing.T) {
	for _, bad := range []string{"", "00000000-0000-4000-8000-00000000000", "00000000-0000-4000-8000-0000000000011", "g0000000-0000-4000-8000-000000000001"} {
		if b, err := appendUUID(nil, []byte(bad)); err == nil {
			t.Errorf("uuid %q was taken as %x", bad, b)
		}
	}
	if b, err := appendBits(nil, []byte("012")); err == nil {
		t.Errorf("bits were taken as %x", b)
	}
}
