package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Tree is a folder with packages of a Debian release and all that they depend on,
// unpacked and not configured. It needs apt-get and dpkg-deb, not root; apt checks
// the packages by the key of Debian's archive. Programs in it run by the tree's own
// loader (see loader), or in a container.
type Tree struct {
	Name     string // of the folder in the cache
	Suite    string // the release, e.g. "trixie"
	Packages []string
}

// DebianVariable names the environment variable with another mirror's address.
const DebianVariable = "TRIBUTARY_DEBIAN"

const (
	debianMirror  = "http://deb.debian.org/debian" // signed, so it may be plain
	debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// Fetch gives the tree's folder, and makes it first if it isn't in the cache. tell
// gets lines for people.
func (t Tree) Fetch(ctx context.Context, tell func(string)) (string, error) {
	return cached(t.Name, func(dir string) error {
		for _, program := range []string{"apt-get", "dpkg-deb"} {
			if _, err := exec.LookPath(program); err != nil {
				return fmt.Errorf("fetch %s: there is no %s; packages can be fetched on Debian only", t.Name, program)
			}
		}
		work, err := os.MkdirTemp("", "tributary-apt-")
		if err != nil {
			return fmt.Errorf("fetch %s: %w", t.Name, err)
		}
		return errors.Join(t.fill(ctx, work, dir, tell), os.RemoveAll(work))
	})
}

// fill downloads into work and unpacks into dir.
func (t Tree) fill(ctx context.Context, work, dir string, tell func(string)) error {
	if err := t.configure(work); err != nil {
		return fmt.Errorf("fetch %s: %w", t.Name, err)
	}
	run := func(program string, args ...string) error {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(work, "apt.conf"), "LC_ALL=C.UTF-8")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("fetch %s: %s %s: %w\n%s", t.Name, program, args[0], err, out)
		}
		return nil
	}
	tell(fmt.Sprintf("下载 / fetching %s: %s (Debian %s)", t.Name, strings.Join(t.Packages, " "), t.Suite))
	if err := run("apt-get", "update"); err != nil {
		return err
	}
	if err := run("apt-get", append([]string{"install", "--yes", "--download-only"}, t.Packages...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(work, "archives", "*.deb"))
	if err != nil {
		return fmt.Errorf("unpack %s: %w", t.Name, err)
	}
	tell(fmt.Sprintf("解压 / unpacking %s: %d packages", t.Name, len(debs)))
	for _, deb := range debs {
		if err := run("dpkg-deb", "--extract", deb, dir); err != nil {
			return err
		}
	}
	return nil
}

// configure makes an apt in work that knows nothing of this machine: all that the
// packages depend on counts as missing.
func (t Tree) configure(work string) error {
	mirror := os.Getenv(DebianVariable)
	if mirror == "" {
		mirror = debianMirror
	}
	for _, d := range []string{"lists/partial", "archives/partial", "preferences.d"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"status":       "",
		"sources.list": fmt.Sprintf("deb [signed-by=%s] %s %s main\n", debianKeyring, mirror, t.Suite),
		"apt.conf": fmt.Sprintf(`Dir %[1]q;
Dir::State %[1]q;
Dir::State::status "status";
Dir::Cache %[1]q;
Dir::Log %[1]q;
Dir::Etc %[1]q;
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourceparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
// A mirror may have been frozen long ago.
Acquire::Check-Valid-Until "false";
`, work),
	} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// loader gives the command line before a program of the tree, so that it runs with
// the tree's own C library on any machine.
func loader(tree string) []string {
	libs := filepath.Join(tree, "usr", "lib", "x86_64-linux-gnu")
	return []string{filepath.Join(libs, "ld-linux-x86-64.so.2"), "--library-path", libs}
}
