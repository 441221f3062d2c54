package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tributary-cdc/tributary/cmd/columns"
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
	text := columns.Align(lines, func(i int) bool { return i >= 2 }) // numbers stand right
	if s.live {
		text = strings.ReplaceAll(text, "\n", "\x1b[K\n") // nothing of a longer line stays
	}
	b.WriteString(text)
	s.rows = len(lines)
	_, _ = s.out.Write(b.Bytes()) // nobody may be left to read it
}
