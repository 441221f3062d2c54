package main

import (
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
	if err := newPauses(h, &guards{}, nil).keep("330106-xueji", at); err != nil {
		t.Fatal(err)
	}
	p := newPauses(h, &guards{}, nil)
	for source, want := range map[string]bool{"330106-xueji": true, "330106-renshi": false} {
		if was, err := p.recall(source); err != nil || was != want {
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
