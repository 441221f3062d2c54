package envelope

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// jsonScan reads the canonical JSON form; err is set at the first byte that isn't
// in it.
type jsonScan struct {
	b     []byte
	arena *event.Arena
	err   error
}

func (s *jsonScan) fail(what string) {
	if s.err == nil {
		s.err = fmt.Errorf("%s: %w", what, ErrMalformed)
	}
	s.b = nil
}

// has skips a text if it comes next.
func (s *jsonScan) has(text string) bool {
	if len(s.b) < len(text) || string(s.b[:len(text)]) != text {
		return false
	}
	s.b = s.b[len(text):]
	return true
}

// want skips a text that must come next.
func (s *jsonScan) want(text string) {
	if !s.has(text) {
		s.fail(text)
	}
}

func (s *jsonScan) uint() (n uint64) {
	i := 0
	for ; i < len(s.b) && s.b[i] >= '0' && s.b[i] <= '9'; i++ {
		d := uint64(s.b[i] - '0')
		if i > 0 && n == 0 || n > math.MaxUint64/10 || n == math.MaxUint64/10 && d > math.MaxUint64%10 {
			s.fail("number")
			return 0
		}
		n = n*10 + d
	}
	if i == 0 {
		s.fail("number")
		return 0
	}
	s.b = s.b[i:]
	return n
}

func (s *jsonScan) int() int64 {
	if !s.has("-") {
		n := s.uint()
		if n > math.MaxInt64 {
			s.fail("number")
		}
		return int64(n)
	}
	n := s.uint()
	if n == 0 || n > 1<<63 {
		s.fail("number")
	}
	return -int64(n)
}

func (s *jsonScan) bool() bool {
	if s.has("true") {
		return true
	}
	s.want("false")
	return false
}

// float gives the bits of a number or of the strings that putFloat writes.
func (s *jsonScan) float(size int) uint64 {
	var canon [40]byte
	token := s.b
	var text []byte
	if len(s.b) > 0 && s.b[0] == '"' {
		text, _ = s.raw()
		token = token[:len(token)-len(s.b)]
	} else {
		n := 0
		for n < len(token) && (token[n] >= '0' && token[n] <= '9' || token[n] == '-' || token[n] == '+' || token[n] == '.' || token[n] == 'e') {
			n++
		}
		token, text, s.b = token[:n], token[:n], token[n:]
	}
	if len(token) > len(canon) {
		s.fail("float")
		return 0
	}
	f, err := strconv.ParseFloat(string(text), size)
	bits, nan := math.Float64bits(f), uint64(nan64)
	if size == 32 {
		bits, nan = uint64(math.Float32bits(float32(f))), nan32
	}
	if other, ok := bytes.CutPrefix(text, []byte("NaN:")); ok {
		bits, err = strconv.ParseUint(string(other), 16, size)
		f = math.NaN()
		if size == 32 && !math.IsNaN(float64(math.Float32frombits(uint32(bits)))) || size == 64 && !math.IsNaN(math.Float64frombits(bits)) {
			s.fail("float")
		}
	}
	if err != nil || !bytes.Equal(putFloat(canon[:0], f, size, bits, nan), token) {
		s.fail("float")
	}
	return bits
}

// date reads days or microseconds, or an infinity.
func (s *jsonScan) date() int64 {
	switch {
	case s.has(`"infinity"`):
		return event.PosInfinity
	case s.has(`"-infinity"`):
		return event.NegInfinity
	}
	n := s.int()
	if n == event.PosInfinity || n == event.NegInfinity {
		s.fail("date")
	}
	return n
}

// instant reads what putInstant writes, or an infinity.
func (s *jsonScan) instant() int64 {
	var canon [48]byte
	in, _ := s.raw()
	switch string(in) {
	case "infinity":
		return event.PosInfinity
	case "-infinity":
		return event.NegInfinity
	}
	part := jsonDigits{b: in, sign: 1}
	year := part.year()
	month, day := part.after('-', 2), part.after('-', 2)
	hour, minute, second := part.after('T', 2), part.after(':', 2), part.after(':', 2)
	micros := part.after('.', 6)
	us := time.Date(year, time.Month(month), day, hour, minute, second, micros*1000, time.UTC).UnixMicro()
	text := putInstant(canon[:0], us)
	if part.bad || us == event.PosInfinity || us == event.NegInfinity || !bytes.Equal(text[1:len(text)-1], in) {
		s.fail("timestamp")
	}
	return us
}

// jsonDigits reads the numbers of a timestamp. Whether they are canonical shows
// when they are written again.
type jsonDigits struct {
	b    []byte
	sign int
	bad  bool
}

func (d *jsonDigits) take(width int) (n int) {
	if width > len(d.b) || width > 6 {
		d.bad = true
		return 0
	}
	for _, c := range d.b[:width] {
		if c < '0' || c > '9' {
			d.bad = true
		}
		n = n*10 + int(c-'0')
	}
	d.b = d.b[width:]
	return n
}

func (d *jsonDigits) year() int {
	if len(d.b) > 0 && (d.b[0] == '+' || d.b[0] == '-') {
		if d.b[0] == '-' {
			d.sign = -1
		}
		d.b = d.b[1:]
	}
	return d.sign * d.take(max(bytes.IndexByte(d.b, '-'), 0))
}

func (d *jsonDigits) after(c byte, width int) int {
	if len(d.b) == 0 || d.b[0] != c {
		d.bad = true
		return 0
	}
	d.b = d.b[1:]
	return d.take(width)
}

// base64 gives the bytes of a string.
func (s *jsonScan) base64() []byte {
	in, escaped := s.raw()
	out := s.arena.Take(base64.StdEncoding.DecodedLen(len(in)))
	n, err := base64.StdEncoding.Strict().Decode(out, in)
	if err != nil || escaped {
		s.fail("bytes")
		return nil
	}
	return out[:n:n]
}

func (s *jsonScan) value(k schema.Kind) event.Value {
	if s.has("null") {
		return event.NullValue
	}
	switch k {
	case schema.Bool:
		return event.Number(uint64(bit(s.bool())))
	case schema.Uint64:
		return event.Number(s.uint())
	case schema.Float32:
		return event.Number(s.float(32))
	case schema.Float64:
		return event.Number(s.float(64))
	case schema.Date, schema.DateTime:
		return event.Signed(s.date())
	case schema.Timestamp:
		return event.Signed(s.instant())
	case schema.Bytes:
		return event.Raw(s.base64())
	}
	if k.Numeric() {
		return event.Signed(s.int())
	}
	return event.Raw(s.bytes())
}
