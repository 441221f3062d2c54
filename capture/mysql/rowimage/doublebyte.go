package rowimage

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// doubleByte is a character set of one byte for ASCII and two for the others. Where the
// usual tables, which are those of browsers, have another character than the servers the
// servers' counts: users search for what the server shows. Codes that a server keeps and
// has no character for are read as the usual tables have them.
type doubleByte struct {
	usual encoding.Encoding
	// others are runs of codes whose character at the servers isn't the usual one.
	others []run
	// leads and trails are the bytes that the servers take for halves of a character.
	leads, trails [][2]byte
	// longer tells that four bytes make one character where the second one is a digit.
	longer bool

	once  sync.Once
	runes []rune // by code - 0x8000; 0 for none
}

type run struct {
	code uint16
	r    rune
	n    int
}

var (
	gbk    = &doubleByte{usual: simplifiedchinese.GBK, leads: [][2]byte{{0x81, 0xfe}}, trails: [][2]byte{{0x40, 0x7e}, {0x80, 0xfe}}}
	gb2312 = &doubleByte{usual: simplifiedchinese.GBK, leads: [][2]byte{{0xa1, 0xf7}}, trails: [][2]byte{{0xa1, 0xfe}},
		others: []run{{0xa1a4, 0x30fb, 1}, {0xa1aa, 0x2015, 1}}}
	big5    = &doubleByte{usual: traditionalchinese.Big5, leads: [][2]byte{{0xa1, 0xf9}}, trails: [][2]byte{{0x40, 0x7e}, {0xa1, 0xfe}}, others: big5Others}
	gb18030 = &doubleByte{usual: simplifiedchinese.GB18030, leads: [][2]byte{{0x81, 0xfe}}, trails: [][2]byte{{0x40, 0x7e}, {0x80, 0xfe}},
		others: gb18030Others, longer: true}
)

var big5Others = []run{
	{0xa145, 0x2022, 1}, {0xa14e, 0xff64, 1}, {0xa1c2, 0x203e, 1}, {0xa1e3, 0x223c, 1}, {0xa1f2, 0x2641, 1}, {0xa1f3, 0x2609, 1}, {0xa241, 0xff0f, 1},
	{0xa242, 0xff3c, 1}, {0xa244, 0x00a5, 1}, {0xa246, 0x00a2, 2}, {0xc6a1, 0x30fe, 1}, {0xc6a2, 0x309d, 2}, {0xc6a4, 0x3005, 1}, {0xc6a5, 0x3041, 83},
	{0xc6f8, 0x30a1, 7}, {0xc740, 0x30a8, 63}, {0xc7a1, 0x30e7, 16}, {0xc7b1, 0x0414, 2}, {0xc7b3, 0x0401, 1}, {0xc7b4, 0x0416, 7},
	{0xc7bb, 0x0423, 19}, {0xc7ce, 0x0451, 1}, {0xc7cf, 0x0436, 26}, {0xc7e9, 0x2460, 10}, {0xc7f3, 0x2474, 10},
}

// gb18030Others are mostly the zones in which users made characters of their own, for
// names above all; they are private ones in Unicode, too.
var gb18030Others = []run{
	{0xa140, 0xe4c6, 63}, {0xa180, 0xe505, 33}, {0xa240, 0xe526, 63}, {0xa280, 0xe565, 33}, {0xa2ab, 0xe766, 6}, {0xa2e4, 0xe76d, 1},
	{0xa2ef, 0xe76e, 2}, {0xa2fd, 0xe770, 2}, {0xa340, 0xe586, 63}, {0xa380, 0xe5c5, 33}, {0xa440, 0xe5e6, 63}, {0xa480, 0xe625, 33},
	{0xa4f4, 0xe772, 11}, {0xa540, 0xe646, 63}, {0xa580, 0xe685, 33}, {0xa5f7, 0xe77d, 8}, {0xa640, 0xe6a6, 63}, {0xa680, 0xe6e5, 33},
	{0xa6b9, 0xe785, 8}, {0xa6d9, 0xe78d, 7}, {0xa6ec, 0xe794, 2}, {0xa6f3, 0xe796, 1}, {0xa6f6, 0xe797, 9}, {0xa740, 0xe706, 63}, {0xa780, 0xe745, 33},
	{0xa7c2, 0xe7a0, 15}, {0xa7f2, 0xe7af, 13}, {0xa896, 0xe7bc, 11}, {0xa8bc, 0x1e3f, 1}, {0xa8c1, 0xe7c9, 4}, {0xa8ea, 0xe7cd, 21},
	{0xa958, 0xe7e2, 1}, {0xa95b, 0xe7e3, 1}, {0xa95d, 0xe7e4, 3}, {0xa997, 0xe7f4, 13}, {0xa9f0, 0xe801, 15}, {0xaaa1, 0xe000, 94},
	{0xaba1, 0xe05e, 94}, {0xaca1, 0xe0bc, 94}, {0xada1, 0xe11a, 94}, {0xaea1, 0xe178, 94}, {0xafa1, 0xe1d6, 94}, {0xd7fa, 0xe810, 5},
	{0xf8a1, 0xe234, 94}, {0xf9a1, 0xe292, 94}, {0xfaa1, 0xe2f0, 94}, {0xfba1, 0xe34e, 94}, {0xfca1, 0xe3ac, 94}, {0xfda1, 0xe40a, 94},
	{0xfe51, 0xe816, 3}, {0xfe59, 0xe81e, 1}, {0xfe61, 0xe826, 1}, {0xfe66, 0xe82b, 2}, {0xfe6c, 0xe831, 2}, {0xfe76, 0xe83b, 1}, {0xfe7e, 0xe843, 1},
	{0xfe90, 0xe854, 2}, {0xfea0, 0xe864, 1}, {0xfea1, 0xe468, 94},
}

func (d *doubleByte) load() {
	d.runes = make([]rune, 0x8000)
	dec := d.usual.NewDecoder()
	for _, lead := range d.leads {
		for l := int(lead[0]); l <= int(lead[1]); l++ {
			for _, trail := range d.trails {
				for t := int(trail[0]); t <= int(trail[1]); t++ {
					out, err := dec.Bytes([]byte{byte(l), byte(t)})
					if r, n := utf8.DecodeRune(out); err == nil && r != utf8.RuneError && n == len(out) {
						d.runes[l<<8|t-0x8000] = r
					}
				}
			}
		}
	}
	for _, o := range d.others {
		for i := range o.n {
			d.runes[int(o.code)+i-0x8000] = o.r + rune(i)
		}
	}
}

func (d *doubleByte) append(out, b []byte) ([]byte, bool) {
	d.once.Do(d.load)
	for len(b) > 0 {
		switch {
		case b[0] < utf8.RuneSelf:
			out, b = append(out, b[0]), b[1:]
		case len(b) >= 4 && d.longer && b[1] >= '0' && b[1] <= '9':
			r, ok := d.four(b[:4])
			if !ok {
				return nil, false
			}
			out, b = utf8.AppendRune(out, r), b[4:]
		case len(b) >= 2:
			r := d.runes[int(b[0])<<8|int(b[1])-0x8000]
			if r == 0 {
				return nil, false
			}
			out, b = utf8.AppendRune(out, r), b[2:]
		default:
			return nil, false
		}
	}
	return out, true
}

// four reads a character of four bytes.
func (d *doubleByte) four(b []byte) (rune, bool) {
	switch string(b) {
	case "\x81\x35\xf4\x37": // the server has the table of 2005, in which U+1E3F has two bytes
		return 0xe7c7, true
	case "\x84\x31\xa4\x37":
		return utf8.RuneError, true
	}
	out, err := d.usual.NewDecoder().Bytes(b)
	r, n := utf8.DecodeRune(out)
	return r, err == nil && n == len(out) && r != utf8.RuneError
}
