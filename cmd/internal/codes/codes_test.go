package codes

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/test/source"
)

// otherNames look like codes and are a server's or the system's own words, or kinds of anomalies.
var otherNames = map[string]bool{"GAP_NOT_REREAD": true, "NOEXPORT_SNAPSHOT": true, "ROW_MISSING": true, "ROW_OF_ANOTHER": true, "TOO_LARGE": true, "VALUE_NULLED": true,
	"AUTO_INCREMENT": true, "CREDENTIALS_DIRECTORY": true, "OFF_PERMISSIVE": true, "ON_PERMISSIVE": true, "SQL_ASCII": true, "SASL_PLAINTEXT": true, "SASL_SSL": true, "XA_RECOVER_ADMIN": true}

// TestEveryCodeIsExplained walks the sources for codes: each has a text in both
// languages, and no text explains what doesn't exist.
func TestEveryCodeIsExplained(t *testing.T) {
	shape := regexp.MustCompile(`^[A-Z]{2,}(_[A-Z0-9]+)+$`)
	found := map[string]bool{}
	for _, dir := range []string{"capture", "sinks", "stream", "cmd"} {
		err := source.Literals(filepath.Join("..", "..", "..", dir), func(path, text string) error {
			if shape.MatchString(text) && !otherNames[text] && !strings.Contains(path, "sinktest") && !strings.Contains(path, filepath.Join("internal", "codes")) {
				found[text] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 20 {
		t.Fatalf("only %d codes found: the walk is wrong", len(found))
	}
	for code := range found {
		for _, lang := range []language.Language{language.English, language.Chinese} {
			if what, do := Explain(code, lang); what == "" || do == "" {
				t.Errorf("code %s isn't explained in %s", code, lang.Tag())
			}
		}
	}
	for _, code := range All() {
		if !found[code] {
			t.Errorf("code %s doesn't exist", code)
		}
	}
}
