package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// TestPageFree: an address that the page can't have is refused before anything starts.
func TestPageFree(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }() // only taken
	for address, want := range map[string]string{"127.0.0.1:0": "", "localhost:0": "", ln.Addr().String(): "PAGE=127.0.0.1:PORT", "0.0.0.0:8060": "loopback", ":8060": "loopback", "127.0.0.1": "loopback", "10.1.2.3:0": "loopback"} {
		if err := pageFree(address); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

// TestInsertRunsHere: the command that is printed can run: by a client that starts, else
// by this program.
func TestInsertRunsHere(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	s := &system{o: options{dir: "/data"}, servers: []*local.Server{{Dir: dir, Port: 4711}, {Dir: dir}}}
	if command, table, _ := s.insert(); !strings.Contains(command, " -dir /data -port 4711 -insert 9") || table != "class" {
		t.Errorf("without a client: %s", command)
	}
	write := func(name, exit string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexit "+exit+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("mariadb", "127") // a library is missing
	write("psql", "0")
	if command, table, _ := s.insert(); !strings.Contains(command, " psql ") || table != "teacher" {
		t.Errorf("with psql only: %s", command)
	}
	write("mariadb", "0")
	if command, table, _ := s.insert(); !strings.Contains(command, " mariadb ") || table != "class" {
		t.Errorf("with mariadb: %s", command)
	}
}
