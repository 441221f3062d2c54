package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// memory is what outlasts the process.
type memory struct {
	Identity string      `json:"identity"` // of the server that the rest is about
	At       event.Place `json:"at"`       // up to where the source was read
	Since    time.Time   `json:"since"`    // when it came there
	// Met is a time at which everything before had been read: what has not been read was
	// written later.
	Met   time.Time `json:"met,omitzero"`
	Blown *blown    `json:"blown,omitempty"`
	Saved time.Time `json:"saved"`
}

// blown is the fuse's decision. It is written before anything is given up.
type blown struct {
	At  time.Time   `json:"at"`
	Why string      `json:"why"`
	To  event.Place `json:"to"` // where the server's log ended
}

func (b *blown) gap() *capture.GapError {
	return &capture.GapError{Code: gapFuse, To: b.To, Reason: fmt.Sprintf("at %s the fuse blew: %s", b.At.UTC().Format(time.RFC3339), b.Why)}
}

// recall reads the file; one that isn't there is a first start.
func recall(file string) (memory, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return memory{}, nil
	}
	if err != nil {
		return memory{}, fmt.Errorf("read what the guard remembers: %w", err)
	}
	var m memory
	if err := json.Unmarshal(b, &m); err != nil {
		return memory{}, fmt.Errorf("read what the guard remembers: %s: %w", file, err)
	}
	return m, nil
}

// save replaces the file. It is durable, whole or not there.
func (m *memory) save(file string) error {
	b, err := json.Marshal(m)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o700)
	}
	if err == nil {
		err = write(file+".new", b)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("keep what the guard remembers: %w", err)
	}
	return nil
}

func write(file string, b []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
