package main

import (
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestPackage installs the package, an upgrade of it and its removal on a machine in a
// folder, whose own dpkg database, users and shell the scripts see.
func TestPackage(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("only root can install a package in a folder")
		}
		t.Skip("only root can install a package in a folder")
	}
	bin, out := program.Build(t), t.TempDir()
	if f, err := elf.Open(bin); err != nil {
		t.Fatal(err)
	} else if libs, err := f.ImportedLibraries(); err != nil || len(libs) > 0 || f.Close() != nil {
		t.Errorf("the program isn't static: %v, %v", libs, err)
	}
	packed := func(version string) string {
		name, err := build(t.Context(), options{root: "../..", program: bin, arch: "amd64", version: version, out: out})
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	root := machine(t)
	in := func(name string) string { return filepath.Join(root, name) }
	inside := func(args ...string) string { return text(t, "chroot", append([]string{root}, args...)...) }
	first := packed("1.0.0")
	text(t, "dpkg", "--root="+root, "--install", first)
	servers.Ran(t, "%s: %s installed in a folder", strings.SplitN(text(t, "dpkg", "--version"), "\n", 2)[0], filepath.Base(first))
	user := regexp.MustCompile(`(?m)^tributary:x:(\d+):(\d+):[^:]*:/var/lib/tributary:/usr/sbin/nologin$`).FindStringSubmatch(read(t, in("etc/passwd")))
	if user == nil {
		t.Fatalf("no user: %s", read(t, in("etc/passwd")))
	}
	owned(t, in("etc/tributary"), "drwxr-x--- 0:"+user[2])
	owned(t, in("var/lib/tributary"), "drwxr-x--- "+user[1]+":"+user[2])
	if got := inside("tributary", "version", "--lang", "en"); !strings.HasPrefix(got, "tributary ") {
		t.Errorf("version: %s", got)
	}
	for _, role := range roles { // what the example's reader does first
		for lang := range languages {
			inside("tributary", "config", "check", role, "/usr/share/doc/tributary/examples/"+lang+"/"+role+".yml")
		}
	}
	for _, doc := range []string{"grafana/overview.json", "prometheus/tributary.rules.yml", "handbook/zh-CN/install.md", "CHANGELOG.md"} {
		owned(t, in("usr/share/doc/tributary/"+doc), "-rw-r--r-- 0:0")
	}
	t.Run("units", func(t *testing.T) { units(t, root) })
	t.Run("manual", func(t *testing.T) { manuals(t, root) })
	t.Run("licences", func(t *testing.T) {
		for _, want := range []string{"==== go1", "segmentio/kafka-go", "jackc/pgx", "Permission is hereby granted"} {
			if !strings.Contains(read(t, in("usr/share/doc/tributary/third-party-licences.txt")), want) {
				t.Errorf("the licences lack %q", want)
			}
		}
	})

	write(t, in("etc/tributary/agent.yml"), "the administrator's\n")
	if err := os.Chmod(in("etc/tributary"), 0o700); err != nil {
		t.Fatal(err)
	}
	called := running(t, root)
	text(t, "dpkg", "--root="+root, "--install", packed("1.1.0"))
	owned(t, in("etc/tributary"), "drwx------ 0:"+user[2])
	want := []string{"daemon-reload"}
	for _, r := range []string{"log", "registry", "worker", "agent", "hub"} {
		want = append(want, "try-restart tributary-"+r+".service")
	}
	if got := called(); got != strings.Join(want, "\n") {
		t.Errorf("the upgrade has called systemctl\n%s", got)
	}
	text(t, "dpkg", "--root="+root, "--remove", "tributary")
	if got := called(); !strings.HasPrefix(got, "disable --now tributary-hub.service tributary-agent.service") || !strings.HasSuffix(got, "\ndaemon-reload") {
		t.Errorf("the removal has called systemctl\n%s", got)
	}
	if _, err := os.Stat(in("usr/bin/tributary")); !os.IsNotExist(err) {
		t.Errorf("the program is still there: %v", err)
	}
	if said := text(t, "dpkg", "--root="+root, "--purge", "tributary"); !strings.Contains(said, "stay; remove them by hand") {
		t.Errorf("the purge says %q", said)
	}
	if got := read(t, in("etc/tributary/agent.yml")); got != "the administrator's\n" {
		t.Errorf("agent.yml: %q", got)
	}
}

// TestBuildsWithoutCgo: each package of the program has files for every architecture that
// is shipped. `make package` compiles them.
func TestBuildsWithoutCgo(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		cmd := exec.Command("go", "list", "-deps", "-e", "-f", "{{with .Error}}{{.}}{{end}}{{if .CgoFiles}}{{.ImportPath}} needs cgo{{end}}", "./cmd/tributary")
		cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if out, err := cmd.CombinedOutput(); err != nil || len(trimmed(out)) > 0 {
			t.Errorf("%s: %v\n%s", arch, err, out)
		}
	}
}

// running makes the machine look as if systemd ran, with a systemctl that writes down
// how it is called. It gives what was called since the last question.
func running(t *testing.T, root string) func() string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, "run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	calls, tool := filepath.Join(root, "tmp/calls"), filepath.Join(root, "usr/bin/systemctl")
	write(t, tool, "#!/bin/sh\necho \"$*\" >>/tmp/calls\n")
	if err := os.Chmod(tool, 0o755); err != nil {
		t.Fatal(err)
	}
	return func() string {
		got := read(t, calls)
		write(t, calls, "")
		return strings.TrimSpace(got)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// owned checks mode and numbers of owner and group.
func owned(t *testing.T, name, want string) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	s := info.Sys().(*syscall.Stat_t) // as on every Unix
	if got := fmt.Sprintf("%s %d:%d", info.Mode(), s.Uid, s.Gid); got != want {
		t.Errorf("%s: %s, want %s", name, got, want)
	}
}

// manuals: the pages tell every command, and hold nothing that man takes for its own.
func manuals(t *testing.T, root string) {
	for lang, man := range languages {
		f, err := os.Open(filepath.Join(root, "usr/share/man", man, "man1/tributary.1.gz"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }() // read only
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"\n.SS tributary agent\n", "\n.SS tributary table reread\n", `\-\-where\-key`, "/etc/tributary/ROLE.yml"} {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s: the manual lacks %q", lang, want)
			}
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, ".") && !regexp.MustCompile(`^\.(TH|SH|SS|TP|B|I|BR|nf|fi)\b`).MatchString(line) {
				t.Errorf("%s: man would take this for a request: %q", lang, line)
			}
		}
	}
}

// units: systemd finds nothing wrong with them, and rates their exposure below 2.0.
func units(t *testing.T, root string) {
	tool := "systemd-analyze"
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = "tributary-" + r + ".service"
	}
	if said := text(t, tool, append([]string{"verify", "--man=no", "--root=" + root}, names...)...); said != "" {
		t.Errorf("verify: %s", said)
	}
	block := ""
	for _, n := range names {
		unit := filepath.Join("../systemd", n)
		said := text(t, tool, "security", "--offline=true", "--no-pager", "--threshold=19", unit)
		lines := strings.Split(said, "\n")
		servers.Ran(t, "%s: %s", strings.SplitN(text(t, tool, "--version"), "\n", 2)[0], strings.TrimSpace(strings.TrimPrefix(lines[len(lines)-1], "→")))
		_, hardening, ok := strings.Cut(read(t, unit), "\nCapabilityBoundingSet=")
		if hardening, _, _ = strings.Cut(hardening, "\n[Install]"); !ok || block != "" && hardening != block {
			t.Errorf("%s isn't hardened as the others are", n)
		}
		block = hardening
	}
}
