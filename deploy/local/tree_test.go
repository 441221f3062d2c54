package local

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTreeRefusesUnsigned has a mirror whose lists nobody signed, and expects nothing
// in the cache.
func TestTreeRefusesUnsigned(t *testing.T) {
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/Release"):
			_, _ = w.Write([]byte("Origin: Debian\nSuite: unstable\nCodename: sid\nComponents: main\nArchitectures: amd64\n"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer mirror.Close()
	t.Setenv(DebianVariable, mirror.URL)
	tree := Tree{Name: "test-unsigned", Suite: "sid", Packages: []string{"mysql-server-core"}}
	_, err := tree.Fetch(t.Context(), func(string) {})
	if err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("%v, want a refusal", err)
	}
	cache, err := serverCache()
	if err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(cache, tree.Name+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range left {
		if !strings.HasSuffix(l, ".lock") {
			t.Errorf("%s was left behind", l)
		}
		if err := os.RemoveAll(l); err != nil {
			t.Error(err)
		}
	}
}

func TestUnknownRelease(t *testing.T) {
	_, err := StartPostgres(t.Context(), Options{Dir: t.TempDir(), Release: "9.6"})
	if err == nil || !strings.Contains(err.Error(), "9.6") || !strings.Contains(err.Error(), "10.23") {
		t.Errorf("%v, want the releases there are", err)
	}
}
