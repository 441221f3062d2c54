package watch

import (
	"context"
	"log/slog"
	"time"
)

// Repeat calls look at once and every so often until ctx ends. It logs what the first look
// of a row of failures says, and the end of the row.
func Repeat(ctx context.Context, every time.Duration, logger *slog.Logger, what string, look func(context.Context) error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last error
	for {
		switch err := look(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil && last == nil:
			logger.Warn(what+" failed, trying again", "err", err)
			last = err
		case err == nil && last != nil:
			logger.Info(what + " goes on")
			last = nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
