package watch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRepeat: a row of failures is told once, and its end once; the end of the program is
// no failure.
func TestRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		begun, looks := time.Now(), 0
		Repeat(ctx, time.Second, slog.New(slog.NewTextHandler(&said, nil)), "history", func(context.Context) error {
			looks++
			switch looks {
			case 2, 3, 5:
				return errors.New("no store")
			case 6:
				stop()
				return context.Canceled
			}
			return nil
		})
		if looks != 6 || time.Since(begun) != 5*time.Second {
			t.Errorf("%d looks within %s", looks, time.Since(begun))
		}
		var got []string
		for line := range strings.Lines(said.String()) {
			_, line, _ = strings.Cut(line, " ")
			got = append(got, strings.TrimSpace(line))
		}
		failed := `level=WARN msg="history failed, trying again" err="no store"`
		if want := []string{failed, `level=INFO msg="history goes on"`, failed}; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}
