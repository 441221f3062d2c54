package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// roles have a unit, and a commented example in each language.
var roles = []string{"agent", "worker", "hub", "log", "registry"}

// languages are those of the texts, with man's name for them.
var languages = map[string]string{"en": "", "zh-CN": "zh_CN"}

// tree is the folder that will be the machine's root.
type tree struct {
	dir string
	ask string // the program that tells
}

// lay writes the package's files.
func lay(ctx context.Context, o options, dir string) error {
	t := tree{dir: dir, ask: o.asks}
	all := []error{
		t.copy(o.program, "usr/bin/tributary", 0o755),
		t.copy(filepath.Join(o.root, "deploy/package/copyright"), "usr/share/doc/tributary/copyright", 0o644),
		t.copy(filepath.Join(o.root, "CHANGELOG.md"), "usr/share/doc/tributary/CHANGELOG.md", 0o644),
	}
	for _, r := range roles {
		unit := "tributary-" + r + ".service"
		all = append(all, t.copy(filepath.Join(o.root, "deploy/systemd", unit), "usr/lib/systemd/system/"+unit, 0o644))
	}
	for _, pattern := range []string{"grafana/*.json", "prometheus/*.rules.yml"} {
		files, err := filepath.Glob(filepath.Join(o.root, "deploy", pattern))
		all = append(all, err)
		for _, f := range files {
			all = append(all, t.copy(f, filepath.Join("usr/share/doc/tributary", filepath.Dir(pattern), filepath.Base(f)), 0o644))
		}
	}
	for lang, man := range languages {
		pages, err := filepath.Glob(filepath.Join(o.root, "deploy/handbook", lang, "*.md"))
		all = append(all, err, t.examples(ctx, lang), t.manual(ctx, lang, man))
		for _, p := range pages {
			all = append(all, t.copy(p, filepath.Join("usr/share/doc/tributary/handbook", lang, filepath.Base(p)), 0o644))
		}
	}
	for shell, file := range map[string]string{"bash": "usr/share/bash-completion/completions/tributary", "zsh": "usr/share/zsh/vendor-completions/_tributary", "fish": "usr/share/fish/vendor_completions.d/tributary.fish"} {
		text, err := t.says(ctx, "completion", shell)
		all = append(all, err, t.write(file, text, 0o644))
	}
	notices, err := licences(ctx, o.root)
	return errors.Join(append(all, err, t.write("usr/share/doc/tributary/third-party-licences.txt", notices, 0o644))...)
}

// says gives what the program prints.
func (t tree) says(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, t.ask, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w%s", t.ask, strings.Join(args, " "), err, words(err))
	}
	return out, nil
}

func (t tree) write(name string, b []byte, mode os.FileMode) error {
	path := filepath.Join(t.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.WriteFile(path, b, mode); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Chmod(path, mode) // whatever the umask says
}

func (t tree) copy(from, name string, mode os.FileMode) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	return t.write(name, b, mode)
}

// examples writes the commented files of all roles.
func (t tree) examples(ctx context.Context, lang string) error {
	var all []error
	at := filepath.Join("usr/share/doc/tributary/examples", lang)
	for _, r := range roles {
		text, err := t.says(ctx, "config", "example", r, "--lang", lang)
		all = append(all, err, t.write(filepath.Join(at, r+".yml"), text, 0o644))
	}
	orgs, err := t.says(ctx, "org", "example", "--lang", lang)
	return errors.Join(append(all, err, t.write(filepath.Join(at, "orgs.csv"), orgs, 0o644))...)
}

// licenceFile is what modules call the texts that must go along.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|copyright|patents)`)

// licences joins the licences of the modules that are part of the program, and Go's.
func licences(ctx context.Context, root string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/tributary")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the program's modules: %w%s", err, words(err))
	}
	modules := strings.Fields(strings.ReplaceAll(string(out), " ", "@"))
	var pairs []string
	for i := 0; i+1 < len(modules); i += 2 {
		pairs = append(pairs, modules[i]+"\t"+modules[i+1])
	}
	slices.Sort(pairs)
	env, err := exec.CommandContext(ctx, "go", "env", "-json", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return nil, fmt.Errorf("ask for Go's folder: %w", err)
	}
	var golang struct{ GOROOT, GOVERSION string }
	if err := json.Unmarshal(env, &golang); err != nil {
		return nil, fmt.Errorf("ask for Go's folder: %w", err)
	}
	var b bytes.Buffer
	for _, p := range append([]string{golang.GOVERSION + "\t" + golang.GOROOT}, slices.Compact(pairs)...) {
		name, dir, _ := strings.Cut(p, "\t")
		if err := notices(&b, name, dir); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// notices writes a module's licence files. One without any is an error: it can't go along.
func notices(out io.Writer, name, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("licence of %s: %w", name, err)
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("licence of %s: %w", name, err)
		}
		found = true
		if _, err := fmt.Fprintf(out, "==== %s: %s\n\n%s\n\n", name, e.Name(), trimmed(b)); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s has no licence file", name)
	}
	return nil
}

func trimmed(b []byte) []byte { return bytes.TrimSpace(b) }

// words is what a command has said on its way out.
func words(err error) string {
	if failed, ok := errors.AsType[*exec.ExitError](err); ok && len(failed.Stderr) > 0 {
		return "\n" + string(trimmed(failed.Stderr))
	}
	return ""
}
