// Package container holds the container file, and the test that builds and runs it.
package container

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

func docker(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// TestImage: the program runs in the image of the container file, on an empty base, as a
// user who isn't root, and may write nothing but its volume.
func TestImage(t *testing.T) {
	if out, err := docker(t, "version", "--format", "{{.Server.Version}}"); err != nil {
		if os.Getenv(servers.Variable) == "container" {
			t.Fatal(out)
		}
		t.Skipf("no Docker engine: %s", out)
	} else {
		servers.Ran(t, "Docker engine %s builds the container file", out)
	}
	context, tag := t.TempDir(), "tributary-test:image"
	for _, dir := range []string{"amd64", "state"} {
		if err := os.Mkdir(filepath.Join(context, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(program.Build(t), filepath.Join(context, "amd64", "tributary")); err != nil {
		t.Fatal(err)
	}
	if out, err := docker(t, "build", "-q", "-f", "Containerfile", "--build-arg", "BASE=scratch", "--build-arg", "TARGETARCH=amd64", "-t", tag, context); err != nil {
		t.Fatal(out)
	}
	t.Cleanup(func() {
		if out, err := docker(t, "image", "rm", "-f", tag); err != nil {
			t.Error(out)
		}
	})
	config, err := filepath.Abs("../compose/config")
	if err != nil {
		t.Fatal(err)
	}
	hardened := []string{"run", "--rm", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none", "-v", config + ":/etc/tributary:ro", "-v", "/var/lib/tributary", tag}
	for _, tt := range []struct{ args, want string }{
		{"version --lang en", "tributary development"},
		{"config check hub /etc/tributary/hub.yml --lang en", "the file is valid"},
	} {
		if out, err := docker(t, append(hardened, strings.Fields(tt.args)...)...); err != nil || out != tt.want {
			t.Errorf("%s: %v, %s", tt.args, err, out)
		}
	}
	// A role that needs its folder, and then an address: it comes as far as the second.
	log := filepath.Join(t.TempDir(), "log.yml")
	program.Write(t, log, "data_dir: /var/lib/tributary/log\nport: 9092\n")
	if err := os.Chmod(log, 0o644); err != nil {
		t.Fatal(err)
	}
	name := "tributary-test-image"
	if out, err := docker(t, "run", "-d", "--name", name, "--read-only", "--cap-drop", "ALL", "--network", "none", "-v", log+":/log.yml:ro", "-v", "/var/lib/tributary", tag, "log", "--config", "/log.yml"); err != nil {
		t.Fatal(out)
	}
	t.Cleanup(func() {
		if out, err := docker(t, "rm", "-f", "-v", name); err != nil {
			t.Error(out)
		}
	})
	follow := exec.Command("docker", "logs", "-f", name)
	said, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaint bytes.Buffer
	follow.Stderr = &complaint
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := said.Read(line) // the address, or the end
	if !strings.HasPrefix(string(line[:n]), "127.0.0.1:9092") {
		t.Errorf("the log says %q, %v", line[:n], err)
	}
	if out, err := docker(t, "top", name, "-o", "pid,uid"); err != nil || !strings.HasSuffix(out, "65532") {
		t.Errorf("it runs as %s, %v", out, err)
	}
	if out, err := docker(t, "stop", "-t", "20", name); err != nil {
		t.Error(out)
	}
	if err := follow.Wait(); err != nil {
		t.Error(err)
	}
	if out, err := docker(t, "inspect", "-f", "{{.State.ExitCode}}", name); err != nil || out != "0" {
		t.Errorf("it ended with %s, %v\n%s", out, err, complaint.String())
	}
}

// compose is what the test reads of a compose file.
type compose struct {
	Services map[string]struct {
		Image, Restart string
		ReadOnly       bool `yaml:"read_only"`
		Command        []string
		CapDrop        []string `yaml:"cap_drop"`
		Ports, Volumes []string
		Environment    map[string]string
	}
}

// TestCompose: the compose file is valid, publishes nothing beyond loopback, holds no
// password, and its configurations are valid for their roles and name its services.
func TestCompose(t *testing.T) {
	if _, err := exec.LookPath("docker-compose"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Log(err)
	} else {
		cmd := exec.Command("docker-compose", "-f", "compose.yml", "config", "-q")
		cmd.Dir = "../compose"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		version, err := exec.Command("docker-compose", "version", "--short").Output()
		if err != nil {
			t.Fatal(err)
		}
		servers.Ran(t, "docker-compose %s reads the compose file", strings.TrimSpace(string(version)))
	}
	b, err := os.ReadFile("../compose/compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c compose
	if err := yaml.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	bin := program.Build(t)
	checked := 0
	for name, s := range c.Services {
		if s.Restart == "" || !regexp.MustCompile(`^\$\{\w+:-(tributary|[\w/]+:[\w.]+)\}$`).MatchString(s.Image) {
			t.Errorf("%s: restart %q, image %q without a version", name, s.Restart, s.Image)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s", name, p)
			}
		}
		for k := range s.Environment {
			if strings.HasSuffix(k, "PASSWORD") {
				t.Errorf("%s: %s stands in the file", name, k)
			}
		}
		if len(s.Command) == 0 {
			continue
		}
		if !s.ReadOnly || len(s.CapDrop) == 0 {
			t.Errorf("%s may do more than it needs", name)
		}
		file := "../compose/config/" + filepath.Base(s.Command[2])
		if out, err := exec.Command(bin, "config", "check", s.Command[0], file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:host: |brokers: \[")(\w+)`).FindAllStringSubmatch(string(text), -1) {
			if _, ok := c.Services[m[1]]; !ok {
				t.Errorf("%s names %s, which isn't a service", file, m[1])
			}
		}
		checked++
	}
	if checked != 3 {
		t.Errorf("%d roles were checked", checked)
	}
}
