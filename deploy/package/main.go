// Command package makes a Debian package of a program that is compiled already: its
// units, man pages, completions, examples, handbook and licences. It decides what lies
// where on the machine; nfpm decides what the package's bytes are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// options are the command line.
type options struct {
	root    string // the project's folder
	program string // what is packed
	asks    string // the same program for this machine: help and examples come from it
	arch    string // as Go names it: amd64 or arm64
	version string // begins with a digit
	out     string // the folder for the package
}

func main() {
	var o options
	flag.StringVar(&o.root, "root", ".", "the project's folder")
	flag.StringVar(&o.program, "program", "", "the program that is packed")
	flag.StringVar(&o.asks, "asks", "", "the same program for this machine, which tells its help and examples (default: the one that is packed)")
	flag.StringVar(&o.arch, "arch", "amd64", "what the program runs on: amd64 or arm64")
	flag.StringVar(&o.version, "version", "", "of the package; begins with a digit")
	flag.StringVar(&o.out, "out", "dist", "folder for the package")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	name, err := build(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
	fmt.Println(name)
}

// build makes the package and gives its file's name.
func build(ctx context.Context, o options) (name string, err error) {
	if o.asks == "" {
		o.asks = o.program
	}
	for _, path := range []*string{&o.root, &o.program, &o.asks, &o.out} {
		if *path, err = filepath.Abs(*path); err != nil {
			return "", err
		}
	}
	work, err := os.MkdirTemp("", "tributary-package-")
	if err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	if err := lay(ctx, o, filepath.Join(work, "tree")); err != nil {
		return "", err
	}
	if err := os.CopyFS(filepath.Join(work, "scripts"), os.DirFS(filepath.Join(o.root, "deploy/package/scripts"))); err != nil {
		return "", fmt.Errorf("copy the scripts: %w", err)
	}
	name = filepath.Join(o.out, fmt.Sprintf("tributary_%s_%s.deb", o.version, o.arch))
	nfpm, err := tool(ctx, o.root)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, nfpm, "package", "--packager", "deb", "--config", filepath.Join(o.root, "deploy/package/nfpm.yaml"), "--target", name)
	cmd.Dir, cmd.Env = work, append(os.Environ(), "ARCH="+o.arch, "VERSION="+o.version)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("nfpm: %w\n%s", err, out)
	}
	return name, nil
}

// tool compiles nfpm, whose version stands in a module file of its own: its many
// dependencies are none of the product's.
func tool(ctx context.Context, root string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", "-modfile="+filepath.Join(root, "deploy/package/nfpm.mod"), "nfpm")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("compile nfpm: %w%s", err, words(err))
	}
	return string(trimmed(out)), nil
}
