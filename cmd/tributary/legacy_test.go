package main

import (
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
)

// TestLegacyShows: who accepts old TLS for a source sees that in the status of the source,
// in his language, and nobody sees it of another.
func TestLegacyShows(t *testing.T) {
	c := &config.Agent{Org: "330106", Sources: []config.Source{{Name: "new"}, {Name: "old", TLS: config.TLS{Mode: "require", Legacy: true}}}}
	r := report{Role: "agent", Name: "a1", Legacy: legacy(c), Sources: []pipeline.Status{{Source: "330106-new"}, {Source: "330106-old"}}}
	for lang, words := range map[language]string{english: "accepts TLS 1.0 and 1.1", chinese: "允许对该数据源使用 TLS 1.0 与 1.1"} {
		var out strings.Builder
		if err := printStatus(&out, texts[lang], lang, []report{r}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if strings.Contains(line, "330106-") && strings.Contains(line, words) != strings.Contains(line, "330106-old") {
				t.Errorf("%s", line)
			}
		}
		if strings.Count(out.String(), words) != 1 {
			t.Errorf("%s", out.String())
		}
	}
}
