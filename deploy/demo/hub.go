package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// pageFree says now whether the page's address can be taken, not after all has started.
func pageFree(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || !peer.Loopback(host) {
		return fmt.Errorf("页面只能在回环地址上 / the page's address %q isn't one of loopback with a port: it speaks plain HTTP (make demo PAGE=127.0.0.1:PORT)", address)
	}
	ln, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("端口已被占用 / the page's address %s is in use: give another one (make demo PAGE=127.0.0.1:PORT)", address)
	}
	if err != nil {
		return fmt.Errorf("the page's address: %w", err)
	}
	return ln.Close()
}

// setup is the line in which a hub tells the link of its first administrator.
var setup = regexp.MustCompile(`(?m)^http://\S+/setup\?link=\S+$`)

// startHub imports the tree, starts the hub and waits until it knows the sources. Its
// state has a database of its own on the city's server.
func (s *system) startHub(ctx context.Context) error {
	if err := s.simulate(ctx); err != nil {
		return err
	}
	if err := s.hubAddresses(); err != nil {
		return err
	}
	city := s.stores[0].server
	text := fmt.Sprintf("http: %q\nagents: %q\ndata_dir: %q\npartitions: 1\nlog: {brokers: [%q], embedded: %t, durability: single}\norgs: %s\nstate: {host: 127.0.0.1, port: %d, database: hub, user: %s, password_file: %q}\nstores:\n",
		s.page, s.joins, filepath.Join(s.o.dir, "hub"), s.broker, s.o.embedded, list(districts()), city.Port, city.User, secret(city))
	for _, st := range s.stores {
		text += "  - " + st.config() + "\n"
	}
	file, tree := filepath.Join(s.o.dir, "hub.yml"), filepath.Join(s.o.dir, "orgs.csv")
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.WriteFile(tree, []byte(treeFile()), 0o600)); err != nil {
		return fmt.Errorf("write the hub's files: %w", err)
	}
	if out, err := exec.CommandContext(ctx, s.o.program, "org", "import", tree, "--config", file).CombinedOutput(); err != nil {
		return fmt.Errorf("import the tree: %w: %s", err, strings.TrimSpace(string(out)))
	}
	var err error
	if s.hub, err = s.launch("hub", "hub", text); err != nil {
		return err
	}
	return s.await(ctx, "管理中心 / the hub", func() bool {
		said, err := os.ReadFile(s.hub.Out)
		if s.link = setup.FindString(string(said)); err != nil || s.link == "" {
			return false
		}
		return s.ready(ctx)
	})
}

// hubAddresses picks where people and agents come.
func (s *system) hubAddresses() error {
	host, port, err := net.SplitHostPort(s.o.page)
	if err != nil {
		return fmt.Errorf("-page %q: %w", s.o.page, err)
	}
	s.page = s.o.page
	if port == "0" {
		free, err := local.FreePort()
		if err != nil {
			return err
		}
		s.page = net.JoinHostPort(host, fmt.Sprint(free))
	}
	free, err := local.FreePort()
	s.joins = net.JoinHostPort("127.0.0.1", fmt.Sprint(free))
	return err
}

// ready asks the hub whether it has read all that there is.
func (s *system) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.page+"/-/ready", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK && !s.hub.Dead()
}
