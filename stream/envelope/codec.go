package envelope

import (
	"encoding/binary"
	"fmt"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Codec is the form of a row record's value. The value's first byte tells it: 0
// for Avro, '{' for JSON. A topic may hold both.
type Codec uint8

// The codecs.
const (
	Avro Codec = iota // Confluent's framing and an Avro record
	JSON              // Debezium's envelope as JSON, without a schema block
)

// String gives the name used in configuration.
func (c Codec) String() string {
	switch c {
	case Avro:
		return "avro"
	case JSON:
		return "json"
	}
	return fmt.Sprintf("codec(%d)", uint8(c))
}

// ParseCodec is the inverse of Codec.String.
func ParseCodec(s string) (Codec, error) {
	for _, c := range []Codec{Avro, JSON} {
		if c.String() == s {
			return c, nil
		}
	}
	return Avro, fmt.Errorf("codec %q: one of avro, json", s)
}

// idSize is the length of a schema id: behind the zero byte of an Avro value, or
// alone in the header of a JSON one.
const idSize = 4

// SchemaID reads the schema id of a row record, without parsing its value.
func SchemaID(r *log.Record) (uint32, error) {
	switch {
	case len(r.Value) >= frame && r.Value[0] == 0:
		return binary.BigEndian.Uint32(r.Value[1:]), nil
	case len(r.Value) > 0 && r.Value[0] == '{':
		if id, ok := r.Header(HeaderSchema); ok && len(id) == idSize {
			return binary.BigEndian.Uint32(id), nil
		}
	}
	return 0, fmt.Errorf("schema id: %w", ErrMalformed)
}

// Decoder reads row values of either codec. The zero value is ready. It isn't
// safe for concurrent use.
type Decoder struct {
	plans map[*schema.Table]*plan
	arena event.Arena // texts with escapes, and bytes

	// The stamp block that was read last in JSON, and what it says.
	block    []byte
	blockTab *schema.Table
	blockIs  Stamp

	skip []byte // the stamp block in Avro that was skipped last
}

// Decode reads the value of a row of the table version. It reuses the row's
// slices. The slots view value or memory of the decoder: the latter is valid
// until Reset. A stamp that isn't nil is filled as well. Bytes that aren't what
// FORMAT.md says give ErrMalformed.
func (d *Decoder) Decode(t *schema.Table, value []byte, row *event.Row, stamp *Stamp) error {
	row.Table = t
	read := d.avro
	if len(value) > 0 && value[0] == '{' {
		read = d.json
	}
	if err := read(value, row, stamp); err != nil {
		return fmt.Errorf("row of table %s: %w", t.ID(), err)
	}
	return nil
}

// Reset frees the memory behind the slots of all rows so far.
func (d *Decoder) Reset() { d.arena.Reset() }

// Decode reads one value with a decoder of its own. Whoever reads many keeps a Decoder.
func Decode(t *schema.Table, value []byte, row *event.Row, stamp *Stamp) error {
	var d Decoder
	return d.Decode(t, value, row, stamp)
}
