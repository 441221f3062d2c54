package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/pipeline"
)

// TestLedger: what is sent is counted by day, source and table, over restarts, and old
// days are forgotten.
func TestLedger(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 29, 23, 59, 58, 0, time.Local)
	open := func() *ledger {
		t.Helper()
		b, err := openLedger(dir, func() time.Time { return now }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	save := func(b *ledger) {
		t.Helper()
		if err := b.save(); err != nil {
			t.Fatal(err)
		}
	}
	b := open()
	old := filepath.Join(dir, ledgerFolder, "2026-01-02.json")
	if err := os.WriteFile(old, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.sent("330106-xueji")([]pipeline.Sent{{Table: "xueji.student", Dataset: "student", Rows: 2, Bytes: 100}, {Table: "xueji.score", Dataset: "score", Rows: 1, Bytes: 10}})
	save(b)
	b = open() // another process
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("an old day is still there: %v", err)
	}
	now = now.Add(time.Second)
	b.sent("330106-xueji")([]pipeline.Sent{{Table: "xueji.student", Dataset: "student", Rows: 3, Bytes: 50}})
	b.sent("330106-other")([]pipeline.Sent{{Table: "a.student", Dataset: "student", Rows: 1, Bytes: 1}})
	now = now.Add(time.Second) // another day, before the one before is written
	b.sent("330106-xueji")([]pipeline.Sent{{Table: "xueji.student", Dataset: "student", Rows: 7, Bytes: 70}})
	save(b)
	first, err := readDay(dir, "2026-11-29")
	if err != nil {
		t.Fatal(err)
	}
	r := reported(first, now.AddDate(0, 0, -1))
	if len(r.Tables) != 3 || r.Tables[2].Table != "xueji.student" || r.Tables[2].Rows != 5 || r.Tables[2].Bytes != 150 || !r.Tables[2].First.Before(r.Tables[2].Last) || len(r.Datasets) != 2 || r.Datasets[1] != (sentDataset{"student", 6, 151}) {
		t.Errorf("%+v", r)
	}
	second, err := readDay(dir, "2026-11-30")
	if err != nil || len(second) != 1 || second["330106-xueji"]["xueji.student"].Rows != 7 {
		t.Errorf("%+v, %v", second, err)
	}
	if len(b.days) != 1 {
		t.Errorf("%d days are held", len(b.days))
	}
	for lang, say := range reportTexts {
		var out strings.Builder
		if err := say.print(&out, r); err != nil || !strings.Contains(out.String(), "151") || han(out.String()) == (lang == english) {
			t.Errorf("%s, %v", out.String(), err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ledgerFolder, "2026-11-30.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b = open(); len(b.days["2026-11-30"]) != 0 {
		t.Errorf("%+v", b.days)
	}
	if _, err := os.Stat(filepath.Join(dir, ledgerFolder, "2026-11-30.json.unreadable")); err != nil {
		t.Errorf("a file that can't be read isn't kept: %v", err)
	}
}
