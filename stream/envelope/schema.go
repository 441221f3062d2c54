package envelope

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tributary-cdc/tributary/schema"
)

// SchemaRecord is the value of a record of a .schemas topic.
type SchemaRecord struct {
	Version schema.Version `json:"version"`
	Table   *schema.Table  `json:"table"`
	// Avro is the writer's schema of the table's rows, as it was published.
	Avro json.RawMessage `json:"avro"`
}

// MarshalSchema gives key and value of a table version's record in .schemas.
func MarshalSchema(t *schema.Table) (key, value []byte, err error) {
	if err := t.Validate(); err != nil {
		return nil, nil, fmt.Errorf("publish schema: %w", err)
	}
	avro, err := AvroSchema(t)
	if err != nil {
		return nil, nil, err
	}
	value, err = json.Marshal(SchemaRecord{Version: t.Version(), Table: t, Avro: avro})
	if err != nil {
		return nil, nil, fmt.Errorf("publish schema of table %s: %w", t.ID(), err)
	}
	return []byte(t.Source + "\x00" + t.ID()), value, nil
}

// ReadSchema reads a record of .schemas. A record whose version isn't the hash of
// its table is refused.
func ReadSchema(value []byte) (*SchemaRecord, error) {
	var r SchemaRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, fmt.Errorf("schema record: %w: %w", ErrMalformed, err)
	}
	if r.Table == nil {
		return nil, fmt.Errorf("schema record without a table: %w", ErrMalformed)
	}
	if err := r.Table.Validate(); err != nil {
		return nil, fmt.Errorf("schema record: %w: %w", ErrMalformed, err)
	}
	if got := r.Table.Version(); got != r.Version {
		return nil, fmt.Errorf("schema record of table %s: version %s, want %s: %w", r.Table.ID(), r.Version, got, ErrMalformed)
	}
	return &r, nil
}

// UnmarshalSchema is ReadSchema for those who need the table only.
func UnmarshalSchema(value []byte) (*schema.Table, error) {
	r, err := ReadSchema(value)
	if err != nil {
		return nil, err
	}
	return r.Table, nil
}

type field struct {
	Name string `json:"name"`
	Type any    `json:"type"`
	Doc  string `json:"doc,omitempty"`
}

type record struct {
	Type      string  `json:"type"`
	Name      string  `json:"name"`
	Namespace string  `json:"namespace,omitempty"`
	Fields    []field `json:"fields"`
}

// AvroSchema gives the writer's schema of a table version's rows, as JSON.
func AvroSchema(t *schema.Table) ([]byte, error) {
	row := record{Type: "record", Name: "Value"}
	seen := map[string]int{}
	for _, c := range t.Columns {
		f := field{Name: avroName(c.Name), Type: []any{"null", avroType(c.Type.Kind)}}
		if n := seen[f.Name]; n > 0 {
			f.Name = fmt.Sprintf("%s_%d", f.Name, n)
		}
		seen[avroName(c.Name)]++
		if f.Name != c.Name {
			f.Doc = c.Name
		}
		row.Fields = append(row.Fields, f)
	}
	text := func(names ...string) (fs []field) {
		for _, n := range names {
			kind := "string"
			if name, ok := strings.CutSuffix(n, ":long"); ok {
				n, kind = name, "long"
			}
			fs = append(fs, field{Name: n, Type: kind})
		}
		return fs
	}
	source := record{Type: "record", Name: "Source", Fields: text("connector", "name", "ts_ms:long", "db", "schema", "table",
		"server_id:long", "file", "pos:long", "org", "agent", "position", "policy_version", "ts_us:long", "captured_us:long", "precision:long")}
	anomaly := record{Type: "record", Name: "Anomaly", Fields: []field{
		{Name: "column", Type: "int"}, {Name: "raw", Type: "string"}, {Name: "before", Type: "boolean"}}}
	envelope := record{Type: "record", Name: recordName, Namespace: namespace(t), Fields: []field{
		{Name: "before", Type: []any{"null", row}},
		{Name: "after", Type: []any{"null", "Value"}},
		{Name: "absent", Type: "bytes"},
		{Name: "anomalies", Type: map[string]any{"type": "array", "items": anomaly}},
		{Name: "source", Type: source},
		{Name: "op", Type: "string"},
		{Name: "ts_ms", Type: "long"},
		{Name: "transaction", Type: record{Type: "record", Name: "Transaction", Fields: text("id", "total_order:long")}},
	}}
	b, err := json.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("avro schema of table %s: %w", t.ID(), err)
	}
	return b, nil
}

const recordName = "Envelope"

// RecordName gives the full name of the Avro record of a table's rows. Versions of
// one table share it.
func RecordName(t *schema.Table) string { return namespace(t) + "." + recordName }

func namespace(t *schema.Table) string {
	parts := []string{"tributary", avroName(t.Source), avroName(t.Database)}
	if t.Schema != "" {
		parts = append(parts, avroName(t.Schema))
	}
	return strings.Join(append(parts, avroName(t.Name)), ".")
}

// avroName maps a name to Avro's alphabet: other characters become underscores.
func avroName(s string) string {
	var b strings.Builder
	for i, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= '0' && c <= '9' && i > 0:
			b.WriteRune(c)
		case c >= '0' && c <= '9':
			b.WriteByte('_')
			b.WriteRune(c)
		default:
			fmt.Fprintf(&b, "_u%04x", c)
		}
	}
	return b.String()
}

// avroType gives a kind's type. Temporal kinds are plain longs that tell their
// kind: Avro's logical types can't hold a TIME beyond a day or an infinity, and
// libraries that convert them refuse the whole record (fastavro does).
func avroType(k schema.Kind) any {
	switch k {
	case schema.Bool:
		return "boolean"
	case schema.Float32:
		return "float"
	case schema.Float64:
		return "double"
	case schema.Bytes:
		return "bytes"
	case schema.Date, schema.Timestamp:
		return avroLong{Type: "long", Kind: k}
	case schema.Time:
		return avroLong{Type: "long", Kind: k, Connect: "io.debezium.time.MicroTime"}
	case schema.DateTime:
		return avroLong{Type: "long", Kind: k, Connect: "io.debezium.time.MicroTimestamp"}
	case schema.Uint64:
		return "string"
	}
	if k.Numeric() {
		return "long"
	}
	return "string"
}

// avroLong is a long with what it means: the kind and, where Debezium has the same
// form, the name by which Kafka Connect's converters know it.
type avroLong struct {
	Type    string      `json:"type"`
	Kind    schema.Kind `json:"tributary.kind"`
	Connect string      `json:"connect.name,omitempty"`
}
