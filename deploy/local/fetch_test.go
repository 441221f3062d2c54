package local

import (
	"archive/tar"
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestFetchedServers starts the servers that a bare machine gets.
func TestFetchedServers(t *testing.T) {
	for name, f := range map[string]func(Options) (*Server, error){
		"postgres": func(o Options) (*Server, error) { return StartPostgres(t.Context(), o) },
		"mariadb":  func(o Options) (*Server, error) { return StartMariaDB(t.Context(), o) },
		"mysql":    func(o Options) (*Server, error) { return StartMySQL(t.Context(), o) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "tributary-fetched-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			s, err := f(Options{Dir: dir, Binaries: "fetch", Tell: func(line string) { t.Log(line) }})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s %s from %s", s.Engine, s.Version, s.How)
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFetchRefusesOtherBytes(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "absent.jar") {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("something else"))
	}))
	defer server.Close()
	t.Setenv(MavenVariable, server.URL)
	for file, want := range map[string]string{"a.jar": "SHA-256", "absent.jar": "404"} {
		var out bytes.Buffer
		err := serverPackage{name: "x", path: file, sha256: "00"}.download(t.Context(), &out, func(string) {})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
}

func TestArchivesStayInside(t *testing.T) {
	for _, h := range []tar.Header{
		{Name: "../up", Typeflag: tar.TypeReg}, {Name: "/root", Typeflag: tar.TypeReg},
		{Name: "a/link", Typeflag: tar.TypeSymlink, Linkname: "../../up"}, {Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc"},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := errors.Join(w.WriteHeader(&h), w.Close()); err != nil {
			t.Fatal(err)
		}
		if err := untar(&b, t.TempDir()); err == nil || !strings.Contains(err.Error(), "outside") {
			t.Errorf("%s -> %s: %v", h.Name, h.Linkname, err)
		}
	}
}

func TestUnknownBinaries(t *testing.T) {
	if _, err := StartPostgres(t.Context(), Options{Dir: t.TempDir(), Binaries: "guess"}); err == nil || !strings.Contains(err.Error(), "guess") {
		t.Errorf("binaries guess: %v", err)
	}
}
