package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir); err == nil || !strings.Contains(err.Error(), "in use by another demo") {
		t.Errorf("a second demo: %v", err)
	}
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = lock(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the second demo doesn't start fresh: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}

	home := t.TempDir()
	letter := filepath.Join(home, "letter")
	if err := os.WriteFile(letter, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lock(home); err == nil || !strings.Contains(err.Error(), "nothing is deleted") {
		t.Errorf("a folder with other things: %v", err)
	}
	if b, err := os.ReadFile(letter); err != nil || string(b) != "dear" {
		t.Errorf("it was touched: %q, %v", b, err)
	}
}

func TestPagePortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	if err := pageFree(address); err == nil || !strings.Contains(err.Error(), address+" is in use") {
		t.Errorf("an address in use: %v", err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := pageFree(address); err != nil {
		t.Errorf("a free address: %v", err)
	}
}
