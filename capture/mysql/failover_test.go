package mysql

import (
	"errors"
	"testing"
)

// TestHasGTIDs: the server of a transaction counts, and a number that is as high doesn't.
func TestHasGTIDs(t *testing.T) {
	for name, tt := range map[string]struct {
		state, ours string
		want        bool
		err         error
	}{
		"all":               {"0-1-10,0-2-12", "0-1-10", true, nil},
		"later":             {"0-1-11", "0-1-10", true, nil},
		"lacks the last":    {"0-1-9,0-2-12", "0-1-10", false, nil},
		"another's number":  {"0-2-10", "0-1-10", false, nil},
		"another domain":    {"0-1-10", "0-1-10,7-1-1", false, nil},
		"both domains":      {"0-1-10, 7-3-1", "7-3-1,0-1-10", true, nil},
		"nothing was read":  {"0-1-10", "", true, nil},
		"it has no log":     {"", "0-1-1", false, nil},
		"a number too few":  {"0-1", "0-1-1", false, errMalformed},
		"not even a number": {"0-1-1", "0-1-x", false, errMalformed},
	} {
		if got, err := hasGTIDs(tt.state, tt.ours); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
