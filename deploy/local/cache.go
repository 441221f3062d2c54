package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// serverCache is where fetched programs lie. Root's servers run as another user, who
// can't see root's home.
func serverCache() (string, error) {
	if os.Getuid() == 0 {
		return "/var/cache/tributary", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache: %w", err)
	}
	return filepath.Join(dir, "tributary"), nil
}

// Lock keeps other processes of the machine that take the same name waiting, until
// unlock is called.
func Lock(name string) (unlock func() error, err error) {
	cache, err := serverCache()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(cache, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the cache: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the cache: %w", err), lock.Close())
	}
	return lock.Close, nil
}

// cached gives the folder of a name in the cache. fill makes it first if it isn't
// there; only a whole one gets the name. Two processes that need it at once wait
// for each other.
func cached(name string, fill func(dir string) error) (dir string, err error) {
	cache, err := serverCache()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, name)
	unlock, err := Lock(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if _, err := os.Stat(dir); err == nil { // it is renamed there once it is whole
		return dir, nil
	}
	left, err := filepath.Glob(dir + "-*") // by processes that were killed: the lock is ours
	if err != nil {
		return "", fmt.Errorf("clean the cache: %w", err)
	}
	for _, l := range left {
		if err := os.RemoveAll(l); err != nil {
			return "", fmt.Errorf("clean the cache: %w", err)
		}
	}
	fresh, err := os.MkdirTemp(cache, name+"-*")
	if err != nil {
		return "", fmt.Errorf("fill the cache: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(fresh))
		}
	}()
	if err := fill(fresh); err != nil {
		return "", err
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return "", fmt.Errorf("fill the cache: %w", err)
	}
	return dir, os.Rename(fresh, dir)
}
