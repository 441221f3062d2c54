package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerifyJars(t *testing.T) {
	const a = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a.jar\n" // "a"
	for name, tt := range map[string]struct {
		files map[string]string
		want  string // part of the error; empty for none
	}{
		"as listed": {files: map[string]string{"a.jar": "a"}},
		"altered":   {files: map[string]string{"a.jar": "b"}, want: "a.jar has SHA-256"},
		"missing":   {files: map[string]string{}, want: "0 jars"},
		"added":     {files: map[string]string{"a.jar": "a", "b.jar": "b"}, want: "2 jars"},
		"renamed":   {files: map[string]string{"b.jar": "a"}, want: "a.jar"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := verifyJars(dir, a)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
