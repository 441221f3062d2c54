// Package registration walks the whole way of a registration, and of an alarm, as people go
// it: in a browser and by the program's own commands, in Chinese and in English.
package registration

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// patience is how long a busy machine may take for one step.
const patience = 90 * time.Second

// province is a hub, a log and a worker of the real program, with the servers that they
// need, and a district's server.
type province struct {
	*testing.T
	bin, dir string
	log      string // address of the broker
	hub      string // of the pages
	link     string // the administrator's
	store    *pgx.Conn
	source   servers.DB
	admin    *client.Conn // at the source
}

// tree are the orgs: a district for each language.
const tree = "code,parent,name,kind\n330000,,浙江省,province\n330100,330000,杭州市,city\n330106,330100,西湖区,district\n330108,330100,滨江区,district\n"

func newProvince(t *testing.T) *province {
	t.Helper()
	p := &province{T: t, bin: program.Build(t), dir: t.TempDir()}
	db := servers.Postgres(t, nil)
	p.source = servers.MariaDB(t, nil)
	p.admin = p.source.Connect(t, "")
	var err error
	if p.store, err = pgx.Connect(t.Context(), db.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.store.Close(t.Context()) }) // the server may be gone
	if _, err := p.store.Exec(t.Context(), "CREATE DATABASE hub"); err != nil {
		t.Fatal(err)
	}
	broker := program.Port(t)
	p.log = fmt.Sprintf("127.0.0.1:%d", broker)
	access := fmt.Sprintf("host: %s, port: %d, user: %s, password_env: %s, tls: {mode: none}", db.Host, db.Port, db.User, program.PasswordVariable)
	p.start("log", db.Password, "data_dir: %s\nport: %d\n", filepath.Join(p.dir, "log"), broker)
	hub := program.Write(t, filepath.Join(p.dir, "hub.yml"), "http: 127.0.0.1:%d\nagents: 127.0.0.1:%d\ndata_dir: %s\nlog: {brokers: [%q], embedded: true}\norgs: [\"330106\", \"330108\"]\npartitions: 1\nstate: {database: hub, %s}\nstores:\n  - {name: province, database: %s, schema: ods, %s}\nalarms: {after: 1s, calm: 3s}\n",
		program.Port(t), program.Port(t), filepath.Join(p.dir, "hub"), p.log, access, db.Database, access)
	t.Setenv(program.PasswordVariable, db.Password)
	p.run("en", "", "org", "import", program.Write(t, filepath.Join(p.dir, "orgs.csv"), "%s", tree), "--config", hub)
	h := &program.Process{Name: "hub", Args: []string{"hub", "--config", hub}}
	h.Start(t, p.bin, p.dir, db.Password)
	link := regexp.MustCompile(`(http://127\.0\.0\.1:\d+)/setup\?link=[A-Z0-9]+`)
	p.await("the administrator's link", func() bool {
		b, err := os.ReadFile(filepath.Join(p.dir, "hub.out"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		m := link.FindSubmatch(b)
		if m == nil {
			return false
		}
		p.link, p.hub = string(m[0]), string(m[1])
		return true
	})
	p.start("worker", db.Password, "name: province\norgs: [\"330106\", \"330108\"]\nlog: {brokers: [%q], embedded: true}\nstore: {name: province, database: %s, schema: ods, %s}\n", p.log, db.Database, access)
	return p
}

// start runs a program of the house as a process with a configuration.
func (p *province) start(role, secret, config string, args ...any) *program.Process {
	p.Helper()
	x := &program.Process{Name: role, Args: []string{role, "--config", program.Write(p, filepath.Join(p.dir, role+".yml"), config, args...)}}
	x.Start(p, p.bin, p.dir, secret)
	return x
}

// run runs a command that succeeds, with what somebody types, and gives what it says.
func (p *province) run(lang, typed string, args ...string) string {
	p.Helper()
	c := exec.CommandContext(p.Context(), p.bin, append(args, "--lang", lang)...)
	c.Stdin = strings.NewReader(typed)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		p.Fatalf("%v: %v\n%s%s", args, err, &out, &errs)
	}
	return out.String()
}

// await waits until something is so.
func (p *province) await(what string, so func() bool) {
	p.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(end) {
			p.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// at runs a statement at the source.
func (p *province) at(sql string) {
	p.Helper()
	if _, err := p.admin.Execute(sql); err != nil {
		p.Fatalf("%.200s: %v", sql, err)
	}
}
