package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// hints prints commands to try by hand. The passwords stay in their files.
func (s *system) hints(out io.Writer) {
	insert, table, key := s.insert()
	_, _ = fmt.Fprintf(out, `
页面 / page:
  http://%s/
手工插入一行 / insert a row by hand:
  %s
在省库查看它及其来源 / see it, with its stamp, in the province's store:
  %s trace %s %s %s
`, s.page, insert, quote(s.o.program), quote(filepath.Join(s.o.dir, "worker-province.yml")), table, key)
	s.joining(out)
	_, _ = fmt.Fprintln(out, "Ctrl-C 停止 / stops")
}

// insert gives a shell command that inserts a row at a source with the client that
// belongs to its server, else with one of the machine's, else with this program, and the
// row's table and key.
func (s *system) insert() (command, table, key string) {
	m, p := s.servers[0], s.servers[1]
	number := fmt.Sprint(900_000_000 + time.Now().Unix()%1_000_000)
	if client := client(m, "mariadb"); client != "" {
		return fmt.Sprintf(`MYSQL_PWD="$(cat %s)" %s --no-defaults -h 127.0.0.1 -P %d -u %s --default-character-set=utf8mb4 xueji -e "%s"`,
			quote(secret(m)), quote(client), m.Port, m.User, insertClass(number)), "class", number
	}
	if client := client(p, "psql"); client != "" {
		return fmt.Sprintf(`PGPASSWORD="$(cat %s)" %s -h 127.0.0.1 -p %d -U %s chengji -c "INSERT INTO teacher VALUES (%s, '手工', '2133000001')"`,
			quote(secret(p)), quote(client), p.Port, p.User, number), "teacher", number
	}
	self, err := os.Executable()
	if err != nil {
		self = "bin/demo"
	}
	return fmt.Sprintf("%s -dir %s -port %d -insert %s", quote(self), quote(s.o.dir), m.Port, number), "class", number
}

// client gives a client that can run here: the server's own, or one of the machine's.
// Fetched ones may lack a library.
func client(v *local.Server, name string) string {
	for _, path := range []string{v.Program(name), name} {
		if exec.Command(path, "--version").Run() == nil {
			return path
		}
	}
	return ""
}

// quote makes a text one word of a shell.
func quote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-+:@", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
