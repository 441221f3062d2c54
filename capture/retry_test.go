package capture

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, calls := time.Now(), 0
		err := Retrying(t.Context(), func() error {
			if calls++; calls < 20 {
				return ErrConnection
			}
			return nil
		})
		if err != nil || calls != 20 {
			t.Errorf("%d calls, %v", calls, err)
		}
		if took := time.Since(begun); took < 30*time.Second || took > 90*time.Second {
			t.Errorf("19 pauses of at most 5 s took %s", took)
		}
	})
}

func TestRetryingStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		if err := Retrying(t.Context(), func() error { calls++; return ErrSettings }); !errors.Is(err, ErrSettings) || calls != 1 {
			t.Errorf("%d calls, %v; want the refusal at once", calls, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := Retrying(ctx, func() error { return ErrConnection }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the end: %v", err)
		}
	})
}
