package envelope

import (
	"crypto/sha256"
	"testing"

	"github.com/tributary-cdc/tributary/stream/log"
)

// The id of a schema is no part of a digest, whatever the codec; all else is.
func TestContent(t *testing.T) {
	tab := table()
	v, err := HashOf(tab)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(add func(*Content)) Digest {
		var c Content
		c.Row(v, []byte("forgotten"))
		c.Reset()
		add(&c)
		return c.Sum()
	}
	avro := func(c *Content) { c.Row(v, []byte{0, 0, 0, 0, 7, 'a', 'b'}) }
	want := sha256.Sum256(append(v[:], 0, 0, 0, 2, 'a', 'b'))
	if got := sum(avro); got != want {
		t.Errorf("an Avro row has %x, want %x", got, want)
	}
	if got := sum(func(c *Content) { c.Row(v, []byte{0, 0, 0, 1, 9, 'a', 'b'}) }); got != want {
		t.Error("another id gives another digest")
	}
	if got := sum(func(c *Content) { c.Row(v, []byte(`{"op":1}`)) }); got != sha256.Sum256(append(v[:], "\x00\x00\x00\x08"+`{"op":1}`...)) {
		t.Errorf("a JSON row has %x", got)
	}
	if got := sum(func(c *Content) { c.Truncate(v) }); got != sha256.Sum256(append(v[:], 0, 0, 0, 0)) {
		t.Errorf("a truncate record has %x", got)
	}
	var c Content
	avro(&c)
	if first := c.Sum(); first != want || c.Sum() != sha256.Sum256(nil) {
		t.Error("Sum doesn't begin anew")
	}
}

func TestHops(t *testing.T) {
	r := log.Record{Headers: []log.HeaderView{{Key: []byte("source"), Value: []byte("s")}, {Key: []byte("hop"), Value: []byte("3301")}, {Key: []byte("hop"), Value: []byte("33")}}}
	if got := Hops(&r); len(got) != 2 || got[0] != "3301" || got[1] != "33" {
		t.Errorf("hops %q", got)
	}
}
