package envelope

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// goldenChecks are the steps of a verification.
func goldenChecks(t testing.TB, tab *schema.Table) []Check {
	t.Helper()
	step := event.Check{ID: "20261125T040506-00ff", Table: tab.ID(), Dataset: tab.Dataset, Since: event.Position{Epoch: 1, Place: event.Place{File: 2, Offset: 1}, Index: 3}}
	begun, rows, ended, givenUp := step, step, step, step
	begun.By, begun.At, begun.Repair = "a@b", time.UnixMicro(1_700_000_000_000_001).UTC(), true
	rows.Phase = event.CheckRows
	var d Digester
	for _, id := range []event.Value{event.Signed(1), event.Signed(-1)} {
		image := examples()
		image[tab.Key[0]] = id
		key, err := AppendKeyColumns(nil, tab, image)
		if err != nil {
			t.Fatal(err)
		}
		rows.Rows = append(rows.Rows, event.CheckedRow{Key: key, Digest: d.Row(tab, image)})
	}
	part := rows
	part.Without = []string{"备注", "b"}
	ended.Phase, ended.Total = event.CheckEnded, 2
	givenUp.Phase, givenUp.Reason = event.CheckGivenUp, "cancelled"
	return []Check{{Check: begun}, {Check: rows, SchemaID: 77}, {Check: ended}, {Check: givenUp}, {Check: part, SchemaID: 77}}
}

// TestChecks has the steps of a verification come back as they were, and refuses every
// truncation.
func TestChecks(t *testing.T) {
	for _, want := range goldenChecks(t, table()) {
		var records log.Records
		if rest := AddCheck(&records, source.ID, &want); len(rest) != 0 {
			t.Errorf("%d rows are left", len(rest))
		}
		batch := log.Batch{Count: 1, Data: records.Data()}
		err := batch.Each(func(_ log.Offset, r *log.Record) error {
			c, err := ParseControl(r)
			if err != nil {
				return err
			}
			if !reflect.DeepEqual(c.Check, &want) {
				t.Errorf("check %+v, want %+v", c.Check, want)
			}
			if again, err := ParseCheck(c.Body); err != nil || !reflect.DeepEqual(again, &want) {
				t.Errorf("from the body: %+v, %v", again, err)
			}
			if _, err := ParseCheck(append(bytes.Clone(c.Body), 0)); !errors.Is(err, ErrMalformed) {
				t.Errorf("a byte too many: %v", err)
			}
			for n := range c.Body {
				if _, err := ParseCheck(c.Body[:n]); !errors.Is(err, ErrMalformed) {
					t.Errorf("the first %d of %d bytes: %v", n, len(c.Body), err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestChecksAreDivided: rows beyond one record stand in the next ones, none is lost.
func TestChecksAreDivided(t *testing.T) {
	c := Check{Check: event.Check{Phase: event.CheckRows}}
	for n := range 20_000 {
		c.Rows = append(c.Rows, event.CheckedRow{Key: binaryKey(n)})
	}
	all, rows := c.Rows, 0
	var records log.Records
	for more := true; more; more = len(c.Rows) > 0 {
		c.Rows = AddCheck(&records, source.ID, &c)
	}
	batch := log.Batch{Last: log.Offset(records.Count() - 1), Count: records.Count(), Data: records.Data()}
	err := batch.Each(func(_ log.Offset, r *log.Record) error {
		got, err := ParseControl(r)
		if err == nil {
			for _, row := range got.Check.Rows {
				if !bytes.Equal(row.Key, all[rows].Key) {
					t.Fatalf("row %d is %x", rows, row.Key)
				}
				rows++
			}
		}
		if len(got.Body) > 2*checkBytes {
			t.Errorf("a record of %d bytes", len(got.Body))
		}
		return err
	})
	if err != nil || rows != len(all) || records.Count() < 2 {
		t.Errorf("%d rows in %d records, %v", rows, records.Count(), err)
	}
}

func binaryKey(n int) []byte { return AppendKeyValue(nil, schema.Int64, event.Signed(int64(n))) }

// TestKeyColumnsComeBack: a key's canonical form gives the key again, and no part of it does.
func TestKeyColumnsComeBack(t *testing.T) {
	tab := table()
	for i := range tab.Columns { // each kind in a key
		tab.Key = []int{i, 0}
		image := examples()
		key, err := AppendKeyColumns(nil, tab, image)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseKeyColumns(tab, key)
		if err != nil || !reflect.DeepEqual(got, []event.Value{image[i], image[0]}) {
			t.Errorf("%s: %+v, %v", tab.Columns[i].Name, got, err)
		}
		for n := range key {
			if _, err := ParseKeyColumns(tab, key[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, the first %d of %d bytes: %v", tab.Columns[i].Name, n, len(key), err)
			}
		}
	}
}

// TestCanonical: values that mean the same have one form, others have others.
func TestCanonical(t *testing.T) {
	raw := func(s string) event.Value { return event.Raw([]byte(s)) }
	decimal, double, single := schema.Type{Kind: schema.Decimal}, schema.Type{Kind: schema.Float64}, schema.Type{Kind: schema.Float32}
	list := func(elem schema.Type) schema.Type { return schema.Type{Kind: schema.Array, Elem: &elem} }
	foreign := func(name string) schema.Type { return schema.Type{Kind: schema.Text, Native: name} }
	text, interval := schema.Type{Kind: schema.String}, schema.Type{Kind: schema.Interval}
	form := func(typ schema.Type, v event.Value) string { return hex.EncodeToString(AppendCanonical(nil, &typ, v)) }
	for name, c := range map[string]struct {
		typ  schema.Type
		a, b event.Value
		same bool
	}{
		"scale":                     {decimal, raw("-1.50"), raw("-1.5"), true},
		"whole":                     {decimal, raw("100"), raw("100.00"), true},
		"zeros before":              {decimal, raw("000.5"), raw("0.5"), true},
		"no digit before":           {decimal, raw(".5"), raw("0.5"), true},
		"zero without a sign":       {decimal, raw("-0.00"), raw("0"), true},
		"zeros of the number stay":  {decimal, raw("100"), raw("1"), false},
		"sign":                      {decimal, raw("-1"), raw("1"), false},
		"not a number":              {decimal, raw("NaN"), raw("0"), false},
		"infinite decimal":          {decimal, raw("-Infinity"), event.NullValue, true},
		"infinite interval":         {interval, raw("infinity"), event.NullValue, true},
		"interval":                  {interval, raw("P1D"), raw("PT24H"), false},
		"NaN of other bits":         {double, event.Number(0xfff8000000000000), event.Number(0x7ff8000000000001), true},
		"one bit":                   {double, event.Number(math.Float64bits(1)), event.Number(math.Float64bits(1) + 1), false},
		"negative zero":             {double, event.Number(0), event.Number(1 << 63), false},
		"empty and NULL":            {text, raw(""), event.NullValue, false},
		"text that no store holds":  {text, raw("a\x00"), event.NullValue, true},
		"space behind":              {text, raw("a"), raw("a "), false},
		"uuid":                      {schema.Type{Kind: schema.UUID}, raw("00000000-0000-4000-8000-00000000ABCD"), raw("00000000-0000-4000-8000-00000000abcd"), true},
		"bytes may have a zero":     {schema.Type{Kind: schema.Bytes}, raw("\x00"), event.NullValue, false},
		"array of decimals":         {list(decimal), raw("{1.50,NULL}"), raw("{1.5,NULL}"), true},
		"array of infinite ones":    {list(decimal), raw("{Infinity}"), event.NullValue, true},
		"array of floats":           {list(single), raw("{0.10000000149011612,{1e+30}}"), raw("{0.1,{1e30}}"), true},
		"array of doubles":          {list(double), raw("{0.10000000000000001}"), raw("{0.1}"), true},
		"another double":            {list(double), raw("{0.10000000000000002}"), raw("{0.1}"), false},
		"array of texts":            {list(text), raw(`{"1.50"}`), raw(`{"1.5"}`), false},
		"address":                   {foreign("inet6"), raw("2001:DB8:0::1"), raw("2001:db8::1"), true},
		"point":                     {foreign("point"), raw("(0.10000000000000001,2)"), raw("(0.1,2)"), true},
		"another type's text stays": {foreign("numrange"), raw("[1.50,2)"), raw("[1.5,2)"), false},
	} {
		if a, b := form(c.typ, c.a), form(c.typ, c.b); (a == b) != c.same {
			t.Errorf("%s: %s and %s", name, a, b)
		}
	}
	if a, b := form(single, event.Number(uint64(math.Float32bits(0.1)))), form(double, event.Number(math.Float64bits(float64(float32(0.1))))); a != b {
		t.Errorf("a single and its double: %s and %s", a, b)
	}
}
