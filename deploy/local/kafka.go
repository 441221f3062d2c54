package local

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// KafkaOptions says where a broker lives and how it is set.
type KafkaOptions struct {
	// Dir is the broker's own folder. It is made if it isn't there, and used again if it is.
	Dir string
	// Settings are lines of server.properties; they replace the defaults of the same name.
	Settings map[string]string
	// Secure opens a second listener; nil for none.
	Secure *KafkaSecure
}

// KafkaSecure is a listener with TLS for users of SCRAM. The first listener stays open, for
// the administrator: who comes by it may do everything, others what ACLs allow.
type KafkaSecure struct {
	// CertFile, KeyFile and CAFile are in PEM, the key in PKCS #8.
	CertFile, KeyFile, CAFile string
	// ClientCertificates demands one of the authority from each client.
	ClientCertificates bool
}

// Kafka is one Apache Kafka broker that is its own controller (KRaft), on
// loopback. It runs as the present user and ends with the process that started it.
type Kafka struct {
	Addr    string // host:port, the same after each Restart
	Secure  string // host:port of the second listener, if it was asked for
	Version string
	Dir     string

	args []string

	mu     sync.Mutex
	proc   *os.Process
	exited chan struct{}
}

// StartKafka starts Apache Kafka and waits until it answers. Java 17 or newer
// must be on the machine, and Maven unless the jars are in the user's cache.
func StartKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, errors.New("no java on this machine: install Java 17 or newer (Debian: apt-get install default-jre-headless)")
	}
	jars, err := kafkaJars(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make Kafka's folder: %w", err)
	}
	ports, err := kafkaPorts(filepath.Join(o.Dir, "ports"))
	if err != nil {
		return nil, err
	}
	settings, err := kafkaConfig(o, ports)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(o.Dir, "server.properties")
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		return nil, fmt.Errorf("write Kafka's settings: %w", err)
	}
	classes := filepath.Join(jars, "*")
	if _, err := os.Stat(filepath.Join(o.Dir, "data", "meta.properties")); errors.Is(err, os.ErrNotExist) {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		id[0] &= 0x3f           // the text must not begin with a dash, which would be an option
		cmd := exec.CommandContext(ctx, java, "-cp", classes, "kafka.tools.StorageTool", "format", "--standalone",
			"-t", base64.RawURLEncoding.EncodeToString(id[:]), "-c", config)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("format Kafka's data folder: %w\n%s", err, out)
		}
	}
	k := &Kafka{Addr: net.JoinHostPort("127.0.0.1", ports[0]), Version: KafkaVersion, Dir: o.Dir,
		// Batches are up to a megabyte: with regions of twice that or less each is a humongous object
		// (JDK's "G1 tuning guide"), which costs the broker more than to copy it.
		args: []string{java, "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:G1HeapRegionSize=8m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classes, "kafka.Kafka", config}}
	if o.Secure != nil {
		k.Secure = net.JoinHostPort("127.0.0.1", ports[2])
	}
	return k, k.Start(ctx)
}

// kafkaPorts takes free ports for clients, the controller and the secure listener. They
// are kept in a file, because the data folder names the controller's.
func kafkaPorts(file string) (ports [3]string, err error) {
	if b, err := os.ReadFile(file); err == nil {
		if kept := strings.Fields(string(b)); len(kept) == len(ports) {
			return [3]string(kept), nil
		}
	}
	for i := range ports {
		p, err := FreePort()
		if err != nil {
			return ports, err
		}
		ports[i] = strconv.Itoa(int(p))
	}
	if err := os.WriteFile(file, []byte(strings.Join(ports[:], " ")+"\n"), 0o600); err != nil {
		return ports, fmt.Errorf("keep Kafka's ports: %w", err)
	}
	return ports, nil
}

func kafkaConfig(o KafkaOptions, ports [3]string) (string, error) {
	client, controller := ports[0], ports[1]
	all := map[string]string{
		"process.roles": "broker,controller", "node.id": "1",
		"controller.quorum.bootstrap.servers":              "127.0.0.1:" + controller,
		"listeners":                                        "PLAINTEXT://127.0.0.1:" + client + ",CONTROLLER://127.0.0.1:" + controller,
		"advertised.listeners":                             "PLAINTEXT://127.0.0.1:" + client,
		"controller.listener.names":                        "CONTROLLER",
		"listener.security.protocol.map":                   "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"log.dirs":                                         filepath.Join(o.Dir, "data"),
		"auto.create.topics.enable":                        "false",
		"socket.receive.buffer.bytes":                      "-1", // the system's own, which grows: a batch doesn't fit into Kafka's 100 KiB
		"offsets.topic.replication.factor":                 "1",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "5",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"group.initial.rebalance.delay.ms":                 "0",
	}
	if o.Secure != nil {
		if err := o.Secure.settings(all, ports[2]); err != nil {
			return "", err
		}
	}
	maps.Copy(all, o.Settings)
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(k + "=" + all[k] + "\n")
	}
	return b.String(), nil
}

// Start starts the broker again after Stop or Kill and waits until it answers.
func (k *Kafka) Start(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.proc != nil {
		return errors.New("the broker runs already")
	}
	logfile := filepath.Join(k.Dir, "server.log")
	out, err := os.OpenFile(logfile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open Kafka's log: %w", err)
	}
	cmd := exec.Command(k.args[0], k.args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = k.Dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		// Pdeathsig comes when the thread ends that started the child, so that thread waits for it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended stands in its log
		}
		_ = out.Close()
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start Kafka: %w", err)
	}
	k.proc, k.exited = cmd.Process, exited
	if err := k.await(ctx); err != nil {
		_ = k.proc.Kill()
		<-exited
		k.proc = nil
		return fmt.Errorf("kafka on %s: %w\n%s", k.Addr, err, tail(logfile))
	}
	return nil
}

// await asks for metadata until the broker is registered.
func (k *Kafka) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	transport := &kafkago.Transport{DialTimeout: time.Second}
	defer transport.CloseIdleConnections()
	c := &kafkago.Client{Addr: kafkago.TCP(k.Addr), Transport: transport, Timeout: 2 * time.Second}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		res, err := c.Metadata(ctx, &kafkago.MetadataRequest{})
		if err == nil && len(res.Brokers) > 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-k.exited:
			return errors.New("the broker has ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// PID is the broker's process id, 0 if it doesn't run.
func (k *Kafka) PID() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.proc == nil {
		return 0
	}
	return k.proc.Pid
}

// Stop ends the broker in good order. It is safe to call twice.
func (k *Kafka) Stop(ctx context.Context) error { return k.end(ctx, syscall.SIGTERM) }

// Kill ends the broker with SIGKILL, as a power cut would.
func (k *Kafka) Kill() error { return k.end(context.Background(), syscall.SIGKILL) }

// Restart stops the broker, if it runs, and starts it on the same address.
func (k *Kafka) Restart(ctx context.Context) error {
	if err := k.Stop(ctx); err != nil {
		return err
	}
	return k.Start(ctx)
}

func (k *Kafka) end(ctx context.Context, sig syscall.Signal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.proc == nil {
		return nil
	}
	if err := k.proc.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end Kafka: %w", err)
	}
	select {
	case <-k.exited:
	case <-ctx.Done():
		_ = k.proc.Kill()
		<-k.exited
	}
	k.proc = nil
	return nil
}
