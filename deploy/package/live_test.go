package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// boot starts systemd as the first process of namespaces of its own, on a copy of this machine's
// root that vanishes with them. $1/given is /mnt inside. Nothing of the machine's own units is
// started. It pivots, since a process that has changed its root may make no users of its own,
// which PrivateUsers needs.
const boot = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1/live"
mkdir "$1/live/up" "$1/live/work" "$1/live/root"
root="$1/live/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/live/up,workdir=$1/live/work" "$root"
mount --bind "$1/given" "$root/mnt"
mount -t proc proc "$root/proc"
mount --bind /sys "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for dir in run tmp dev; do mount -t tmpfs tmpfs "$root/$dir"; done
for dev in null zero full random urandom tty; do touch "$root/dev/$dev"; mount --bind "/dev/$dev" "$root/dev/$dev"; done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/mqueue" "$root/dev/hugepages"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
rm -rf "$root"/usr/lib/systemd/system/*.wants "$root"/etc/systemd/system/*.wants "$root/etc/fstab" "$root/usr/sbin/policy-rc.d"
cd "$root"
mkdir old
pivot_root . old
umount -l /old
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/lib/systemd/systemd --system --unit=basic.target --log-target=null
`

// live is a machine whose units run.
type live struct {
	t     *testing.T
	pid   string // of its first process, as it is outside
	given string
}

func newLive(t *testing.T) *live {
	t.Helper()
	if _, err := os.Stat("/usr/lib/systemd/systemd"); err != nil || os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root and systemd (apt-get install systemd)")
		}
		t.Skip("needs root and systemd")
	}
	dir := t.TempDir()
	l := &live{t: t, given: filepath.Join(dir, "given")}
	for _, d := range []string{"live", "given"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc", "--kill-child", "sh", "-c", boot, "sh", dir)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && len(ended) == 0 {
			t.Error(err)
		}
		<-ended
	})
	l.await("systemd", func() bool {
		if len(ended) > 0 {
			t.Fatalf("systemd has ended: %s", out.String())
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		if l.pid = strings.TrimSpace(string(b)); err != nil || l.pid == "" {
			return false
		}
		said, err := l.try("systemctl", "is-active", "basic.target")
		return err == nil && said == "active"
	})
	said, err := l.try("systemctl", "--version")
	if err != nil {
		t.Fatal(said)
	}
	servers.Ran(t, "%s as the first process", strings.SplitN(said, "\n", 2)[0])
	return l
}

// try runs a command inside.
func (l *live) try(args ...string) (string, error) {
	cmd := exec.Command("nsenter", append([]string{"-t", l.pid, "-m", "-p", "-u", "-i", "-r", "-w", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}, args...)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (l *live) run(args ...string) string {
	l.t.Helper()
	out, err := l.try(args...)
	if err != nil {
		l.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// of gives a property of a role's unit.
func (l *live) of(role, property string) string {
	return l.run("systemctl", "show", "--value", "-p", property, "tributary-"+role+".service")
}

func (l *live) await(what string, so func() bool) {
	l.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !so(); <-tick.C {
		if time.Now().After(end) {
			units := ""
			if l.pid != "" {
				units, _ = l.try("sh", "-c", "systemctl --no-pager --failed; cat /var/log/tributary-*.log")
			}
			l.t.Fatalf("%s: not within 30s\n%s", what, units)
		}
	}
}

// TestLive installs the package on a machine whose systemd runs, and starts all roles with
// their units as they are: a row goes from a source to a store through them; a program that is
// killed comes back, an upgrade starts anew what runs, a removal stops it and leaves files and
// data.
func TestLive(t *testing.T) {
	l := newLive(t)
	db := servers.Postgres(t, nil)
	connect := func(database string) *pgx.Conn {
		c, err := pgx.Connect(t.Context(), db.In(database))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.Background()) }) // the server ends with the test
		return c
	}
	exe := func(c *pgx.Conn, sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	admin := connect("postgres")
	exe(admin, "CREATE DATABASE city")
	exe(admin, "CREATE DATABASE xueji")
	source := connect("xueji")
	exe(source, "CREATE TABLE student (xh bigint PRIMARY KEY, xm text)")
	bin := program.Build(t)
	packed := func(version string) string {
		name, err := build(t.Context(), options{root: "../..", program: bin, arch: "amd64", version: version, out: l.given})
		if err != nil {
			t.Fatal(err)
		}
		return "/mnt/" + filepath.Base(name)
	}
	l.run("dpkg", "--install", "--force-depends", packed("1.0.0"))
	ports := map[string]int{}
	for _, role := range []string{"log", "registry", "worker", "agent", "hub"} {
		ports[role] = program.Port(t)
	}
	broker := fmt.Sprintf("{brokers: [\"127.0.0.1:%d\"], embedded: true}", ports["log"])
	base := fmt.Sprintf("host: 127.0.0.1, port: %d, user: postgres, password_file: /etc/tributary/database.password", db.Port)
	for name, text := range map[string]string{
		"database.password": db.Password,
		"log.yml":           fmt.Sprintf("data_dir: /var/lib/tributary/log\nport: %d\n", ports["log"]),
		"registry.yml":      fmt.Sprintf("orgs: [\"330106\"]\nhttp: 127.0.0.1:%d\nlog: %s\n", ports["registry"], broker),
		"agent.yml": fmt.Sprintf("name: a1\norg: \"330106\"\ndata_dir: /var/lib/tributary/agent\nhttp: 127.0.0.1:%d\nlog: %s\nsources:\n  - {name: xueji, engine: postgres, database: xueji, %s, tables: [\"public.*\"], first_start: load}\n",
			ports["agent"], broker, base),
		"worker.yml": fmt.Sprintf("name: w1\norgs: [\"330106\"]\nhttp: 127.0.0.1:%d\nlog: %s\nstore: {name: city, database: city, %s}\n", ports["worker"], broker, base),
		"hub.yml": fmt.Sprintf("http: 127.0.0.1:%d\ndata_dir: /var/lib/tributary/hub\norgs: [\"330106\"]\nlog: %s\nstores: [{name: city, database: city, %s}]\nstate: {database: city, %s}\n",
			ports["hub"], broker, base, base),
	} {
		write(t, filepath.Join(l.given, name), text)
		l.run("install", "-o", "root", "-g", "tributary", "-m", "0640", "/mnt/"+name, "/etc/tributary/"+name)
	}
	log := "[Service]\nStandardOutput=append:/var/log/%p.log\nStandardError=inherit\n"
	for role := range ports { // no journal runs
		write(t, filepath.Join(l.given, "log.conf"), log)
		l.run("install", "-D", "/mnt/log.conf", "/etc/systemd/system/tributary-"+role+".service.d/log.conf")
	}
	l.run("systemctl", "daemon-reload")
	for _, role := range []string{"log", "registry", "worker", "agent", "hub"} {
		if said, err := l.try("systemctl", "start", "tributary-"+role+".service"); err != nil {
			t.Fatalf("%s: %s\n%s", role, said, l.run("sh", "-c", "systemctl show -p Result,ExecMainStatus,ExecMainCode tributary-"+role+"; cat /var/log/tributary-"+role+".log"))
		}
	}
	ready := func(role string) {
		t.Helper()
		l.await(role+" is ready", func() bool {
			res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/-/ready", ports[role]))
			return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
		})
	}
	for _, role := range []string{"registry", "worker", "agent", "hub"} {
		ready(role)
	}
	city := connect("city")
	arrives := func(n int) {
		t.Helper()
		exe(source, fmt.Sprintf("INSERT INTO student VALUES (%d, '王小明')", n))
		l.await(fmt.Sprintf("row %d in the store", n), func() bool {
			var there bool
			err := city.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM ods.student WHERE xh = $1)", n).Scan(&there)
			return err == nil && there
		})
	}
	arrives(1)
	for role := range ports {
		if user := l.run("ps", "-o", "user:20=", "-p", l.of(role, "MainPID")); user != "tributary" {
			t.Errorf("%s runs as %s", role, user)
		}
	}
	l.run("systemctl", "kill", "--signal=KILL", "tributary-agent.service")
	l.await("the agent comes back", func() bool { return l.of("agent", "NRestarts") == "1" && l.of("agent", "ActiveState") == "active" })
	ready("agent")
	arrives(2)

	before := map[string]string{}
	for role := range ports {
		before[role] = l.of(role, "InvocationID")
	}
	l.run("dpkg", "--install", "--force-depends", packed("1.1.0"))
	for role := range ports {
		if l.of(role, "InvocationID") == before[role] || l.of(role, "ActiveState") != "active" {
			t.Errorf("the upgrade left %s as it was, %s", role, l.of(role, "ActiveState"))
		}
	}
	arrives(3)
	l.run("dpkg", "--remove", "tributary")
	for role := range ports {
		if said, _ := l.try("pgrep", "-f", "tributary "+role+" "); said != "" { // which fails when it finds none
			t.Errorf("%s still runs after the removal: %s", role, said)
		}
	}
	l.run("dpkg", "--purge", "tributary")
	l.run("sh", "-c", "test -s /etc/tributary/agent.yml && test -n \"$(ls /var/lib/tributary/log)\" && test -n \"$(ls /var/lib/tributary/agent)\" && ! test -e /usr/bin/tributary")
}
