package local

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// NPMVariable names another npm registry than npm's own, e.g. a mirror.
const NPMVariable = "TRIBUTARY_NPM"

const npmRegistry = "https://registry.npmjs.org"

// Script is one file of an npm package that tests load into a page. Its archive is pinned.
type Script struct {
	Package, Version string
	SHA256           string // of the archive
	File             string // within the package
}

// Axe is axe-core (Deque Systems, MPL-2.0), which judges pages by WCAG. Tests fetch it; it is
// no part of the product.
var Axe = Script{Package: "axe-core", Version: "4.10.3", SHA256: "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292", File: "axe.min.js"}

// Fetch gives the script, from the cache or from npm's registry.
func (s Script) Fetch(ctx context.Context, tell func(string)) ([]byte, error) {
	name := "npm-" + s.Package + "-" + s.Version
	dir, err := cached(name, func(dir string) error {
		var archive bytes.Buffer
		p := pinned{name, s.Package + "/-/" + s.Package + "-" + s.Version + ".tgz", s.SHA256, NPMVariable, npmRegistry}
		if err := p.download(ctx, &archive, tell); err != nil {
			return err
		}
		text, err := fileOf(&archive, "package/"+s.File)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
		return os.WriteFile(filepath.Join(dir, path.Base(s.File)), text, 0o600)
	})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, path.Base(s.File)))
}

// fileOf gives a file of a compressed archive.
func fileOf(archive io.Reader, name string) ([]byte, error) {
	plain, err := gzip.NewReader(archive)
	if err != nil {
		return nil, err
	}
	for files := tar.NewReader(plain); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("it has no file %s", name)
		}
		if err != nil {
			return nil, err
		}
		if h.Name == name {
			return io.ReadAll(files)
		}
	}
}
