package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/test/servers"
)

// TestAbortLeavesNoSegment: a system has only so many segments of shared memory.
func TestAbortLeavesNoSegment(t *testing.T) {
	const all = "/proc/sysvipc/shm" // sysvipc(7)
	db := servers.PostgresPrograms(t, nil)
	lock, err := os.ReadFile(filepath.Join(db.Server.Dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(lock), "\n")
	if len(lines) < 7 {
		t.Fatalf("%q has no segment", lock)
	}
	words := strings.Fields(lines[6]) // its key and id
	segment := words[len(words)-1]
	listed := func() bool {
		b, err := os.ReadFile(all)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[1] == segment {
				return true
			}
		}
		return false
	}
	if !listed() {
		t.Fatalf("segment %s isn't listed while the server runs", segment)
	}
	if err := db.Server.Abort(); err != nil {
		t.Fatal(err)
	}
	if listed() || db.Server.PID() != 0 {
		t.Errorf("segment %s is left", segment)
	}
}
