package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// StartPostgres starts PostgreSQL with logical replication on.
func StartPostgres(ctx context.Context, o Options) (*Server, error) {
	var program string
	passwords := "scram-sha-256"
	if strings.HasPrefix(o.Release, "9.") { // it knows no SCRAM
		passwords = "md5"
	}
	fetched, err := o.programs(ctx, postgresReleases, func() (err error) {
		program, err = find("postgres", "PostgreSQL's server (Debian: apt-get install postgresql)", "/usr/lib/postgresql/*/bin/postgres", "/usr/pgsql-*/bin/postgres")
		return err
	})
	if err != nil {
		return nil, err
	}
	if fetched != "" {
		program = filepath.Join(fetched, "bin", "postgres")
	}
	password, fresh, err := prepare(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{Engine: "PostgreSQL", How: program, Host: "127.0.0.1", User: "postgres", Password: password, Dir: o.Dir, bin: filepath.Dir(program), stop: syscall.SIGINT, abort: syscall.SIGQUIT}
	data := filepath.Join(o.Dir, "data")
	if fresh {
		if err := setUp(ctx, o.Dir, s.Program("initdb"), "-D", data, "-U", s.User, "-A", passwords, "--pwfile="+filepath.Join(o.Dir, "password"), "-E", "UTF8", "-N"); err != nil {
			return nil, err
		}
	}
	if s.Port, err = FreePort(); err != nil {
		return nil, err
	}
	// No Unix socket: its path may be too long, and nothing here needs one.
	s.args = []string{program, "-D", data, "-p", strconv.Itoa(int(s.Port)), "-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1",
		"-c", "wal_level=logical", "-c", "max_wal_senders=20", "-c", "max_replication_slots=20", "-c", "wal_sender_timeout=30s"}
	for k, v := range o.Settings {
		s.args = append(s.args, "-c", k+"="+v)
	}
	s.ready = func(ctx context.Context) error {
		c, err := pgx.Connect(ctx, s.PostgresURL("postgres"))
		if err != nil {
			return err
		}
		s.Version = c.PgConn().ParameterStatus("server_version")
		return c.Close(ctx)
	}
	return s, s.Start(ctx)
}

// PostgresURL gives the address of a database for pgx. It holds the password:
// it is for connecting, never for printing.
func (s *Server) PostgresURL(database string) string {
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", s.User, s.Password, s.Host, s.Port, database)
}

// WriteSecret writes a password's file that only its owner can read.
func WriteSecret(file, password string) error {
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the password's file: %w", err)
	}
	return nil
}
