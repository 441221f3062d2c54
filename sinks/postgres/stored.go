package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/verify"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// verifier reads a table's rows as the values that they have at the source.
type verifier struct {
	p       *plan
	columns []string // expressions of the columns, of row t
	formats []int16  // of their values: 0 text, 1 binary
	values  []event.Value
	digest  envelope.Digester
}

func newVerifier(p *plan) *verifier {
	v := &verifier{p: p, values: make([]event.Value, len(p.names))}
	for i, name := range p.names {
		expression, format := "t."+name, int16(pgx.TextFormatCode)
		switch p.schema.Columns[i].Type.Kind {
		case schema.Float32, schema.Float64: // another source may have widened the column
			expression, format = expression+"::float8", pgx.BinaryFormatCode
		case schema.Time:
			expression, format = expression+"::interval", pgx.BinaryFormatCode
		case schema.Date, schema.DateTime, schema.Timestamp, schema.Bytes:
			format = pgx.BinaryFormatCode
		}
		v.columns, v.formats = append(v.columns, expression), append(v.formats, format)
	}
	return v
}

// compare holds the store's rows under a chunk's keys against it. It gives the hashes of the
// keys of those that nobody has changed since the verification began.
func (v *verifier) compare(ctx context.Context, conn *pgx.Conn, c *worker.Check, chunk *verify.Chunk) (seen []int64, err error) {
	t := v.p.schema
	args := make([][]string, len(t.Key))
	for i := range c.Rows {
		key, err := envelope.ParseKeyColumns(t, c.Rows[i].Key)
		if err != nil {
			return nil, err
		}
		for n, col := range t.Key {
			args[n] = append(args[n], fmt.Sprint(argument(t.Columns[col].Type.Kind, key[n])))
		}
	}
	var arrays, names, where []string
	all := []any{pgx.QueryResultFormats(append([]int16{pgx.BinaryFormatCode, pgx.BinaryFormatCode, pgx.BinaryFormatCode, pgx.BinaryFormatCode}, v.formats...)), c.Source, c.Since.String()}
	for n, col := range t.Key {
		arrays, names = append(arrays, fmt.Sprintf("$%d::text[]", n+3)), append(names, fmt.Sprintf("k%d", n))
		where = append(where, fmt.Sprintf("t.%s = k.k%d::%s", v.p.key[n], n, columnType(t.Columns[col].Type)))
		all = append(all, args[n])
	}
	if !v.p.shared() {
		where = append(where, "t._source = $1")
	}
	// Each key is looked up: without statistics a join might read the whole table.
	sql := "SELECT k.o, t._source = $1, t._position < $2, " + keyHash(v.p, "t") + ", " + strings.Join(v.columns, ", ") +
		" FROM unnest(" + strings.Join(arrays, ", ") + ") WITH ORDINALITY k(" + strings.Join(names, ", ") + ", o) CROSS JOIN LATERAL (SELECT * FROM " +
		v.p.table + " t WHERE " + strings.Join(where, " AND ") + " OFFSET 0) t"
	rows, err := conn.Query(ctx, sql, all...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		raw := rows.RawValues()
		s := verify.Stored{Place: int(binary.BigEndian.Uint64(raw[0])) - 1, Owned: raw[1][0] == 0}
		if !s.Owned {
			s.Odd = !v.read(raw[4:])
			s.Digest = v.digest.Row(t, v.values)
			if raw[2][0] == 1 {
				seen = append(seen, int64(binary.BigEndian.Uint64(raw[3])))
			}
		}
		if err := chunk.Take(&s); err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	chunk.End()
	return seen, nil
}

// unseen names the source's rows of before the verification that no chunk has named. It
// gives their places in the table, without those whose keys are in quarantine.
func (v *verifier) unseen(ctx context.Context, r *running, n *verify.Counts) (places []string, err error) {
	t := v.p.schema
	names, formats := make([]string, len(t.Key)), []int16{pgx.TextFormatCode}
	for i, col := range t.Key {
		names[i], formats = v.columns[col], append(formats, v.formats[col])
	}
	// The planner knows little of the rows that were seen; trying each with each would never end.
	if _, err := r.conn.Exec(ctx, "SET LOCAL enable_nestloop = off"); err != nil {
		return nil, err
	}
	rows, err := r.conn.Query(ctx, "SELECT t.ctid, "+strings.Join(names, ", ")+" FROM "+v.p.table+" t WHERE t._source = $1 AND t._position < $2"+
		" AND NOT EXISTS (SELECT FROM tributary.verification_seen s WHERE s.verification = $3 AND s.key = "+keyHash(v.p, "t")+")",
		pgx.QueryResultFormats(formats), r.c.Source, r.c.Since.String(), r.number)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	key := make([]event.Value, len(t.Key))
	var canonical []byte
	for rows.Next() {
		raw := rows.RawValues()
		canonical = canonical[:0]
		for i, col := range t.Key {
			kind := t.Columns[col].Type.Kind
			key[i], _ = storedValue(kind, raw[i+1])
			canonical = envelope.AppendKeyValue(canonical, kind, key[i])
		}
		if r.c.Held(canonical) {
			n.Quarantined++
			continue
		}
		n.Surplus++
		if r.c.Repair {
			places = append(places, string(raw[0]))
		}
		if err := r.name(verify.Surplus, t, key); err != nil {
			return nil, err
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, err
	}
	_, err = r.conn.Exec(ctx, "SET LOCAL enable_nestloop = on")
	return places, err
}

// read takes a row's columns. It reports false if a value isn't one of its column's kind.
func (v *verifier) read(raw [][]byte) bool {
	well := true
	for i := range raw {
		value, ok := storedValue(v.p.schema.Columns[i].Type.Kind, raw[i])
		v.values[i], well = value, well && ok
	}
	return well
}

// storedValue gives what a store has in a column of a kind.
func storedValue(k schema.Kind, raw []byte) (event.Value, bool) {
	if raw == nil {
		return event.NullValue, true
	}
	odd := func() (event.Value, bool) { return event.Number(0), false }
	wide := func(size int) bool { return len(raw) == size }
	switch k {
	case schema.Bool:
		return event.Number(bit(string(raw) == "t")), true
	case schema.Float32, schema.Float64:
		if !wide(8) {
			return odd()
		}
		n := binary.BigEndian.Uint64(raw)
		if k == schema.Float64 {
			return event.Number(n), true
		}
		f := math.Float64frombits(n)
		return event.Number(uint64(math.Float32bits(float32(f)))), f != f || float64(float32(f)) == f
	case schema.Date:
		if !wide(4) {
			return odd()
		}
		switch n := int32(binary.BigEndian.Uint32(raw)); n {
		case math.MaxInt32:
			return event.Signed(event.PosInfinity), true
		case math.MinInt32:
			return event.Signed(event.NegInfinity), true
		default:
			return event.Signed(int64(n) + pgEpochDays), true
		}
	case schema.DateTime, schema.Timestamp:
		if !wide(8) {
			return odd()
		}
		n := int64(binary.BigEndian.Uint64(raw))
		if n != event.PosInfinity && n != event.NegInfinity {
			n += pgEpochMicros
		}
		return event.Signed(n), true
	case schema.Time: // an interval: microseconds, days, months
		if !wide(16) || binary.BigEndian.Uint64(raw[8:]) != 0 {
			return odd()
		}
		return event.Number(binary.BigEndian.Uint64(raw)), true
	case schema.Uint64:
		n, err := strconv.ParseUint(string(raw), 10, 64)
		return event.Number(n), err == nil
	}
	if k.Numeric() {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return event.Signed(n), err == nil
	}
	return event.Raw(raw), true
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
