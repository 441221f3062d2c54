package clients

import (
	"context"
	"crypto/sha256"
	_ "embed" // the pinned packages
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

//go:embed requirements.txt
var requirements []byte

// python gives an interpreter that has the pinned packages, from an environment in
// the user's cache that is made once. Without Python on the machine, or without
// PyPI, the test fails in CI and is skipped elsewhere.
func python(t *testing.T) string {
	t.Helper()
	bin, err := environment(t.Context())
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("NOT RUN, no independent client: %v", err)
	}
	return bin
}

// environment makes the virtual environment, or finds it.
func environment(ctx context.Context) (string, error) {
	base, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("no python3: install it with venv (Debian: apt-get install python3 python3-venv): %w", err)
	}
	version, err := exec.CommandContext(ctx, base, "-c", "import sys; print(sys.version, sys.base_prefix)").Output()
	if err != nil {
		return "", fmt.Errorf("ask python3 for its version: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache for Python's packages: %w", err)
	}
	sum := sha256.Sum256(append(version, requirements...))
	dir := filepath.Join(cache, "tributary", "python-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make the cache for Python's packages: %w", err)
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("lock the cache for Python's packages: %w", err)
	}
	defer func() { _ = lock.Close() }() // which frees it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the cache for Python's packages: %w", err)
	}
	bin, pins := filepath.Join(dir, "bin", "python"), filepath.Join(dir, "requirements.txt")
	if _, err := os.Stat(pins); err == nil { // written last: it is whole
		return bin, nil
	}
	return bin, install(ctx, base, dir, pins)
}

// install makes the environment anew.
func install(ctx context.Context, base, dir, pins string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, base, "-m", "venv", "--clear", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("python3 -m venv (Debian: apt-get install python3-venv): %w\n%s", err, out)
	}
	fresh := pins + ".new"
	if err := os.WriteFile(fresh, requirements, 0o600); err != nil {
		return fmt.Errorf("write the list of packages: %w", err)
	}
	pip := exec.CommandContext(ctx, filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", "-r", fresh)
	if out, err := pip.CombinedOutput(); err != nil {
		return fmt.Errorf("pip install: %w\n%s", err, out)
	}
	return os.Rename(fresh, pins)
}
