package servers

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestPack packs a tree that belongs to whoever unpacked it.
func TestPack(t *testing.T) {
	tree := t.TempDir()
	for name, mode := range map[string]fs.FileMode{"usr/bin/server": 0o755, "usr/share/doc/server/README": 0o644, "etc/server.conf": 0o640} {
		if err := os.MkdirAll(filepath.Join(tree, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("usr/bin", filepath.Join(tree, "bin")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := pack(&b, tree); err != nil {
		t.Fatal(err)
	}
	got := map[string]*tar.Header{}
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || got[h.Name] != nil {
			t.Errorf("%s belongs to %d:%d, or stands there twice", h.Name, h.Uid, h.Gid)
		}
		if content, err := io.ReadAll(r); err != nil || h.Name == "usr/bin/server" && string(content) != h.Name {
			t.Errorf("%s holds %q, %v", h.Name, content, err)
		}
		got[h.Name] = h
	}
	for name, want := range map[string]tar.Header{
		"usr/bin/server": {Typeflag: tar.TypeReg, Mode: 0o755}, "bin": {Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: "usr/bin"}, "etc/": {Typeflag: tar.TypeDir, Mode: 0o755},
		"etc/server.conf": {Typeflag: tar.TypeReg, Mode: 0o640}, "etc/passwd": {Typeflag: tar.TypeReg, Mode: 0o644}, "tmp/": {Typeflag: tar.TypeDir, Mode: 0o1777},
	} {
		if h := got[name]; h == nil || h.Typeflag != want.Typeflag || h.Mode != want.Mode || h.Linkname != want.Linkname {
			t.Errorf("%s is %+v, want %+v", name, h, want)
		}
	}
	if got["usr/share/doc/server/README"] != nil {
		t.Error("the image holds documentation")
	}
}
