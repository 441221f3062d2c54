package capture

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// class is what each sentinel means to a supervisor, and its code.
var class = map[string]struct {
	err    error
	action Action
	code   string
}{
	"capture.ErrOtherAgent":   {ErrOtherAgent, StayDown, "OTHER_AGENT"},
	"capture.ErrConnection":   {ErrConnection, Retry, "SOURCE_UNREACHABLE"},
	"capture.ErrAccess":       {ErrAccess, AskOperator, ""},
	"capture.ErrSettings":     {ErrSettings, AskOperator, ""},
	"capture.ErrNoFirstStart": {ErrNoFirstStart, AskOperator, "NO_FIRST_START"},
	"capture.ErrMoved":        {ErrMoved, AskOperator, "PARTITION_CHANGED"},
	"capture.ErrUnsupported":  {ErrUnsupported, StopSource, ""},
	"log.ErrFenced":           {log.ErrFenced, StayDown, "AGENT_FENCED"},
	"log.ErrUnknownOutcome":   {log.ErrUnknownOutcome, Retry, "LOG_UNAVAILABLE"},
	"log.ErrUnavailable":      {log.ErrUnavailable, Retry, "LOG_UNAVAILABLE"},
	"log.ErrOffsetOutOfRange": {log.ErrOffsetOutOfRange, StopSource, "LOG_OFFSET_GONE"},
	"log.ErrCorrupt":          {log.ErrCorrupt, StopSource, "LOG_CORRUPT"},
	"log.ErrTooLarge":         {log.ErrTooLarge, StopSource, "LOG_BATCH_TOO_LARGE"},
	"log.ErrUnknownTopic":     {log.ErrUnknownTopic, AskOperator, "TOPIC_MISSING"},
	"log.ErrTopicConfig":      {log.ErrTopicConfig, AskOperator, "TOPIC_SETTINGS"},
	"log.ErrSizeBound":        {log.ErrSizeBound, AskOperator, "TOPIC_SIZE_BOUND"},
	"log.ErrNotDurable":       {log.ErrNotDurable, AskOperator, "LOG_NOT_DURABLE"},
	"log.ErrBadPartition":     {log.ErrBadPartition, StopSource, ""},
	"log.ErrLogin":            {log.ErrLogin, AskOperator, "LOG_LOGIN"},
	"log.ErrForbidden":        {log.ErrForbidden, AskOperator, "LOG_ACL"},
}

// sentinels finds the exported error variables of a package.
func sentinels(t *testing.T, dir, name string) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil || strings.HasSuffix(f, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				if v, ok := s.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Err") {
					all = append(all, name+"."+v.Names[0].Name)
				}
			}
		}
	}
	return all
}

// TestEverySentinelHasAClass: no error is decided by chance.
func TestEverySentinelHasAClass(t *testing.T) {
	all := append(sentinels(t, ".", "capture"), sentinels(t, "../stream/log", "log")...)
	if len(all) != len(class) {
		t.Errorf("%d sentinels, %d classes", len(all), len(class))
	}
	for _, name := range all {
		want, ok := class[name]
		if !ok {
			t.Errorf("%s has no class", name)
			continue
		}
		err := fmt.Errorf("at some place: %w: more", want.err)
		if got := ActionOf(err); got != want.action {
			t.Errorf("%s: action %d, want %d", name, got, want.action)
		}
		if code, _ := CodeOf(err); code != want.code {
			t.Errorf("%s: code %q, want %q", name, code, want.code)
		}
	}
}

func TestUnknownStops(t *testing.T) {
	err := errors.New("never seen")
	if got := ActionOf(err); got != StopSource {
		t.Errorf("action %d, want StopSource", got)
	}
	if code, hint := CodeOf(err); code != "" || hint != "" {
		t.Errorf("code %q, hint %q", code, hint)
	}
}

// TestNextEpoch: a later epoch is later, also where the clock was set back or stands still.
func TestNextEpoch(t *testing.T) {
	now := uint32(time.Now().Unix())
	if got := NextEpoch(7, 9); got < now {
		t.Errorf("after 9 comes %d, before now", got)
	}
	for _, last := range []uint32{now + 1_000_000, now + 1_000_001} {
		if got := NextEpoch(last-1, last); got != last+1 {
			t.Errorf("after %d, ahead of the clock, comes %d", last, got)
		}
	}
}

// TestGapWins: a gap stays one, whatever else came of it.
func TestGapWins(t *testing.T) {
	gap := &GapError{Code: "SLOT_LOST", Reason: "slot x doesn't exist", From: event.Position{Epoch: 1}}
	err := errors.Join(fmt.Errorf("write the gap record: %w", log.ErrUnavailable), gap)
	if ActionOf(err) != Gap {
		t.Errorf("action %d, want Gap", ActionOf(err))
	}
	if code, _ := CodeOf(err); code != "SLOT_LOST" {
		t.Errorf("code %q", code)
	}
	coded := &Coded{Code: "PG_SLOT", Hint: "drop it", Err: fmt.Errorf("create: %w", ErrConnection)}
	if code, hint := CodeOf(fmt.Errorf("start: %w", coded)); code != "PG_SLOT" || hint != "drop it" || ActionOf(coded) != Retry {
		t.Errorf("code %q, hint %q, action %d", code, hint, ActionOf(coded))
	}
	if text := coded.Error(); text != "create: source connection [PG_SLOT]" {
		t.Error(text)
	}
}
