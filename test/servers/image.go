package servers

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// postgresTree holds what an image needs beside PostgreSQL: a shell, and the links
// from /bin to /usr/bin and the like.
var postgresTree = local.Tree{Name: "debian-trixie-postgresql", Suite: "trixie", Packages: []string{"base-files", "dash", "postgresql"}}

// needless are folders that a server doesn't need, a third of the packages.
var needless = []string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/perl", "usr/lib/x86_64-linux-gnu/perl"}

// postgresImage gives the name of an image that the engine has or can pull, and builds
// it if it is our own.
func postgresImage(ctx context.Context) (string, error) {
	p, err := engine()
	if err != nil {
		return "", err
	}
	if name := os.Getenv(ImageVariable); name != "" {
		return name, nil
	}
	name := "tributary-test:" + postgresTree.Name
	unlock, err := local.Lock("image")
	if err != nil {
		return "", err
	}
	_, err = p.Client().ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		err = build(ctx, p.Client(), name)
	}
	return name, errors.Join(err, unlock())
}

// build imports the tree as an image. It may have to be fetched first.
func build(ctx context.Context, c client.APIClient, name string) error {
	tree, err := postgresTree.Fetch(ctx, func(string) {})
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(pack(w, tree)) }() // the reader gets the error
	res, err := c.ImageImport(ctx, client.ImageImportSource{Source: r, SourceName: "-"}, name, client.ImageImportOptions{Message: "Debian's packages"})
	if err != nil {
		return fmt.Errorf("import %s: %w", name, errors.Join(err, r.Close()))
	}
	answer, err := io.ReadAll(res)
	if err = errors.Join(err, res.Close(), r.Close()); err != nil {
		return fmt.Errorf("import %s: %w", name, err)
	}
	if _, err := c.ImageInspect(ctx, name); err != nil {
		return fmt.Errorf("import %s: %w\n%s", name, err, answer)
	}
	return nil
}

// pack writes the tree as root's files, with what the packages' scripts would have
// made.
func pack(to io.Writer, tree string) error {
	w := tar.NewWriter(to)
	for _, f := range []struct {
		name, text string
		mode       fs.FileMode
	}{
		{"tmp", "", fs.ModeDir | fs.ModeSticky | 0o777},
		{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\npostgres:x:999:999:PostgreSQL:/tmp:/bin/sh\n", 0o644},
		{"etc/group", "root:x:0:\npostgres:x:999:\n", 0o644},
	} {
		if err := add(w, f.name, f.mode, "", int64(len(f.text)), strings.NewReader(f.text)); err != nil {
			return err
		}
	}
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(tree, path)
		if err != nil || name == "." || name == "tmp" {
			return err
		}
		for _, n := range needless {
			if name == n {
				return fs.SkipDir
			}
		}
		return addFile(w, name, path, d)
	})
	return errors.Join(err, w.Close())
}

func addFile(w *tar.Writer, name, path string, d fs.DirEntry) (err error) {
	info, err := d.Info()
	if err != nil {
		return err
	}
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return add(w, name, info.Mode(), target, 0, nil)
	case d.IsDir():
		return add(w, name, info.Mode(), "", 0, nil)
	case !d.Type().IsRegular():
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return add(w, name, info.Mode(), "", info.Size(), f)
}

// add writes one entry. It has no owner but root, and always the same time.
func add(w *tar.Writer, name string, mode fs.FileMode, target string, size int64, content io.Reader) error {
	h := tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: target, Mode: int64(mode.Perm()), Size: size, ModTime: time.Unix(0, 0)}
	switch {
	case mode.IsDir():
		h.Typeflag, h.Name, h.Size, content = tar.TypeDir, name+"/", 0, nil
	case mode&fs.ModeSymlink != 0:
		h.Typeflag, content = tar.TypeSymlink, nil
	}
	if mode&fs.ModeSticky != 0 {
		h.Mode |= 0o1000
	}
	if err := w.WriteHeader(&h); err != nil || content == nil {
		return err
	}
	_, err := io.Copy(w, content)
	return err
}
