package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// visit opens a folder and says under which name.
func visit(t *testing.T, dir string) string {
	t.Helper()
	h, err := openHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if len(h.id) != 12 {
		t.Errorf("the instance is called %q", h.id)
	}
	return h.id
}

func TestInstanceStaysAndCopiesDiffer(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "a"), t.TempDir()
	first := visit(t, dir)
	if again := visit(t, dir); again != first {
		t.Errorf("after a restart the instance is %s, was %s", again, first)
	}
	b, err := os.ReadFile(filepath.Join(dir, "instance"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "instance"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	copied := visit(t, other)
	if copied == first {
		t.Error("a copied data folder has the same name")
	}
	if again := visit(t, other); again != copied {
		t.Errorf("the copy is %s, was %s", again, copied)
	}
	for name, content := range map[string]string{"of an older version": first + "\n", "empty": "", "cut": first + " "} {
		if err := os.WriteFile(filepath.Join(dir, "instance"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if id := visit(t, dir); id == first {
			t.Errorf("a file %s gives the old name", name)
		}
	}
}

func TestForgottenInstanceIsAnother(t *testing.T) {
	dir := t.TempDir()
	h, err := openHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openHome(dir); !errors.Is(err, errInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second agent on the folder: %v, want errInUse", err)
	}
	if err := h.forget(); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if id := visit(t, dir); id == h.id {
		t.Error("after it was forgotten the instance has its old name")
	}
}
