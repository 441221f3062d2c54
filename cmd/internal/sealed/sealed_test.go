package sealed

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func key(t *testing.T) *Key {
	t.Helper()
	text, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := ReadKey(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSealed: what was sealed opens with the same key for the same source, and with nothing
// else; no byte of the file can be another.
func TestSealed(t *testing.T) {
	k := key(t)
	for _, password := range []string{"", " pass 口令\t'\"😀 ", strings.Repeat("x", 4096)} {
		text, err := k.Seal("xueji", password)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" && bytes.Contains(text, []byte(password)) {
			t.Errorf("%q stands in %q", password, text)
		}
		if got, err := k.Open("xueji", text); err != nil || got != password {
			t.Errorf("%q, %v; want %q", got, err, password)
		}
		if _, err := k.Open("renshi", text); !errors.Is(err, ErrDamaged) {
			t.Errorf("another source: %v", err)
		}
		if _, err := key(t).Open("xueji", text); !errors.Is(err, ErrOtherKey) {
			t.Errorf("another key: %v", err)
		}
	}
	text, err := k.Seal("xueji", "secret")
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.Seal("xueji", "secret")
	if err != nil || bytes.Equal(text, again) {
		t.Errorf("the same file twice, %v", err)
	}
	for n := range len(text) - 1 { // the last byte ends the line
		if got, err := k.Open("xueji", text[:n]); err == nil {
			t.Errorf("%d bytes give %q", n, got)
		}
		other := bytes.Clone(text)
		other[n] ^= 1
		if got, err := k.Open("xueji", other); err == nil {
			t.Errorf("byte %d changed gives %q", n, got)
		}
	}
}

// TestKey: a file that isn't a key's is refused, and a key isn't printed.
func TestKey(t *testing.T) {
	good, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"empty": "", "a password": "secret\n", "short": keyWord + " c2hvcnQ=\n", "not base64": keyWord + " ***\n", "cut off": string(good[:len(good)-4]), "another word": "x" + string(good)} {
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKey(file); !errors.Is(err, ErrKey) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadKey(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	k := key(t)
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(form, k); got != "a key" {
			t.Errorf("%s prints %q", form, got)
		}
	}
}

// TestCredentials: what systemd gives is found, and nothing else.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if got := Credentials(); got != "" {
		t.Error(got)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if got := Credentials(); got != "" {
		t.Error(got)
	}
	file := filepath.Join(dir, Credential)
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Credentials(); got != file {
		t.Error(got)
	}
}
