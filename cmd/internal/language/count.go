package language

import (
	"fmt"
	"reflect"
	"strings"
)

// Sprintf is fmt.Sprintf for texts in which words follow a count: of {row|rows} the first one
// is taken if the argument of the verb that stands last before it is 1, or the text "1", else
// the other one. Braces without a bar stay. Arguments can't be named by their place.
func Sprintf(format string, args ...any) string {
	if !strings.Contains(format, "{") {
		return fmt.Sprintf(format, args...)
	}
	var b strings.Builder
	for verbs, i := 0, 0; i < len(format); i++ {
		rest := format[i:]
		switch {
		case strings.HasPrefix(rest, "%%"):
			b.WriteString("%%")
			i++
			continue
		case rest[0] == '%':
			verbs++
		case rest[0] == '{':
			inside, _, closed := strings.Cut(rest[1:], "}")
			if one, other, ok := strings.Cut(inside, "|"); closed && ok {
				if verbs > 0 && verbs <= len(args) && isOne(args[verbs-1]) {
					other = one
				}
				b.WriteString(other)
				i += len(inside) + 1
				continue
			}
		}
		b.WriteByte(rest[0])
	}
	return fmt.Sprintf(b.String(), args...)
}

// isOne reports whether a count is 1.
func isOne(arg any) bool {
	switch v := reflect.ValueOf(arg); {
	case v.CanInt():
		return v.Int() == 1
	case v.CanUint():
		return v.Uint() == 1
	case v.CanFloat():
		return v.Float() == 1
	case v.Kind() == reflect.String:
		return v.String() == "1"
	}
	return false
}
