package servers

import (
	"os"
	"strconv"
	"testing"
)

// Number gives how big, or of which seed, a variable of the environment makes a test;
// usual if it isn't set. Anything but a whole number ends the test.
func Number(t testing.TB, variable string, usual uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatalf("%s=%q isn't a whole number", variable, text)
	}
	return n
}
