package local

import (
	"context"
	"crypto/sha256"
	_ "embed" // the pom and the checksums
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// KafkaVersion is the release of Apache Kafka that StartKafka runs.
const KafkaVersion = "4.3.1"

//go:embed kafka/pom.xml
var kafkaPOM []byte

//go:embed kafka/jars.sha256
var kafkaSums string

func kafkaJars(ctx context.Context) (string, error) {
	return JarSet{Name: "kafka-" + KafkaVersion, POM: kafkaPOM, Sums: kafkaSums}.Folder(ctx)
}

// JarSet is a Java program as Maven resolves it, pinned jar by jar.
type JarSet struct {
	Name string // of its folder in the user's cache, with the version
	POM  []byte // whose runtime dependencies are the jars
	Sums string // one "SHA-256  file" line per jar
}

// copyJars is the pinned goal that resolves a pom and copies its jars.
const copyJars = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

// Folder gives the folder of the jars. They are resolved by Maven once, checked
// against their sums each time, and kept in the user's cache.
func (j JarSet) Folder(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache for the jars of %s: %w", j.Name, err)
	}
	base := filepath.Join(cache, "tributary")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make the cache for the jars of %s: %w", j.Name, err)
	}
	dir := filepath.Join(base, j.Name)
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("lock the cache for the jars of %s: %w", j.Name, err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the cache for the jars of %s: %w", j.Name, err)
	}
	if verifyJars(dir, j.Sums) == nil {
		return dir, nil
	}
	return dir, j.resolve(ctx, base, dir)
}

// resolve lets Maven fill a folder of its own, which then takes dir's place.
func (j JarSet) resolve(ctx context.Context, base, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("the jars of %s aren't in %s and there is no mvn to resolve them: install Maven (Debian: apt-get install maven)", j.Name, dir)
	}
	fresh, err := os.MkdirTemp(base, "jars-")
	if err != nil {
		return fmt.Errorf("make a folder for the jars of %s: %w", j.Name, err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	pom, jars := filepath.Join(fresh, "pom.xml"), filepath.Join(fresh, "jars")
	if err := os.WriteFile(pom, j.POM, 0o600); err != nil {
		return fmt.Errorf("write the pom of %s: %w", j.Name, err)
	}
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "-f", pom, copyJars, "-DincludeScope=runtime", "-DoutputDirectory="+jars)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("resolve the jars of %s with Maven: %w\n%s", j.Name, err, out)
	}
	if err := verifyJars(jars, j.Sums); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("replace the jars of %s: %w", j.Name, err)
	}
	if err := os.Rename(jars, dir); err != nil {
		return fmt.Errorf("keep the jars of %s: %w", j.Name, err)
	}
	return nil
}

// verifyJars checks that dir holds exactly the files of the list.
func verifyJars(dir, sums string) error {
	want := strings.Split(strings.TrimSpace(sums), "\n")
	have, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list the jars: %w", err)
	}
	if len(have) != len(want) {
		return fmt.Errorf("%d jars in %s, wanted %d", len(have), dir, len(want))
	}
	for _, line := range want {
		sum, name, ok := strings.Cut(line, "  ")
		if !ok {
			return fmt.Errorf("line %q in the list of jars", line)
		}
		got, err := sumFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if got != sum {
			return fmt.Errorf("%s has SHA-256 %s, wanted %s", name, got, sum)
		}
	}
	return nil
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open a jar: %w", err)
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
