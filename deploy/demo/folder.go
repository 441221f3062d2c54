package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// mark is the file that says a folder is a demo's, and may be emptied by the next one.
const mark = ".tributary-demo"

// lock makes the folder anew, unless another demo uses it or it holds anything else.
func lock(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("目录属于别的用户 / the folder %s belongs to somebody else: give another one (make demo DIR=…)", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("目录正被另一个演示使用 / the folder %s is in use by another demo: end it, or give another one (make demo DIR=…)", dir), f.Close())
	}
	if err := empty(dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// empty makes the folder, or empties it if it is a demo's.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("data folder: %w", err)
	}
	if len(entries) > 0 {
		if _, err := os.Lstat(filepath.Join(dir, mark)); err != nil {
			return fmt.Errorf("目录非空且不是演示留下的 / the folder %s holds other things than a demo's: nothing is deleted, give another one (make demo DIR=…)", dir)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("empty the data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, mark), nil, 0o600); err != nil {
		return fmt.Errorf("mark the data folder: %w", err)
	}
	return nil
}
