package mysql_test

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
)

// testCharsets asks the server for the character of every code of one and two bytes, and
// in gb18030 for the code of every character: ours must be the same.
func testCharsets(t *testing.T, g *rig) {
	g.run("SET SESSION sql_mode = ''")
	for name, least := range map[string]int{"latin1": 128, "gbk": 21791, "gb2312": 7445, "big5": 13710, "gb18030": 23940} {
		if name == "gb18030" && g.maria() {
			continue
		}
		var codes []string
		for lead := 0x80; lead <= 0xff; lead++ {
			codes = append(codes, fmt.Sprintf("%02x", lead))
			for trail := 0x30; trail <= 0xff && name != "latin1"; trail++ {
				codes = append(codes, fmt.Sprintf("%02x%02x", lead, trail))
			}
		}
		if n := g.converted(name, codes, "X'%s'", name, "utf32"); n < least {
			t.Errorf("%s: %d codes with a character, want %d", name, n, least)
		}
		if name == "gb18030" {
			testGB18030(g)
		}
	}
}

// converted compares codes of a set that have one character at the server.
func (g *rig) converted(name string, codes []string, literal, from, to string) (n int) {
	g.t.Helper()
	for i, answer := range g.conversions(codes, literal, from, to) {
		r, err := strconv.ParseUint(answer, 16, 32)
		if len(answer) != 8 || err != nil || r == '?' || r == utf8.RuneError { // none, or two for a pair that isn't one
			continue
		}
		n++
		g.reads(name, codes[i], rune(r))
	}
	return n
}

func (g *rig) reads(name, code string, want rune) {
	g.t.Helper()
	raw, err := hex.DecodeString(code)
	if err != nil {
		g.t.Fatal(err)
	}
	if got, ok := rowimage.ToUTF8(name, raw); !ok || string(got) != string(want) {
		g.t.Errorf("%s %s = %q (%t), the server has %q", name, code, got, ok, want)
	}
}

// conversions has the server convert many codes per statement.
func (g *rig) conversions(codes []string, literal, from, to string) (out []string) {
	g.t.Helper()
	for len(codes) > 0 {
		some := codes[:min(len(codes), 1000)]
		codes = codes[len(some):]
		exprs := make([]string, len(some))
		for i, c := range some {
			exprs[i] = fmt.Sprintf("COALESCE(HEX(CONVERT(CONVERT("+literal+" USING %s) USING %s)), '')", c, from, to)
		}
		out = append(out, strings.Split(g.query("SELECT CONCAT_WS(',', " + strings.Join(exprs, ", ") + ")")[0], ",")...)
	}
	return out
}

func testGB18030(g *rig) {
	var runes []rune
	var codes []string
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		if r > 0xffff { // the higher planes are one run
			r += 997
		}
		if utf8.ValidRune(r) {
			runes, codes = append(runes, r), append(codes, fmt.Sprintf("%08x", r))
		}
	}
	n := 0
	for i, answer := range g.conversions(codes, "_utf32 X'%s'", "utf32", "gb18030") {
		if answer != "" && answer != "3F" {
			n++
			g.reads("gb18030", answer, runes[i])
		}
	}
	if n < 64000 {
		g.t.Errorf("gb18030: %d characters have a code, want 64000", n)
	}
}
