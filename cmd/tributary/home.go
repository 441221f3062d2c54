package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// errInUse: another agent of this machine runs on the same folder.
var errInUse = errors.New("data_dir is in use by another agent")

// home is an agent's data folder, locked for this process. Its file "instance" holds
// the name by which the log tells this installation from others, and where it was
// given: a copy of the folder, elsewhere, is another installation.
type home struct {
	dir  string
	lock *os.File
	id   string
}

// openHome locks the folder and reads the instance's name, or makes one: at the
// first start, in a copied folder, and after forget.
func openHome(dir string) (*home, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, errInUse), lock.Close())
	}
	h := &home{dir: dir, lock: lock}
	if err := h.name(); err != nil {
		return nil, errors.Join(fmt.Errorf("data_dir: %w", err), lock.Close())
	}
	return h, nil
}

func (h *home) file() string { return filepath.Join(h.dir, "instance") }

func (h *home) name() error {
	b, err := os.ReadFile(h.file())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if id, where, ok := strings.Cut(strings.TrimSpace(string(b)), " "); ok && id != "" {
		here, err := h.where()
		if err != nil {
			return err
		}
		if h.id = id; where == here {
			return nil
		}
	}
	if err := h.forget(); err != nil {
		return err
	}
	f, err := os.OpenFile(h.file(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	where, err := h.where()
	if err == nil {
		h.id = rand.Text()[:12]
		_, err = fmt.Fprintln(f, h.id, where)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// where tells the file's place from that of a copy: the machine, as far as it has an
// id of its own, and the file's number there.
func (h *home) where() (string, error) {
	info, err := os.Stat(h.file())
	if err != nil {
		return "", err
	}
	machine, err := os.ReadFile("/etc/machine-id")
	if err != nil || len(machine) == 0 { // a container may have none
		machine = []byte("-")
	}
	inode := uint64(0)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	return fmt.Sprintf("%s/%d", strings.TrimSpace(string(machine)), inode), nil
}

// forget drops the name. Whoever was fenced gets a new one, so that a restart meets
// the newer agent's fresh records and stays down.
func (h *home) forget() error {
	if err := os.Remove(h.file()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Close frees the folder.
func (h *home) Close() error { return h.lock.Close() }
