package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
)

// TestPausedIsRemembered: the order stands in the agent's folder, with the moment of the first
// one, and the status says it as a state that is nobody's alarm.
func TestPausedIsRemembered(t *testing.T) {
	h, at := &home{dir: t.TempDir()}, time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)
	if err := newPauses(h, &guards{}, nil, slog.New(slog.DiscardHandler)).keep("330106-xueji", at); err != nil {
		t.Fatal(err)
	}
	p := newPauses(h, &guards{}, nil, slog.New(slog.DiscardHandler))
	for source, want := range map[string]bool{"330106-xueji": true, "330106-renshi": false} {
		if was, err := p.recall(source, time.Time{}); err != nil || was != want {
			t.Errorf("%s: paused %t, %v; want %t", source, was, err, want)
		}
	}
	all := p.over([]pipeline.Status{{Source: "330106-xueji", State: pipeline.Paused}, {Source: "330106-renshi", State: pipeline.Streaming}})
	if all[0].Code != "SOURCE_PAUSED" || all[0].Error != "paused at "+moment(at) || all[1].Code != "" {
		t.Errorf("%+v", all)
	}
	if r := (report{Sources: all}); !r.well() || agentReady(all) != nil {
		t.Error("a source that a person has paused is a trouble")
	}
}

// TestPausedWords: the answer says until when it is safe, and what comes then.
func TestPausedWords(t *testing.T) {
	at := time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)
	for lang, wants := range map[language][4]string{
		english: {"resumed; ", "nothing bounds how long", "then the fuse (fuse.age)", "what has not been read (binlog_expire_logs_seconds)"},
		chinese: {"已恢复", "没有时间限制", "此后触发 fuse（fuse.age）", "尚未读取的内容（binlog_expire_logs_seconds）"},
	} {
		for n, p := range []paused{{}, {At: at}, {At: at, SafeUntil: at.Add(4 * time.Hour), SafeBy: "fuse.age"}, {At: at, SafeUntil: at.Add(4 * time.Hour), SafeBy: "binlog_expire_logs_seconds"}} {
			got := p.words(texts[lang])
			if !strings.Contains(got, wants[n]) || n > 1 && !strings.Contains(got, moment(p.SafeUntil)) {
				t.Errorf("language %v: %q, want %q", lang, got, wants[n])
			}
		}
		if what, do := codes.Explain("SOURCE_PAUSED", lang); what == "" || do == "" {
			t.Errorf("language %v: the code isn't explained", lang)
		}
	}
}

// TestPausedByTheHub: a source rests from its start on if the hub wants that, and the status
// says who has paused it, with a code that is explained.
func TestPausedByTheHub(t *testing.T) {
	h, at, hub := &home{dir: t.TempDir()}, time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC), time.Date(2026, 9, 1, 11, 0, 0, 0, time.UTC)
	p := newPauses(h, &guards{}, nil, slog.New(slog.DiscardHandler))
	if err := p.keep("330106-both", at); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string][2]string{
		"330106-hub":  {"SOURCE_PAUSED_BY_HUB", "paused by the hub at " + moment(hub)},
		"330106-both": {"SOURCE_PAUSED_BY_HUB", "paused at " + moment(at) + " on its agent's machine, and by the hub at " + moment(hub)},
	} {
		if rests, err := p.recall(source, hub); err != nil || !rests {
			t.Errorf("%s: paused %t, %v", source, rests, err)
		}
		if s := p.over([]pipeline.Status{{Source: source, State: pipeline.Paused}})[0]; s.Code != want[0] || s.Error != want[1] {
			t.Errorf("%s: %s %s", source, s.Code, s.Error)
		}
		for _, lang := range []language{english, chinese} {
			if what, do := codes.Explain(want[0], lang); what == "" || do == "" {
				t.Errorf("%s isn't explained", want[0])
			}
			if got := (paused{HubAt: hub}).words(texts[lang]); !strings.Contains(got, moment(hub)) {
				t.Errorf("language %v: %q", lang, got)
			}
		}
	}
}
