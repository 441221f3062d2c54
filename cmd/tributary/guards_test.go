package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tributary-cdc/tributary/capture/guard"
	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/status"
)

// narrow is a server whose log has an end in sight; it gives up what it is asked to.
type narrow struct{ room guard.Room }

func (n *narrow) Room(context.Context, event.Place) (guard.Room, error) { return n.room, nil }

func (n *narrow) GiveUp(context.Context) error {
	n.room.Kept, n.room.Held = false, 0
	return nil
}

// TestGuards: warnings stand in the table, in records and in metrics, and a blown fuse is
// the state of a source whose log doesn't answer.
func TestGuards(t *testing.T) {
	server := &narrow{guard.Room{Kept: true, Identity: "x", Held: 700, Behind: 700, Spare: -1, End: event.Place{Offset: 9},
		Sizes: []guard.SizeBound{{Name: "max_slot_wal_keep_size", Repair: "ALTER SYSTEM SET it", Limit: 700}}}}
	g, err := guard.New(guard.Options{Source: "330106-xueji", Server: server, File: filepath.Join(t.TempDir(), "g.json"), Fuse: guard.Fuse{Size: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	gs := &guards{of: map[string]*guard.Guard{"330106-xueji": g}, stops: map[string]context.CancelFunc{}}
	if len(gs.rooms()) != 0 {
		t.Error("a room before the first look")
	}
	g.Look(t.Context())
	source := pipeline.Status{Source: "330106-xueji", State: pipeline.Retrying, Error: "log unavailable"}
	r := report{Role: "agent", Name: "a1", Sources: gs.over([]pipeline.Status{source}), Rooms: gs.rooms()}
	for lang, wants := range map[language][]string{
		english: {"0s of its log are left (max_slot_wal_keep_size)", "[SOURCE_LOG_SHORT] what has not been read", "ALTER SYSTEM SET it", "retrying", "[SLOT_HOLDS_WAL]"},
		chinese: {"日志余量 0s（max_slot_wal_keep_size）", "[SOURCE_LOG_SHORT] 源库日志"},
	} {
		var out bytes.Buffer
		if err := printStatus(&out, texts[lang], lang, []report{r}); err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the status lacks %q:\n%s", want, out.String())
			}
		}
	}
	well := report{Rooms: gs.rooms(), Sources: []pipeline.Status{{Source: "330106-xueji", State: pipeline.Streaming}}}
	if well.well() {
		t.Error("a source that is warned of is well")
	}
	rec := gs.records([]status.Record{{Source: "330106-xueji"}, {Source: "330106-other"}})
	if rec[0].LogLeft == nil || rec[0].LogLeftBy != "max_slot_wal_keep_size" || rec[0].LogHeld != 700 || len(rec[0].Warnings) != 2 || len(rec[1].Warnings) > 0 {
		t.Errorf("%+v", rec)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(gs.metrics())
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if n := testutil.CollectAndCount(gs.metrics(), "tributary_source_log_warning"); n != 2 {
		t.Errorf("%d warnings in the metrics", n)
	}

	server.room.Held = 1000
	g.Look(t.Context())
	s := gs.over([]pipeline.Status{source, {Source: "330106-xueji", State: pipeline.Fenced}})
	if s[0].State != pipeline.InGap || s[0].Code != "FUSE_BLOWN" || !s[0].NeedsPerson || !strings.Contains(s[0].Error, "log unavailable") || s[1].State != pipeline.Fenced {
		t.Errorf("%+v", s)
	}
}
