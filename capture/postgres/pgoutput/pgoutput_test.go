package pgoutput

import (
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"time"
)

func u32(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
func u64(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

var samples = map[string]struct {
	in   string
	want Msg
}{
	"begin":  {"B" + u64(0x16B374D848) + u64(1_000_000) + u32(77), Msg{Kind: Begin, LSN: 0x16B374D848, Time: time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC), XID: 77}},
	"commit": {"C\x00" + u64(5) + u64(6) + u64(0), Msg{Kind: Commit, LSN: 5, EndLSN: 6, Time: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}},
	"relation": {"R" + u32(9) + "public\x00xs\x00d\x00\x01\x01id\x00" + u32(20) + u32(0xffffffff),
		Msg{Kind: Relation, RelationID: 9, Namespace: "public", Name: "xs", Identity: 'd', Columns: []Column{{Name: "id", Key: true, TypeOID: 20, Modifier: -1}}}},
	"insert": {"I" + u32(9) + "N\x00\x02t" + u32(3) + "abcn", Msg{Kind: Insert, RelationID: 9, New: []Value{{Kind: TextValue, Data: []byte("abc")}, {Kind: NullValue}}}},
	"update": {"U" + u32(9) + "K\x00\x01t" + u32(1) + "1N\x00\x02t" + u32(1) + "2u",
		Msg{Kind: Update, RelationID: 9, OldKind: 'K', Old: []Value{{Kind: TextValue, Data: []byte("1")}}, New: []Value{{Kind: TextValue, Data: []byte("2")}, {Kind: UnchangedToast}}}},
	"delete":   {"D" + u32(9) + "O\x00\x01n", Msg{Kind: Delete, RelationID: 9, OldKind: 'O', Old: []Value{{Kind: NullValue}}}},
	"truncate": {"T" + u32(2) + "\x00" + u32(9) + u32(10), Msg{Kind: Truncate, Relations: []uint32{9, 10}}},
}

func TestParse(t *testing.T) {
	for name, tt := range samples {
		t.Run(name, func(t *testing.T) {
			var got Msg
			if err := Parse([]byte(tt.in), &got); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, tt.want)
			}
			for n := range len(tt.in) {
				if err := Parse([]byte(tt.in[:n]), &got); !errors.Is(err, ErrMalformed) {
					t.Errorf("the first %d bytes: %v, want ErrMalformed", n, err)
				}
			}
			if err := Parse([]byte(tt.in+"x"), &got); !errors.Is(err, ErrMalformed) {
				t.Errorf("a byte too many: %v, want ErrMalformed", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Msg
		if err := Parse(b, &m); err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("unexpected error %v", err)
		}
	})
}
