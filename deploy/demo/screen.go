package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/text/width"
)

// screen prints tables, on a terminal each in place of the one before.
type screen struct {
	out  io.Writer
	live bool
	rows int // of the last table
}

// terminal reports whether f is one that can move its cursor.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

func (s *screen) show(lines [][]string) {
	var b bytes.Buffer
	if s.live && s.rows > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.rows) // up
	}
	if !s.live || s.rows == 0 {
		b.WriteByte('\n')
	}
	text := align(lines)
	if s.live {
		text = strings.ReplaceAll(text, "\n", "\x1b[K\n") // nothing of a longer line stays
	}
	b.WriteString(text)
	s.rows = len(lines)
	_, _ = s.out.Write(b.Bytes()) // nobody may be left to read it
}

// align pads the cells so that columns stand below each other, Chinese characters
// being two columns wide. Columns of numbers stand right.
func align(lines [][]string) string {
	var widths []int
	for _, line := range lines {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(cell))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-columns(cell))
			switch {
			case i >= 2 && i < len(line)-1:
				b.WriteString(pad + cell)
			case i < len(line)-1:
				b.WriteString(cell + pad)
			default:
				b.WriteString(cell)
			}
			if i < len(line)-1 {
				b.WriteString("  ")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// columns is the width of a text on a terminal.
func columns(s string) (n int) {
	for _, r := range s {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
