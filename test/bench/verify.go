package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// liveEvery is the pause between the updates of a source that is verified meanwhile.
const liveEvery = 2 * time.Millisecond

// verified measures a verification of the table that s has loaded into the worker's store,
// while its rows are updated, from the order to the store's result. Any difference that it
// finds would be a false alarm, and is an error.
func (b *bench) verified(ctx context.Context, r *report, s source) (sample, error) {
	r.step("verification of the same rows, while some are updated")
	p, err := b.agent(ctx, s)
	if err != nil {
		return sample{}, err
	}
	w, err := b.begin(ctx, p, "verify")
	if err != nil {
		return sample{}, err
	}
	live, stop := context.WithCancel(ctx)
	written := make(chan error, 1)
	go func() { written <- b.updates(live, "quan.full") }()
	out, err := exec.CommandContext(ctx, b.program, "verify", s.org+"-"+s.name, "quan.full", "--lang", "en",
		"--agent", p.url, "--store", filepath.Join(b.dir, "worker.yml")).CombinedOutput()
	took, werr := w.took(b.rows)
	stop()
	if err != nil {
		err = fmt.Errorf("tributary verify: %w\n%s", err, out)
	}
	if err := errors.Join(err, werr, <-written); err != nil {
		return sample{}, err
	}
	return took, p.finish(true)
}

// updates changes a row of the table every now and then, until ctx ends.
func (b *bench) updates(ctx context.Context, table string) error {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := b.mdb.ExecContext(ctx, "UPDATE "+table+" SET changed = NOW(6) WHERE id = ?", 1+n*7919%b.rows); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
