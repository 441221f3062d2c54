package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/capture/pipeline"
)

// sentTable is what of a source's table has left the house on one day.
type sentTable struct {
	Dataset string `json:"dataset"`
	Rows    int64  `json:"rows"`
	Bytes   int64  `json:"bytes"` // of keys and values, before compression
	// First and Last are when the log had the day's first and newest ones.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// sentDay is one day of the machine's clock: tables by source and id.
type sentDay map[string]map[string]*sentTable

const (
	ledgerFolder = "sent"
	dayFormat    = "2006-01-02"
	// keepDays is for how long days are kept.
	keepDays = 92
	// ledgerEvery is how often the file is written: a killed agent loses that much of the
	// count, never of the data.
	ledgerEvery = time.Second
)

// ledger counts what leaves the house, by day, source and table, in a file of the agent's
// data folder for each day.
type ledger struct {
	dir string
	now func() time.Time
	l   *slog.Logger

	mu    sync.Mutex
	days  map[string]sentDay // today's, and those before that aren't written yet
	dirty map[string]bool
}

// openLedger reads what today's file has, and removes those that are old.
func openLedger(dataDir string, now func() time.Time, l *slog.Logger) (*ledger, error) {
	b := &ledger{dir: filepath.Join(dataDir, ledgerFolder), now: now, l: l, days: map[string]sentDay{}, dirty: map[string]bool{}}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	today := now().Format(dayFormat)
	day, err := readDay(dataDir, today)
	if err != nil { // the count begins anew: data flows without it
		l.Error("what was sent today can't be read", "file", b.file(today)+".unreadable", "err", err)
		if err := os.Rename(b.file(today), b.file(today)+".unreadable"); err != nil {
			return nil, fmt.Errorf("data_dir: %w", err)
		}
		day = sentDay{}
	}
	b.days[today] = day
	if err := b.forget(); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	return b, nil
}

func (b *ledger) file(day string) string { return filepath.Join(b.dir, day+".json") }

// forget removes the files of days that are over for long.
func (b *ledger) forget() error {
	files, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	oldest := b.now().AddDate(0, 0, -keepDays).Format(dayFormat)
	for _, f := range files {
		if day, ok := strings.CutSuffix(f.Name(), ".json"); ok && day < oldest {
			err = errors.Join(err, os.Remove(filepath.Join(b.dir, f.Name())))
		}
	}
	return err
}

// readDay gives what a day's file has; a day without one is empty.
func readDay(dataDir, day string) (sentDay, error) {
	out := sentDay{}
	b, err := os.ReadFile(filepath.Join(dataDir, ledgerFolder, day+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("what was sent on %s: %w", day, err)
	}
	return out, nil
}

// sent is told of what the log has got of a source.
func (b *ledger) sent(source string) func([]pipeline.Sent) {
	return func(tables []pipeline.Sent) {
		now := b.now().Truncate(time.Second)
		day := now.Format(dayFormat)
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.days[day] == nil {
			b.days[day] = sentDay{}
		}
		b.dirty[day] = true
		of := b.days[day][source]
		if of == nil {
			of = map[string]*sentTable{}
			b.days[day][source] = of
		}
		for _, s := range tables {
			t := of[s.Table]
			if t == nil {
				t = &sentTable{First: now}
				of[s.Table] = t
			}
			t.Dataset, t.Last = s.Dataset, now
			t.Rows, t.Bytes = t.Rows+s.Rows, t.Bytes+s.Bytes
		}
	}
}

// run writes the files until ctx ends, and once more then.
func (b *ledger) run(ctx context.Context) {
	tick := time.NewTicker(ledgerEvery)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
		if err := b.save(); err != nil {
			b.l.Error("what was sent isn't written down, trying again", "err", err)
		}
	}
}

// save writes the days that have changed. Each file is replaced whole.
func (b *ledger) save() error {
	b.mu.Lock()
	files := map[string][]byte{}
	for day := range b.dirty {
		text, err := json.Marshal(b.days[day])
		if err != nil {
			b.mu.Unlock()
			return err
		}
		files[day] = text
	}
	clear(b.dirty)
	b.mu.Unlock()
	today := b.now().Format(dayFormat)
	var failed error
	over := false
	for day, text := range files {
		err := replaceFile(b.file(day), text)
		b.mu.Lock()
		if err != nil {
			b.dirty[day], failed = true, errors.Join(failed, err)
		} else if day != today && !b.dirty[day] {
			delete(b.days, day)
			over = true
		}
		b.mu.Unlock()
	}
	if over {
		failed = errors.Join(failed, b.forget())
	}
	return failed
}

// replaceFile puts a text in a file's place, whole or not at all.
func replaceFile(name string, text []byte) error {
	f, err := os.OpenFile(name+".next", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".next", name)
}
