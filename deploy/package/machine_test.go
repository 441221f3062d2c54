package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// machine makes a small Debian in a folder, of the files of this machine's own packages:
// what an installation needs, and systemd's units. It gives the folder.
func machine(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "dev", "run", "tmp", "var/lib/dpkg/info", "var/lib/dpkg/updates"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	packages := closure(t, "adduser", "base-passwd", "coreutils", "dash", "dpkg", "grep", "login", "perl-base")
	for _, p := range packages {
		lists, err := filepath.Glob("/var/lib/dpkg/info/" + p + "[.:]*list")
		if err != nil || len(lists) != 1 {
			t.Fatalf("%s has the lists %v, %v", p, lists, err)
		}
		take(t, lists[0], filepath.Join(root, lists[0]))
		for _, f := range strings.Split(strings.TrimSpace(read(t, lists[0])), "\n") {
			if !strings.HasPrefix(f, "/usr/share/doc") && !strings.HasPrefix(f, "/usr/share/man") && !strings.HasPrefix(f, "/usr/share/locale") {
				take(t, f, filepath.Join(root, f))
			}
		}
	}
	units, err := filepath.Glob("/usr/lib/systemd/system/*.*")
	if err != nil || len(units) == 0 {
		t.Fatalf("%d units of systemd, %v", len(units), err)
	}
	for _, u := range units {
		if info, err := os.Lstat(u); err == nil && info.Mode().IsRegular() {
			take(t, u, filepath.Join(root, u))
		}
	}
	for _, name := range []string{"passwd", "group"} {
		take(t, "/usr/share/base-passwd/"+name+".master", filepath.Join(root, "etc", name))
	}
	write(t, filepath.Join(root, "etc/shadow"), "")
	write(t, filepath.Join(root, "dev/null"), "")
	write(t, filepath.Join(root, "var/lib/dpkg/status"), known(t, packages))
	return root
}

// text gives what a command prints.
func text(t *testing.T, command string, args ...string) string {
	t.Helper()
	cmd := exec.Command(command, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin:"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", command, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// take copies a file, a link or a folder of this machine.
func take(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Lstat(from)
	if err != nil { // a package's file that this machine does without
		return
	}
	switch {
	case info.IsDir():
		err = os.MkdirAll(to, 0o755)
	case info.Mode()&os.ModeSymlink != 0:
		var target string
		if target, err = os.Readlink(from); err == nil {
			if err = os.Symlink(target, to); os.IsExist(err) {
				err = nil // bin, lib: made already
			}
		}
	default:
		var b []byte
		if b, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(to, b, info.Mode().Perm())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

var (
	alternatives = regexp.MustCompile(`\s*[,|]\s*`)
	bound        = regexp.MustCompile(`[ :(].*$`)
)

// closure gives the packages with all that they depend on, as far as installed here.
func closure(t *testing.T, packages ...string) []string {
	t.Helper()
	for i := 0; i < len(packages); i++ {
		for _, p := range alternatives.Split(text(t, "dpkg-query", "-W", "-f=${Depends}, ${Pre-Depends}\n", packages[i]), -1) {
			p = bound.ReplaceAllString(strings.TrimSpace(p), "")
			if p != "" && !slices.Contains(packages, p) && exec.Command("dpkg", "-L", p).Run() == nil {
				packages = append(packages, p)
			}
		}
	}
	return packages
}

// known gives the paragraphs of dpkg's database on packages.
func known(t *testing.T, packages []string) string {
	t.Helper()
	b, err := os.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, p := range strings.Split(string(b), "\n\n") {
		name, _, _ := strings.Cut(strings.TrimPrefix(p, "Package: "), "\n")
		if slices.Contains(packages, name) {
			out.WriteString(p + "\n\n")
		}
	}
	return out.String()
}
