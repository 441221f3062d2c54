package rowimage

import (
	"encoding/binary"
	"strconv"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// form is what a column's bytes look like.
type form uint8

const (
	irregular form = iota // left to the decoder
	signed
	unsigned
	float32Bits
	float64Bits
	smallDecimal
	shortText
	longText
	date
	datetime
	timestamp

	// Of an answer, where all but numbers have their length in front of them.
	timeSpan
	plainText
	plainBytes
	decimalDigits
)

// quick reads what nearly all values are. Whatever it isn't sure of it leaves to
// the column's decoder, which it must agree with.
type quick struct {
	form   form
	size   int  // in bytes: of the value, of the fraction, of the text's length
	utf8   bool // text must be UTF-8; else any ASCII will do, if it isn't binary
	binary bool

	whole, scale int   // digits of a decimal
	power        int64 // microseconds of a fraction's unit
}

// quickly gives a column's quick form.
func quickly(c Column, typ schema.Type) quick {
	real, length := c.real()
	n, power := 0, int64(0)
	if typ.Precision <= 6 {
		n, power = fractionBytes(typ.Precision)
	}
	sizes := map[byte]int{typeTiny: 1, typeShort: 2, typeInt24: 3, typeLong: 4, typeLongLong: 8}
	switch real {
	case typeTiny, typeShort, typeInt24, typeLong, typeLongLong:
		if c.Unsigned {
			return quick{form: unsigned, size: sizes[real]}
		}
		return quick{form: signed, size: sizes[real]}
	case typeFloat:
		return quick{form: float32Bits}
	case typeDouble:
		return quick{form: float64Bits}
	case typeNewDecimal:
		if whole := typ.Precision - typ.Scale; whole >= 1 && whole <= 9 && typ.Scale <= 9 {
			return quick{form: smallDecimal, whole: whole, scale: typ.Scale}
		}
	case typeDate:
		return quick{form: date}
	case typeDatetime2:
		return quick{form: datetime, size: n, power: power}
	case typeTimestamp2:
		return quick{form: timestamp, size: n, power: power}
	case typeVarchar, typeVarString, typeString:
		if c.Native != "" || real == typeString && c.Charset == "binary" || charsets[c.Charset].wide {
			break
		}
		if length > 255 {
			return textForm(c, 2)
		}
		return textForm(c, 1)
	case typeBlob:
		if c.Meta <= 2 && !charsets[c.Charset].wide {
			return textForm(c, int(c.Meta))
		}
	}
	return quick{}
}

func textForm(c Column, size int) quick {
	q := quick{form: shortText, utf8: charsets[c.Charset].enc == nil, binary: c.Charset == "binary"}
	if size == 2 {
		q.form = longText
	}
	return q
}

// read reads a value from the front of data into v and returns its length, or 0.
func (q *quick) read(data []byte, v *event.Value, a *event.Arena) int {
	switch q.form {
	case signed:
		return quickInteger(data, q.size, v, true)
	case unsigned:
		return quickInteger(data, q.size, v, false)
	case float32Bits:
		if len(data) >= 4 {
			*v = event.Number(uint64(binary.LittleEndian.Uint32(data)))
			return 4
		}
	case float64Bits:
		if len(data) >= 8 {
			*v = event.Number(binary.LittleEndian.Uint64(data))
			return 8
		}
	case shortText:
		if len(data) > 0 {
			if end := 1 + int(data[0]); end <= len(data) && q.sound(data[1:end]) {
				*v = event.Raw(data[1:end:end])
				return end
			}
		}
	case longText:
		if len(data) > 1 {
			if end := 2 + int(binary.LittleEndian.Uint16(data)); end <= len(data) && q.sound(data[2:end]) {
				*v = event.Raw(data[2:end:end])
				return end
			}
		}
	case date:
		if len(data) >= 3 {
			d := int(data[0]) | int(data[1])<<8 | int(data[2])<<16
			if days, ok := daysOf(d>>9, d>>5&15, d&31); ok {
				*v = event.Signed(days)
				return 3
			}
		}
	case datetime:
		return q.datetime(data, v)
	case timestamp:
		if end := 4 + q.size; len(data) >= end {
			if s := int64(binary.BigEndian.Uint32(data)); s != 0 {
				*v = event.Signed(s*1_000_000 + int64(bigEndian(data[4:end]))*q.power)
				return end
			}
		}
	case smallDecimal:
		return q.decimal(data, v, a)
	}
	return 0
}

// quickInteger reads size bytes, 1 to 4 or 8, and returns size; 0 if there are fewer.
func quickInteger(data []byte, size int, v *event.Value, sign bool) int {
	if len(data) < size {
		return 0
	}
	var n uint64
	switch size {
	case 1:
		n = uint64(data[0])
	case 2:
		n = uint64(binary.LittleEndian.Uint16(data))
	case 3:
		n = uint64(data[0]) | uint64(data[1])<<8 | uint64(data[2])<<16
	case 4:
		n = uint64(binary.LittleEndian.Uint32(data))
	default:
		n = binary.LittleEndian.Uint64(data)
	}
	if sign {
		shift := 64 - 8*size
		n = uint64(int64(n<<shift) >> shift)
	}
	*v = event.Number(n)
	return size
}

// sound reports whether text may be taken as it is.
func (q *quick) sound(b []byte) bool {
	return q.binary || q.utf8 && validUTF8(b) || !q.utf8 && isASCII(b)
}

func (q *quick) datetime(data []byte, v *event.Value) int {
	end := 5 + q.size
	if len(data) < end {
		return 0
	}
	n := int64(data[0])<<32 | int64(binary.BigEndian.Uint32(data[1:])) - 0x8000000000
	if n < 0 {
		return 0
	}
	ym := int(n >> 22)
	hour, minute, second := n>>12&31, n>>6&63, n&63
	micro := int64(bigEndian(data[5:end])) * q.power
	days, ok := daysOf(ym/13, ym%13, int(n>>17&31))
	if !ok || hour > 23 || minute > 59 || second > 59 || micro > 999_999 {
		return 0
	}
	*v = event.Signed(((days*24+hour)*60+minute)*60_000_000 + second*1_000_000 + micro)
	return end
}

// decimal reads one group of up to nine digits on either side of the point, see decimal.
func (q *quick) decimal(data []byte, v *event.Value, a *event.Arena) int {
	head := leftover[q.whole]
	end := head + leftover[q.scale]
	if len(data) < end {
		return 0
	}
	whole, frac := uint32(bigEndian(data[:head])), uint32(bigEndian(data[head:end]))
	top := uint32(1) << (8*head - 1)
	negative := whole&top == 0
	if whole ^= top; negative {
		whole ^= top<<1 - 1
		frac ^= uint32(1)<<(8*(end-head)) - 1
	}
	if whole >= powers[q.whole] || frac >= powers[q.scale] {
		return 0
	}
	out := a.Take(q.whole + q.scale + 2)[:0]
	if negative {
		out = append(out, '-')
	}
	out = strconv.AppendUint(out, uint64(whole), 10)
	if q.scale > 0 {
		out = appendDigits(append(out, '.'), frac, q.scale)
	}
	*v = event.Raw(out)
	return end
}

// daysOf gives the days since 1970 of a date in the proleptic Gregorian calendar, if
// there is such a day. Years count from March here, so that the leap day comes last.
func daysOf(year, month, day int) (int64, bool) {
	if month < 1 || month > 12 || day < 1 || day > 31 || year < 0 {
		return 0, false
	}
	if day > 28 {
		last := 30 + (month+month>>3)&1
		if month == 2 {
			last = 28
			if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
				last = 29
			}
		}
		if day > last {
			return 0, false
		}
	}
	y, m := year+399, month+9 // four centuries on, so that nothing is below zero
	if month > 2 {
		y, m = year+400, month-3
	}
	const before1970 = 719468 + 146097 // from 1 March of the year -400
	return int64(365*y + y/4 - y/100 + y/400 + (153*m+2)/5 + day - 1 - before1970), true
}
