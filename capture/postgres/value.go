package postgres

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

var errValue = errors.New("value isn't in the form the server prints")

// errBeyond reports a value that its portable type can't hold: an instant from
// 294247-01-10 04:00:54.775807 on, in microseconds since 1970.
var errBeyond = errors.New("value beyond its portable type")

// slot parses a value of column i. One that its type can't hold becomes NULL with an
// anomaly.
func slot(t *schema.Table, i int, text []byte, arena *event.Arena, anomalies *[]event.Anomaly) (event.Value, error) {
	v, err := parse(&t.Columns[i].Type, text, arena)
	switch {
	case err == nil:
		return v, nil
	case errors.Is(err, errValue) || !errors.Is(err, errBeyond):
		return v, fmt.Errorf("column %q of table %s: %w", t.Columns[i].Name, t.ID(), err)
	}
	*anomalies = append(*anomalies, event.Anomaly{Column: i, Raw: string(text)})
	return event.NullValue, nil
}

// parse turns a value's text, as the server prints it under the session settings
// of this package, into a slot. Bytes go to the arena.
func parse(t *schema.Type, text []byte, arena *event.Arena) (event.Value, error) {
	var n int64
	var err error
	switch t.Kind {
	case schema.Bool:
		if len(text) != 1 || text[0] != 't' && text[0] != 'f' {
			return event.Value{}, errValue
		}
		return event.Number(uint64(bit(text[0] == 't'))), nil
	case schema.Int16, schema.Int32, schema.Int64:
		var ok bool
		if n, ok = integer(text); !ok {
			err = fmt.Errorf("integer %q: %w", text, errValue)
		}
	case schema.Float32:
		f, ferr := strconv.ParseFloat(string(text), 32)
		return event.Number(uint64(math.Float32bits(float32(f)))), ferr
	case schema.Float64:
		f, ferr := strconv.ParseFloat(string(text), 64)
		return event.Number(math.Float64bits(f)), ferr
	case schema.Date:
		n, err = instant(text, true)
	case schema.DateTime, schema.Timestamp:
		n, err = instant(text, false)
	case schema.Time:
		n, err = timeOfDay(text)
	case schema.Bytes:
		if len(text) < 2 || text[0] != '\\' || text[1] != 'x' || len(text)%2 != 0 {
			return event.Value{}, errValue
		}
		b := arena.Take((len(text) - 2) / 2)
		_, err = hex.Decode(b, text[2:])
		return event.Raw(b), err
	default:
		return event.Raw(arena.Copy(text)), nil
	}
	return event.Signed(n), err
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// integer reads an integer of 64 bits at most.
func integer(b []byte) (n int64, ok bool) {
	all, negative := b, len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) > 18 { // all others fit
		n, err := strconv.ParseInt(string(all), 10, 64)
		return n, err == nil
	}
	for _, c := range b {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	if negative {
		n = -n
	}
	return n, len(b) > 0
}

// digits reads a number from the front of b, up to the first other character.
func digits(b []byte) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		if n = n*10 + int64(b[i]-'0'); n > 1e12 {
			return 0, nil, false
		}
	}
	return n, b[i:], i > 0
}

// instant reads a date (days since 1970) or a date with time (microseconds), in
// ISO style, with "BC" behind years before 1 and "+00" behind an instant.
func instant(text []byte, dateOnly bool) (int64, error) {
	switch string(text) {
	case "infinity":
		return event.PosInfinity, nil
	case "-infinity":
		return event.NegInfinity, nil
	}
	b, bc := bytes.CutSuffix(text, []byte(" BC"))
	y, b, ok1 := digits(b)
	if len(b) < 6 || b[0] != '-' {
		return 0, fmt.Errorf("date %q: %w", text, errValue)
	}
	m, b, ok2 := digits(b[1:])
	if len(b) < 3 || b[0] != '-' {
		return 0, fmt.Errorf("date %q: %w", text, errValue)
	}
	d, b, ok3 := digits(b[1:])
	if !ok1 || !ok2 || !ok3 {
		return 0, fmt.Errorf("date %q: %w", text, errValue)
	}
	if bc {
		y = 1 - y
	}
	days := time.Date(int(y), time.Month(m), int(d), 0, 0, 0, 0, time.UTC).Unix() / 86400
	if dateOnly {
		if len(b) != 0 {
			return 0, fmt.Errorf("date %q: %w", text, errValue)
		}
		return days, nil
	}
	if len(b) < 9 || b[0] != ' ' {
		return 0, fmt.Errorf("time %q: %w", text, errValue)
	}
	us, err := timeOfDay(bytes.TrimSuffix(b[1:], []byte("+00")))
	const perDay = 86_400_000_000
	if last := event.PosInfinity / perDay; days > last || days == last && us >= event.PosInfinity%perDay {
		return 0, errors.Join(err, errBeyond)
	}
	return days*perDay + us, err
}

// timeOfDay reads hh:mm:ss with up to six digits of a fraction, 24:00:00 included.
func timeOfDay(b []byte) (int64, error) {
	text := b
	var part [3]int64
	for i := range part {
		if i > 0 {
			if len(b) == 0 || b[0] != ':' {
				return 0, fmt.Errorf("time %q: %w", text, errValue)
			}
			b = b[1:]
		}
		var ok bool
		if part[i], b, ok = digits(b); !ok {
			return 0, fmt.Errorf("time %q: %w", text, errValue)
		}
	}
	us := (part[0]*3600 + part[1]*60 + part[2]) * 1_000_000
	if len(b) == 0 {
		return us, nil
	}
	if b[0] != '.' || len(b) > 7 {
		return 0, fmt.Errorf("time %q: %w", text, errValue)
	}
	frac, rest, ok := digits(b[1:])
	if !ok || len(rest) != 0 {
		return 0, fmt.Errorf("time %q: %w", text, errValue)
	}
	for i := len(b) - 1; i < 6; i++ {
		frac *= 10
	}
	return us + frac, nil
}
