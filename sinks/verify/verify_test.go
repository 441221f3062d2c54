package verify

import (
	"reflect"
	"testing"

	"github.com/tributary-cdc/tributary/stream/event"
)

func TestChunk(t *testing.T) {
	rows := make([]event.CheckedRow, 6)
	for i := range rows {
		rows[i] = event.CheckedRow{Key: []byte{byte(i)}, Digest: event.RowDigest{byte(i)}}
	}
	c := Chunk{Rows: rows, Held: func(key []byte) bool { return key[0] == 4 }}
	for _, s := range []Stored{{Place: 3, Digest: rows[3].Digest}, {Place: 0, Digest: rows[1].Digest}, {Place: 1, Digest: rows[1].Digest, Odd: true}, {Place: 2, Owned: true}} {
		if err := c.Take(&s); err != nil {
			t.Fatal(err)
		}
	}
	for _, place := range []int{3, -1, 6} {
		if err := c.Take(&Stored{Place: place}); err == nil {
			t.Errorf("row %d was taken", place)
		}
	}
	c.End()
	if want := (Counts{Rows: 6, Missing: 1, Different: 2, Quarantined: 1, Owned: 1}); c.Counts != want {
		t.Errorf("counts %+v, want %+v", c.Counts, want)
	}
	if want := []Wrong{{0, Different}, {1, Different}, {5, Missing}}; !reflect.DeepEqual(c.Wrong, want) {
		t.Errorf("wrong are %v, want %v", c.Wrong, want)
	}
}

func TestOutcome(t *testing.T) {
	for want, c := range map[State]Counts{Equal: {Rows: 3, Quarantined: 1, Owned: 1}, Unequal: {Missing: 1, Surplus: 1, Repaired: 1}, Repaired: {Different: 2, Surplus: 1, Repaired: 3}} {
		if got := c.Outcome(); got != want || !got.Ended() {
			t.Errorf("%+v is %s, want %s", c, got, want)
		}
	}
	if Running.Ended() {
		t.Error("running has ended")
	}
}
