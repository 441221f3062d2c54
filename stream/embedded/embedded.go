// Package embedded is a log in one process: a single broker that speaks the
// Kafka protocol on loopback and keeps its data in one folder, every batch
// synced before it is acknowledged. It is for the first run, tests and small
// sites; it has one node and no replicas. It knows nothing of what is stored.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Options says where the log listens and stores. Dir is required.
type Options struct {
	// Dir is the data folder. It is made if it doesn't exist, and locked.
	Dir string
	// Port on 127.0.0.1; 0 takes a free one.
	Port int
}

// ErrInUse reports a data folder that another process holds.
var ErrInUse = errors.New("data folder of the embedded log is in use by another process")

// Server is a running log.
type Server struct {
	cluster *kfake.Cluster
	lock    *os.File
	stop    *failStop
	ghosts  *ghosts
}

// Start opens the folder and listens. The caller closes the server.
func Start(o Options) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("embedded log options: Dir is empty")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder of the embedded log: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	if o.Port == 0 {
		if o.Port, err = freePort(); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
	}
	stop := newFailStop()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(o.Port), kfake.DataDir(filepath.Join(o.Dir, "log")), kfake.SyncWrites(),
		kfake.WithLogger(stop), kfake.ListenFn(stop.listen))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded log in %s on port %d: %w", o.Dir, o.Port, err), lock.Close())
	}
	s := &Server{cluster: cluster, lock: lock, stop: stop}
	s.ghosts = watchGroups(cluster, kafkago.TCP(s.Addr()))
	return s, nil
}

// lockDir takes the folder for this process; the kernel frees it when it dies.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the embedded log: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, ErrInUse), f.Close())
	}
	return f, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Addr is the broker's address, host:port.
func (s *Server) Addr() string { return s.cluster.ListenAddrs()[0] }

// Failed is closed when the folder can't be written any more. The log then
// answers nobody; Close tells why.
func (s *Server) Failed() <-chan struct{} { return s.stop.failed }

// Close writes what is open, frees the folder, and returns. Its error wraps
// ErrStorage if something could not be written.
func (s *Server) Close() error {
	s.ghosts.close()
	s.cluster.Close()
	return errors.Join(s.stop.cause(), s.lock.Close())
}
