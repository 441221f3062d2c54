package pgoutput

import "testing"

// BenchmarkParse reads an insert of 15 columns, about as a student's row is.
func BenchmarkParse(b *testing.B) {
	in := "I" + u32(9) + "N\x00\x0f"
	for _, v := range []string{"4711", "G00012345678901234567", "张三", "1", "2012-03-04", "330102012030412345", "2133000123", "3", "12班",
		"2018-09-01 08:00:00", "12.34", "0.5", "t", "a note of some length, as people write them", "2026-11-24 08:00:00.123456"} {
		in += "t" + u32(uint32(len(v))) + v
	}
	var m Msg
	msg := []byte(in)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Parse(msg, &m); err != nil {
			b.Fatal(err)
		}
	}
}
