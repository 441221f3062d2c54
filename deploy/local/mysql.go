package local

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
)

const mysqlHint = "MySQL's server (mysql-server; Debian 12 has MariaDB only)"

// StartMySQL starts MySQL with a row-based binary log, GTIDs and full metadata.
// A mysqld that belongs to MariaDB is refused: the two are not the same server.
func StartMySQL(ctx context.Context, o Options) (*Server, error) {
	program, err := find("mysqld", mysqlHint, "/usr/sbin/mysqld", "/usr/local/mysql/bin/mysqld")
	if err != nil {
		return nil, err
	}
	version, err := exec.CommandContext(ctx, program, "--no-defaults", "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	if strings.Contains(string(version), "MariaDB") {
		return nil, fmt.Errorf("no mysqld on this machine (%s is MariaDB's): install %s", program, mysqlHint)
	}
	password, fresh, err := prepare(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{Engine: "MySQL", How: program, Host: "127.0.0.1", User: "root", Password: password, Dir: o.Dir, bin: filepath.Dir(program), stop: syscall.SIGTERM}
	data := filepath.Join(o.Dir, "data")
	initial := filepath.Join(o.Dir, "init.sql")
	sql := fmt.Sprintf("ALTER USER 'root'@'localhost' IDENTIFIED BY '%[1]s';\nCREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY '%[1]s';\n"+
		"GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n", password)
	if err := s.writeInit(initial, sql); err != nil {
		return nil, err
	}
	if fresh {
		// The init file runs inside, so the server never listens without a password.
		cmd, err := command(o.Dir, program, "--no-defaults", "--initialize-insecure", "--datadir="+data, "--init-file="+initial)
		if err != nil {
			return nil, err
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("mysqld --initialize: %w\n%s", err, out)
		}
	}
	if s.Port, err = FreePort(); err != nil {
		return nil, err
	}
	s.args = []string{program, "--no-defaults", "--datadir=" + data, "--port=" + strconv.Itoa(int(s.Port)), "--bind-address=127.0.0.1", "--skip-name-resolve",
		"--socket=" + s.socket(), "--pid-file=" + filepath.Join(o.Dir, "pid"), "--mysqlx=OFF",
		"--log-bin=" + filepath.Join(data, "binlog"), "--binlog-row-metadata=FULL", "--server-id=1", "--gtid-mode=ON", "--enforce-gtid-consistency=ON",
		"--character-set-server=utf8mb4", "--innodb-buffer-pool-size=64M", "--performance-schema=OFF"}
	for k, v := range o.Settings {
		s.args = append(s.args, "--"+k+"="+v)
	}
	s.ready = s.pingMySQL
	return s, s.Start(ctx)
}

// pingMySQL connects once, as the administrator.
func (s *Server) pingMySQL(ctx context.Context) error {
	c, err := client.ConnectWithContext(ctx, fmt.Sprintf("%s:%d", s.Host, s.Port), s.User, s.Password, "", 2*time.Second)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.Engine, err)
	}
	s.Version = c.GetServerVersion()
	return c.Close()
}
