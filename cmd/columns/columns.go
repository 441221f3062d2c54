// Package columns lays out tables for terminals. It decides where cells stand; it
// knows nothing of what is in them.
package columns

import (
	"strings"

	"golang.org/x/text/width"
)

// Align pads the cells so that columns stand below each other, two spaces apart,
// Chinese characters being two places wide. right says which columns stand right; nil
// for none. The last cell of a line is never padded. Each line ends with a line end.
func Align(lines [][]string, right func(column int) bool) string {
	var widths []int
	for _, line := range lines {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(line)-1 {
				widths[i] = max(widths[i], Width(cell))
			}
		}
	}
	var b strings.Builder
	for _, line := range lines {
		for i, cell := range line {
			if i == len(line)-1 {
				b.WriteString(cell + "\n")
				break
			}
			pad := strings.Repeat(" ", widths[i]-Width(cell))
			if right != nil && right(i) {
				b.WriteString(pad + cell + "  ")
			} else {
				b.WriteString(cell + pad + "  ")
			}
		}
	}
	return b.String()
}

// Width is how many places a text takes on a terminal.
func Width(s string) (n int) {
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
