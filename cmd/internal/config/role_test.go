package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestRoleOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yml")
	if _, err := RoleOf(file); !errors.Is(err, ErrInvalid) || Findings(err)[0].Code != codeFile {
		t.Errorf("no file: %v", err)
	}
	for text, want := range map[string]string{
		"":                                    "",
		"- name\n":                            "",
		"nonsense: 1\n":                       "",
		"data_dir: x\n":                       "log",
		"data_dir: x\nprot: 9092\n":           "log",
		"log: {}\norgs: []\nhttp: x\n":        "registry",
		"log: {}\norgs: []\nstore: {}\n":      "worker",
		"log: {}\norgs: []\nstores: []\n":     "hub",
		"name: a\nlog: {}\nsources: []\n":     "agent",
		"name: a\nlog: {}\nsuorces: []\n":     "agent",
		"name: a\norgs: []\nstroe: {}\n":      "worker",
		"sources: []\nsources: []\n":          "agent", // twice: for Decode to tell
		"name: [":                             "agent",
		"state: {}\ndata_dir: x\nnames: []\n": "hub",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := RoleOf(file); got != want || err != nil {
			t.Errorf("%q is %q's (%v), want %q", text, got, err, want)
		}
	}
}
