// Package peers runs Debezium on Kafka Connect, so that a benchmark can measure it
// on the same servers and rows. It decides how Debezium is set; it measures nothing.
package peers

import (
	"context"
	_ "embed" // the pom and the checksums
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// Version is the release of Debezium, and ConnectVersion that of Kafka Connect.
const (
	Version        = "3.5.0.Final"
	ConnectVersion = "4.3.1"
)

//go:embed pom.xml
var pom []byte

//go:embed jars.sha256
var sums string

// Connect is one standalone worker of Kafka Connect: a process of its own, with
// its REST interface on loopback.
type Connect struct {
	url  string
	proc local.Process
}

// workerConfig is what a standalone worker needs and the settings that are fair to
// it: large batches, lz4, no waiting.
func workerConfig(dir, broker string) map[string]string {
	return map[string]string{
		"bootstrap.servers": broker, "listeners": "http://127.0.0.1:0", "plugin.path": filepath.Join(dir, "plugins"),
		"offset.storage.file.filename": filepath.Join(dir, "offsets"), "offset.flush.interval.ms": "1000",
		"key.converter": jsonConverter, "key.converter.schemas.enable": "false",
		"value.converter": jsonConverter, "value.converter.schemas.enable": "false",
		"producer.linger.ms": "5", "producer.batch.size": "262144", "producer.compression.type": "lz4",
		"consumer.max.poll.records": "5000", "consumer.max.partition.fetch.bytes": "16777216",
	}
}

// Start starts a worker without connectors and waits for its REST interface. dir is
// the worker's own and must not be there yet; broker is Kafka's host:port.
func Start(ctx context.Context, dir, broker string) (*Connect, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, errors.New("no java on this machine: install Java 17 or newer (Debian: apt-get install default-jre-headless)")
	}
	jars, err := local.JarSet{Name: "debezium-" + Version, POM: pom, Sums: sums}.Folder(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "plugins"), 0o700); err != nil {
		return nil, fmt.Errorf("make Kafka Connect's folder: %w", err)
	}
	if err := os.Symlink(jars, filepath.Join(dir, "plugins", "debezium")); err != nil {
		return nil, fmt.Errorf("make Kafka Connect's plugin folder: %w", err)
	}
	file, config := filepath.Join(dir, "worker.properties"), workerConfig(dir, broker)
	var text strings.Builder
	for _, k := range slices.Sorted(maps.Keys(config)) {
		text.WriteString(k + "=" + config[k] + "\n")
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, fmt.Errorf("write Kafka Connect's settings: %w", err)
	}
	c := &Connect{proc: local.Process{Name: "Kafka Connect", Path: java, Out: filepath.Join(dir, "connect.log"),
		Args: []string{"-Xms512m", "-Xmx2g", "-XX:+UseG1GC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-cp", filepath.Join(jars, "*"),
			"org.apache.kafka.connect.cli.ConnectStandalone", file}}}
	if err := c.proc.Start(); err != nil {
		return nil, err
	}
	if c.url, err = c.Await(ctx, listening); err == nil {
		_, err = c.Await(ctx, ready)
	}
	if err != nil {
		return nil, errors.Join(err, c.End())
	}
	return c, nil
}

// Lines of the worker's log.
var (
	listening     = regexp.MustCompile(`REST server listening at (http://127\.0\.0\.1:\d+)`)
	ready         = regexp.MustCompile(`REST resources initialized; server is started and ready`)
	mariaReads    = regexp.MustCompile(`Keepalive thread is running`)
	postgresReads = regexp.MustCompile(`Processing messages`)
)

// Await waits, 2 minutes at most, until the worker's log has a line that matches
// and gives the first group, or all of the match where there is none.
func (c *Connect) Await(ctx context.Context, line *regexp.Regexp) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(c.proc.Out)
		if err != nil {
			return "", fmt.Errorf("read Kafka Connect's log: %w", err)
		}
		if m := line.FindSubmatch(b); m != nil {
			return string(m[len(m)-1]), nil
		}
		select {
		case <-tick.C:
		case <-c.proc.Done():
			return "", fmt.Errorf("kafka connect has ended, see %s", c.proc.Out)
		case <-ctx.Done():
			return "", fmt.Errorf("no line %q in %s: %w", line, c.proc.Out, ctx.Err())
		}
	}
}

// PID is the worker's process id.
func (c *Connect) PID() int { return c.proc.PID() }

// Log is the file of the worker's output.
func (c *Connect) Log() string { return c.proc.Out }

// End kills the worker, if it lives, and waits for its end. It keeps nothing that
// a later one could use.
func (c *Connect) End() error {
	if c.proc.Dead() {
		return nil
	}
	if err := c.proc.Signal(syscall.SIGKILL); err != nil && !c.proc.Dead() {
		return err
	}
	<-c.proc.Done()
	return nil
}
