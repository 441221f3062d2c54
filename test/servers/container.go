package servers

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	containertypes "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/wait"
)

// Variable names the environment variable that says where PostgreSQL runs: in a
// "container", which must be possible then, or from "programs". Empty, a container
// is tried where a Docker engine answers.
const Variable = "TRIBUTARY_SERVERS"

// ImageVariable names the environment variable with the image of the container: any
// that has a shell, a user postgres and Debian's folders, as the official ones have.
// Empty, an image is built from Debian's packages.
const ImageVariable = "TRIBUTARY_POSTGRES_IMAGE"

const postgresPort = "5432/tcp"

// serve makes a data folder with a password and runs the server in it. The password
// leaves the environment before that.
const serve = `set -eu
set -- /usr/lib/postgresql/*/bin "$@"
bin=$1; shift
data=/tmp/data
printf %s "$PASSWORD" | "$bin/initdb" -D $data -U postgres -A scram-sha-256 --pwfile=/dev/stdin -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
unset PASSWORD
echo "host all,replication all all scram-sha-256" >>$data/pg_hba.conf
exec "$bin/postgres" -D $data -c listen_addresses=0.0.0.0 -c unix_socket_directories= "$@"`

// engine finds the Docker engine once.
var engine = sync.OnceValues(func() (*testcontainers.DockerProvider, error) {
	tclog.SetDefault(tclog.NewNoopLogger())
	p, err := testcontainers.NewDockerProvider()
	if err != nil {
		return nil, fmt.Errorf("find a Docker engine: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Health(ctx); err != nil {
		return nil, fmt.Errorf("ask the Docker engine: %w", err)
	}
	return p, nil
})

// container starts PostgreSQL in a container. It isn't ok if there is none to be had
// and none is demanded.
func container(t testing.TB, settings map[string]string) (DB, bool) {
	t.Helper()
	mode := os.Getenv(Variable)
	switch mode {
	case "", "container":
	case "programs":
		return DB{}, false
	default:
		t.Fatalf("%s=%q: container, programs, or empty for either", Variable, mode)
	}
	image, err := postgresImage(t.Context())
	if err != nil {
		if mode == "container" {
			t.Fatal(err)
		}
		t.Logf("no container: %v", err)
		return DB{}, false
	}
	return run(t, image, settings), true
}

// run starts the image on a free port of loopback.
func run(t testing.TB, image string, settings map[string]string) DB {
	t.Helper()
	args := []string{"-c", "fsync=off", "-c", "wal_level=logical", "-c", "max_wal_senders=20", "-c", "max_replication_slots=20", "-c", "wal_sender_timeout=30s"}
	for k, v := range settings {
		args = append(args, "-c", k+"="+v)
	}
	db := DB{Host: "127.0.0.1", User: "postgres", Password: rand.Text(), Database: "postgres"}
	loopback := network.PortMap{network.MustParsePort(postgresPort): {{HostIP: netip.MustParseAddr(db.Host)}}}
	c, err := testcontainers.Run(t.Context(), image,
		testcontainers.WithEntrypoint("/bin/sh", "-c", serve, "serve"), testcontainers.WithCmd(args...),
		testcontainers.WithEnv(map[string]string{"PASSWORD": db.Password}), testcontainers.WithExposedPorts(postgresPort),
		testcontainers.WithConfigModifier(func(c *containertypes.Config) { c.User = "postgres" }),
		testcontainers.WithHostConfigModifier(func(c *containertypes.HostConfig) { c.PortBindings = loopback }),
		testcontainers.WithWaitStrategyAndDeadline(time.Minute, wait.ForLog("ready to accept connections")))
	testcontainers.CleanupContainer(t, c, testcontainers.StopTimeout(0))
	if err != nil {
		t.Fatalf("run %s: %v\n%s", image, err, output(c))
	}
	port, err := c.MappedPort(t.Context(), postgresPort)
	if err != nil {
		t.Fatal(err)
	}
	db.Port = port.Num()
	conn, err := pgx.Connect(t.Context(), db.URL())
	if err != nil {
		t.Fatalf("connect to %s: %v\n%s", image, err, output(c))
	}
	Ran(t, "PostgreSQL %s in a container of %s", conn.PgConn().ParameterStatus("server_version"), image)
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return db
}

// output gives the last of what a container wrote.
func output(c *testcontainers.DockerContainer) string {
	if c == nil {
		return ""
	}
	r, err := c.Logs(context.Background())
	if err != nil {
		return err.Error()
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-10):], []byte("\n")))
}
