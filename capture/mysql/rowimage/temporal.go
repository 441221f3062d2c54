package rowimage

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
)

// fractionBytes is the size of a fraction of 0 to 6 digits, and power what one
// unit of it is in microseconds (MySQL internals, "Date and Time Data Type
// Representation").
func fractionBytes(digits int) (n int, power int64) {
	n = (digits + 1) / 2
	return n, [...]int64{1, 10_000, 100, 1}[n]
}

// temporal gives the decoder of a date or time. TypeOf has accepted type and digits.
func temporal(typ byte, digits int) decoder {
	n, power := fractionBytes(digits)
	if digits > 0 && typ <= typeDatetime {
		return oldFraction(typ, digits)
	}
	switch typ {
	case typeDate, typeNewDate:
		return fixed(3, func(b []byte, d *state) event.Value {
			v := int(littleEndian(b))
			return civil(d, stamp{year: v >> 9, month: v >> 5 & 15, day: v & 31}, true, 0)
		})
	case typeTime2:
		return fixed(3+n, func(b []byte, _ *state) event.Value {
			// The sign covers whole and fraction together.
			v := int64(bigEndian(b)) - 0x800000<<(8*n)
			sign := int64(1)
			if v < 0 {
				sign, v = -1, -v
			}
			whole, frac := v>>(8*n), v&(1<<(8*n)-1)
			return event.Signed(sign * ((whole>>12&0x3ff*3600+whole>>6&63*60+whole&63)*1_000_000 + frac*power))
		})
	case typeTime:
		return fixed(3, func(b []byte, _ *state) event.Value {
			v := int64(int32(littleEndian(b)<<8)) >> 8 // three bytes with sign
			sign := int64(1)
			if v < 0 {
				sign, v = -1, -v
			}
			return event.Signed(sign * (v/10000*3600 + v/100%100*60 + v%100) * 1_000_000)
		})
	case typeDatetime2:
		return fixed(5+n, func(b []byte, d *state) event.Value {
			v := int64(bigEndian(b[:5])) - 0x8000000000
			if v < 0 {
				d.anomaly = fmt.Sprintf("datetime \\x%x", b)
				return event.NullValue
			}
			ym := int(v >> 22)
			return civil(d, stamp{ym / 13, ym % 13, int(v >> 17 & 31), int(v >> 12 & 31), int(v >> 6 & 63), int(v & 63),
				int64(bigEndian(b[5:])) * power}, false, digits)
		})
	case typeDatetime:
		return fixed(8, func(b []byte, d *state) event.Value {
			v := int64(binary.LittleEndian.Uint64(b))
			date, clock := v/1_000_000, v%1_000_000
			return civil(d, stamp{int(date / 10000), int(date / 100 % 100), int(date % 100), int(clock / 10000), int(clock / 100 % 100), int(clock % 100), 0}, false, 0)
		})
	case typeTimestamp2:
		return fixed(4+n, func(b []byte, d *state) event.Value {
			return instant(d, int64(binary.BigEndian.Uint32(b)), int64(bigEndian(b[4:]))*power, digits)
		})
	default: // typeTimestamp
		return fixed(4, func(b []byte, d *state) event.Value { return instant(d, int64(binary.LittleEndian.Uint32(b)), 0, 0) })
	}
}

// oldFraction reads MariaDB's forms of before 10.1 with a fraction: a count of units of
// the last digit, the highest byte first. The log doesn't say how many digits there are
// (MariaDB, Type_handler_time::hires_bytes and its sisters).
func oldFraction(typ byte, digits int) decoder {
	power := int64(1)
	for range 6 - digits {
		power *= 10
	}
	const zero = (838*3600 + 59*60 + 59 + 1) * 1_000_000 // of TIME, which may be negative
	switch typ {
	case typeTime:
		return fixed([7]int{3, 4, 4, 5, 5, 5, 6}[digits], func(b []byte, _ *state) event.Value {
			return event.Signed(int64(bigEndian(b))*power - zero)
		})
	case typeDatetime:
		return fixed([7]int{5, 6, 6, 7, 7, 7, 8}[digits], func(b []byte, d *state) event.Value {
			v := int64(bigEndian(b)) * power
			micro, v := v%1_000_000, v/1_000_000
			second, v := v%60, v/60
			minute, v := v%60, v/60
			hour, v := v%24, v/24
			day, v := v%32, v/32
			return civil(d, stamp{int(v / 13), int(v % 13), int(day), int(hour), int(minute), int(second), micro}, false, digits)
		})
	}
	n, _ := fractionBytes(digits)
	return fixed(4+n, func(b []byte, d *state) event.Value {
		return instant(d, int64(binary.BigEndian.Uint32(b)), int64(bigEndian(b[4:]))*power, digits)
	})
}

// stamp is a civil time in its parts.
type stamp struct {
	year, month, day, hour, minute, second int
	micro                                  int64
}

func (s stamp) String() string {
	return fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d", s.year, s.month, s.day, s.hour, s.minute, s.second)
}

// civil gives days or microseconds since 1970. Dates that don't exist (zero,
// partly zero, 30 February) are NULL with their text as anomaly.
func civil(d *state, s stamp, dateOnly bool, digits int) event.Value {
	t := time.Date(s.year, time.Month(s.month), s.day, s.hour, s.minute, s.second, 0, time.UTC)
	if s.month == 0 || s.day == 0 || t.Day() != s.day || int(t.Month()) != s.month || s.hour > 23 || s.minute > 59 || s.second > 59 || s.micro > 999_999 {
		d.anomaly = s.String()
		if dateOnly {
			d.anomaly = d.anomaly[:len(d.anomaly)-len(" 00:00:00")]
		} else if digits > 0 {
			d.anomaly += fmt.Sprintf(".%06d", s.micro)[:digits+1]
		}
		return event.NullValue
	}
	if dateOnly {
		return event.Signed(t.Unix() / 86400)
	}
	return event.Signed(t.Unix()*1_000_000 + s.micro)
}

// instant gives microseconds since 1970; second 0 is MySQL's zero timestamp.
func instant(d *state, seconds, micro int64, digits int) event.Value {
	if seconds == 0 {
		d.anomaly = "0000-00-00 00:00:00"
		if digits > 0 {
			d.anomaly += fmt.Sprintf(".%06d", micro)[:digits+1]
		}
		return event.NullValue
	}
	return event.Signed(seconds*1_000_000 + micro)
}
