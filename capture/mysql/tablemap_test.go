package mysql

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
)

// mapped is a TABLE_MAP of MariaDB 10.11 with full metadata, put together from the parts
// that it has: id 18, table x.z, the columns id int unsigned, a varchar(200) COMPRESSED,
// b blob COMPRESSED, p point, f enum('é','ß') latin1, e char(3) gbk, the key id.
const mapped = "120000000000 0100" + "01 78 00" + "01 7a 00" + "06" + "03 8d 8c ff fe fe" +
	"08 2103 02 04 f701 fe06" + "3e" + // metadata, null bits
	"01 01 80" + // unsigned
	"03 04 2d 3f 3f 1c" + // collations of a, b, p, e
	"0b 01 08" + // of f
	"04 0d 02 6964 01 61 01 62 01 70 01 66 01 65" +
	"06 05 02 01 e9 01 df" +
	"08 01 00"

func tableMapBytes(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTableMap(t *testing.T) {
	body := tableMapBytes(t, mapped)
	m, err := parseTableMap(body, 6, true)
	if err != nil {
		t.Fatal(err)
	}
	want := &tableMap{id: 18, database: "x", table: "z", names: []string{"id", "a", "b", "p", "f", "e"}, key: []int{0}, raw: body[6:],
		signs: true, collations: []uint64{0, 45, 63, 63, 8, 28}, nullable: []bool{false, true, true, true, true, true},
		columns: []rowimage.Column{{Type: 3, Unsigned: true}, {Type: 141, Meta: 801}, {Type: 140, Meta: 2}, {Type: 255, Meta: 4},
			{Type: 254, Meta: 0xf701, Labels: []string{"\xe9", "\xdf"}}, {Type: 254, Meta: 0xfe06}}}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("%+v\nwant %+v", m, want)
	}
	if m, err := parseTableMap(tableMapBytes(t, strings.Replace(mapped, "8d 8c", "8d c8", 1)), 6, true); err != nil || m.strange != 200 || m.names != nil {
		t.Errorf("a column of an unknown type: %+v, %v", m, err)
	}
}

// TestTableMapOfDefaults has most columns in one collation, and a key with a prefix.
func TestTableMapOfDefaults(t *testing.T) {
	m, err := parseTableMap(tableMapBytes(t, "01000000 0100 01 78 00 01 7a 00 03 0f 0f fe 06 5000 5000 fe06 00"+"02 03 2d 02 1c"+"04 06 01 61 01 62 01 63"+"09 04 00 0a 02 00"), 4, false)
	if err != nil || !reflect.DeepEqual(m.collations, []uint64{45, 45, 28}) || !reflect.DeepEqual(m.key, []int{0, 2}) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestTableMapCutAnywhere(t *testing.T) {
	body := tableMapBytes(t, mapped)
	whole := map[int]bool{}
	for n := range body {
		m, err := parseTableMap(body[:n], 6, true)
		if err != nil && !errors.Is(err, errMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
		whole[n] = err == nil
		if err == nil && m.names != nil && len(m.names) != len(m.columns) {
			t.Errorf("%d bytes: %d names for %d columns", n, len(m.names), len(m.columns))
		}
	}
	if whole[0] || whole[20] || whole[len(body)-1] {
		t.Error("half an event was taken for a whole one")
	}
}

func FuzzTableMap(f *testing.F) {
	f.Add(tableMapBytes(f, mapped), true)
	f.Add(tableMapBytes(f, mapped), false)
	f.Fuzz(func(t *testing.T, body []byte, mariadb bool) {
		m, err := parseTableMap(body, 6, mariadb)
		if err != nil {
			if !errors.Is(err, errMalformed) {
				t.Error(err)
			}
			return
		}
		for _, k := range m.key {
			if k < 0 || k >= len(m.columns) {
				t.Errorf("key column %d of %d", k, len(m.columns))
			}
		}
		if m.names != nil && len(m.names) != len(m.columns) || len(m.nullable) != len(m.columns) || m.collations != nil && len(m.collations) != len(m.columns) {
			t.Errorf("%+v", m)
		}
		again, err := parseTableMap(body, 6, mariadb)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%+v, then %+v, %v", m, again, err)
		}
	})
}
