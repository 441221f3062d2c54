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

// kafkaSums holds one "SHA-256  file" line per jar of the broker.
//
//go:embed kafka/jars.sha256
var kafkaSums string

// copyJars is the pinned goal that resolves a pom and copies its jars.
const copyJars = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

// kafkaJars gives the folder of the broker's jars. They are resolved by Maven
// once, checked against their sums each time, and kept in the user's cache.
func kafkaJars(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache for Kafka's jars: %w", err)
	}
	base := filepath.Join(cache, "tributary")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make the cache for Kafka's jars: %w", err)
	}
	dir := filepath.Join(base, "kafka-"+KafkaVersion)
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("lock the cache for Kafka's jars: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the cache for Kafka's jars: %w", err)
	}
	if verifyJars(dir, kafkaSums) == nil {
		return dir, nil
	}
	return dir, resolveJars(ctx, base, dir)
}

// resolveJars lets Maven fill a folder of its own, which then takes dir's place.
func resolveJars(ctx context.Context, base, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("kafka's jars aren't in %s and there is no mvn to resolve them: install Maven (Debian: apt-get install maven)", dir)
	}
	fresh, err := os.MkdirTemp(base, "kafka-")
	if err != nil {
		return fmt.Errorf("make a folder for Kafka's jars: %w", err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := os.WriteFile(filepath.Join(fresh, "pom.xml"), kafkaPOM, 0o600); err != nil {
		return fmt.Errorf("write Kafka's pom: %w", err)
	}
	jars := filepath.Join(fresh, "jars")
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "-f", filepath.Join(fresh, "pom.xml"), copyJars, "-DincludeScope=runtime", "-DoutputDirectory="+jars)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("resolve Kafka's jars with Maven: %w\n%s", err, out)
	}
	if err := verifyJars(jars, kafkaSums); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("replace Kafka's jars: %w", err)
	}
	if err := os.Rename(jars, dir); err != nil {
		return fmt.Errorf("keep Kafka's jars: %w", err)
	}
	return nil
}

// verifyJars checks that dir holds exactly the files of the list.
func verifyJars(dir, sums string) error {
	want := strings.Split(strings.TrimSpace(sums), "\n")
	have, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list Kafka's jars: %w", err)
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
