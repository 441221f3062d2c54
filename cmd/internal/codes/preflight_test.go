package codes

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// TestEveryFindingHasItsConsequence: what preflight can find is said in both languages,
// with what becomes of it, and nothing else is.
func TestEveryFindingHasItsConsequence(t *testing.T) {
	files, err := filepath.Glob("../../../capture/preflight/*.go")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	given := map[string]bool{"MYSQL_LOG_BIN": true, "MYSQL_BINLOG_FORMAT": true, "MYSQL_LOGIN": true, // the reader's own
		"TLS_CLIENT_CERTIFICATE": true, "TLS_EXPIRED": true, "TLS_FILE": true, "TLS_NAME": true, "TLS_REQUIRED": true, "TLS_UNSUPPORTED": true, "TLS_UNTRUSTED": true, "TLS_VERSION": true}
	code := regexp.MustCompile(`(?:Refuses|Harms|Advice|severity|Code:), "([A-Z_]+)"|Code: "([A-Z_]+)"`)
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllStringSubmatch(string(b), -1) {
			given[m[1]+m[2]] = true
		}
	}
	for c := range given {
		for _, lang := range []language.Language{language.English, language.Chinese} {
			if what, do := Explain(c, lang); what == "" || do == "" || Consequence(c, lang) == "" {
				t.Errorf("the finding %s lacks a text in %s", c, lang.Tag())
			}
		}
	}
	for c := range consequences {
		if !given[c] {
			t.Errorf("preflight never gives %s", c)
		}
	}
	if Consequence("LOG_CORRUPT", language.English) != "" {
		t.Error("a code of the log has a consequence")
	}
}
