package local

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
)

const mysqlHint = "MySQL's server (mysql-server; Debian 12 has MariaDB only)"

// mysqlTree is where MySQL comes from on a machine without it: no stable Debian has
// it, and its makers' own packages are not to be had everywhere.
var mysqlTree = Tree{Name: "debian-sid-mysql", Suite: "sid", Packages: []string{"mysql-server-core"}}

// StartMySQL starts MySQL with a row-based binary log, GTIDs and full metadata.
// A mysqld that belongs to MariaDB doesn't count: the two are not the same server.
func StartMySQL(ctx context.Context, o Options) (*Server, error) {
	mysqld, err := o.mysqld(ctx)
	if err != nil {
		return nil, err
	}
	program := slices.Index(mysqld, "--no-defaults") - 1
	password, fresh, err := prepare(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{Engine: "MySQL", How: mysqld[program], Host: "127.0.0.1", User: "root", Password: password, Dir: o.Dir, bin: filepath.Dir(mysqld[program]), stop: syscall.SIGTERM}
	data := filepath.Join(o.Dir, "data")
	initial := filepath.Join(o.Dir, "init.sql")
	sql := fmt.Sprintf("ALTER USER 'root'@'localhost' IDENTIFIED BY '%[1]s';\nCREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY '%[1]s';\n"+
		"GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n", password)
	if err := s.writeInit(initial, sql); err != nil {
		return nil, err
	}
	if fresh {
		// The init file runs inside, so the server never listens without a password.
		args := append(slices.Clone(mysqld[1:]), "--initialize-insecure", "--datadir="+data, "--init-file="+initial)
		if err := setUp(ctx, o.Dir, mysqld[0], args...); err != nil {
			return nil, err
		}
	}
	if s.Port, err = FreePort(); err != nil {
		return nil, err
	}
	s.args = append(mysqld, "--datadir="+data, "--port="+strconv.Itoa(int(s.Port)), "--bind-address=127.0.0.1", "--skip-name-resolve",
		"--socket="+socketName, "--pid-file="+filepath.Join(o.Dir, "pid"), "--mysqlx=OFF",
		"--log-bin="+filepath.Join(data, "binlog"), "--binlog-row-metadata=FULL", "--server-id=1", "--gtid-mode=ON", "--enforce-gtid-consistency=ON",
		"--character-set-server=utf8mb4", "--innodb-buffer-pool-size=64M", "--performance-schema=OFF")
	for k, v := range o.Settings {
		s.args = append(s.args, "--"+k+"="+v)
	}
	s.ready = s.pingMySQL
	return s, s.Start(ctx)
}

// mysqld gives the command line of MySQL's server up to --no-defaults and the folders
// of its files: the machine's, or the tree's.
func (o Options) mysqld(ctx context.Context) ([]string, error) {
	var program string
	find := func() (err error) { program, err = findMySQL(ctx); return err }
	if _, done, err := o.atHand(find); done {
		return []string{program, "--no-defaults"}, err
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("no MySQL on this machine, and it can be fetched for linux/amd64 only, this is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	tree, err := mysqlTree.Fetch(ctx, o.tell())
	if err != nil {
		return nil, fmt.Errorf("no MySQL at hand (install %s): %w", mysqlHint, err)
	}
	share := filepath.Join(tree, "usr", "share", "mysql")
	return append(loader(tree), filepath.Join(tree, "usr", "sbin", "mysqld"), "--no-defaults", "--basedir="+filepath.Join(tree, "usr"), "--lc-messages-dir="+share,
		"--character-sets-dir="+filepath.Join(share, "charsets"), "--plugin-dir="+filepath.Join(tree, "usr", "lib", "mysql", "plugin"), "--secure-file-priv=NULL"), nil
}

// findMySQL looks for a mysqld that isn't MariaDB's.
func findMySQL(ctx context.Context) (string, error) {
	program, err := find("mysqld", mysqlHint, "/usr/sbin/mysqld", "/usr/local/mysql/bin/mysqld")
	if err != nil {
		return "", err
	}
	version, err := exec.CommandContext(ctx, program, "--no-defaults", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", program, err)
	}
	if strings.Contains(string(version), "MariaDB") {
		return "", fmt.Errorf("no mysqld on this machine (%s is MariaDB's): install %s", program, mysqlHint)
	}
	return program, nil
}

// pingMySQL connects once, as the administrator.
func (s *Server) pingMySQL(ctx context.Context) error {
	c, err := client.ConnectWithContext(ctx, fmt.Sprintf("%s:%d", s.Host, s.Port), s.User, s.Password, "", 2*time.Second)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.Engine, err)
	}
	s.Version = strings.TrimPrefix(c.GetServerVersion(), "5.5.5-") // MariaDB says so for the sake of old clients
	return c.Close()
}
