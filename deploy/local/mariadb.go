package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// socketName is relative to the data folder, where the server goes: a socket's path may
// have 107 bytes only, and one in a folder of everybody outlives a killed server.
const socketName = "socket"

// StartMariaDB starts MariaDB with a row-based binary log and full metadata.
func StartMariaDB(ctx context.Context, o Options) (*Server, error) {
	var program, install string
	base, err := o.programs(ctx, mariadbReleases, func() (err error) {
		const hint = "MariaDB's server (Debian: apt-get install mariadb-server)"
		if program, err = find("mariadbd", hint, "/usr/sbin/mariadbd", "/usr/local/sbin/mariadbd"); err == nil {
			install, err = find("mariadb-install-db", hint, "/usr/bin/mariadb-install-db")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	bin, where := filepath.Dir(install), []string(nil)
	if base != "" {
		bin, where = filepath.Join(base, "bin"), []string{"--basedir=" + base}
		program, install = first(bin, "mariadbd", "mysqld"), first(filepath.Join(base, "scripts"), "mariadb-install-db", "mysql_install_db")
	}
	password, fresh, err := prepare(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{Engine: "MariaDB", How: program, Host: "127.0.0.1", User: "root", Password: password, Dir: o.Dir, bin: bin, stop: syscall.SIGTERM}
	data := filepath.Join(o.Dir, "data")
	if fresh {
		args := append([]string{"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-name-resolve"}, where...)
		script, err := os.ReadFile(install)
		if err != nil {
			return nil, fmt.Errorf("read mariadb-install-db: %w", err)
		}
		if bytes.Contains(script, []byte("--skip-test-db")) { // old ones don't know it
			args = append(args, "--skip-test-db")
		}
		if err := setUp(ctx, o.Dir, install, args...); err != nil {
			return nil, err
		}
	}
	if s.Port, err = FreePort(); err != nil {
		return nil, err
	}
	// Nobody can come in before the passwords are set: the server runs this first.
	initial := filepath.Join(o.Dir, "init.sql")
	if err := s.writeInit(initial, s.firstStatements()); err != nil {
		return nil, err
	}
	// Without certificate releases from 11.4 on make a key of 4096 bits at each start: up to a
	// minute on a busy machine.
	s.args = []string{program, "--no-defaults", "--skip-ssl", "--datadir=" + data, "--port=" + strconv.Itoa(int(s.Port)), "--bind-address=127.0.0.1", "--skip-name-resolve",
		"--socket=" + socketName, "--pid-file=" + filepath.Join(o.Dir, "pid"), "--init-file=" + initial,
		"--log-bin=" + filepath.Join(data, "binlog"), "--binlog-format=ROW", "--loose-binlog-row-metadata=FULL", "--server-id=1", "--character-set-server=utf8mb4",
		"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=64M", "--key-buffer-size=1M", "--performance-schema=OFF"}
	s.args = append(s.args, where...)
	for k, v := range o.Settings {
		s.args = append(s.args, "--"+k+"="+v)
	}
	s.ready = s.pingMySQL
	return s, s.Start(ctx)
}

// firstStatements leave one administrator, with a password, and nobody else. Users
// stand in the table global_priv, before MariaDB 10.4 in user.
func (s *Server) firstStatements() string {
	return fmt.Sprintf("ALTER USER 'root'@'localhost' IDENTIFIED BY '%[1]s';\nCREATE OR REPLACE USER 'root'@'127.0.0.1' IDENTIFIED BY '%[1]s';\n"+
		"GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n"+
		"SET @users = IF((SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'global_priv') = 1, 'global_priv', 'user');\n"+
		"EXECUTE IMMEDIATE CONCAT('DELETE FROM mysql.', @users, ' WHERE User <> ''mariadb.sys'' AND NOT (User = ''root'' AND Host IN (''localhost'', ''127.0.0.1''))');\nFLUSH PRIVILEGES;\n", s.Password)
}

// first gives the path of the first of the names that lies in dir; programs have
// changed their names over time.
func first(dir string, names ...string) string {
	for _, n := range names {
		if p := filepath.Join(dir, n); exists(p) {
			return p
		}
	}
	return filepath.Join(dir, names[0])
}

func (s *Server) writeInit(file, sql string) error {
	if err := os.WriteFile(file, []byte(sql), 0o600); err != nil {
		return fmt.Errorf("write the first statements: %w", err)
	}
	cred, err := credential()
	if err != nil || cred == nil {
		return err
	}
	if err := os.Chown(file, int(cred.Uid), int(cred.Gid)); err != nil {
		return errors.Join(errors.New("give the first statements to the server's user"), err)
	}
	return nil
}
