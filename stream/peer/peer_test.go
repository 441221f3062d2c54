package peer_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/stream/peer"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestDefault: beyond loopback nobody is believed, and what the file asks for is done.
func TestDefault(t *testing.T) {
	for name, tt := range map[string]struct {
		t     peer.TLS
		hosts []string
		want  peer.Mode
	}{
		"beyond":             {peer.TLS{}, []string{"10.0.0.1"}, peer.VerifyFull},
		"a name":             {peer.TLS{}, []string{"db1"}, peer.VerifyFull},
		"on it":              {peer.TLS{}, []string{"127.0.0.1", "::1", "localhost"}, peer.None},
		"one beyond":         {peer.TLS{}, []string{"127.0.0.1", "kafka2"}, peer.VerifyFull},
		"on it with a file":  {peer.TLS{CAFile: "ca.pem"}, []string{"127.0.0.1"}, peer.VerifyFull},
		"a word beyond":      {peer.TLS{Mode: peer.None}, []string{"10.0.0.1"}, peer.None},
		"legacy keeps faith": {peer.TLS{Legacy: true}, []string{"db1"}, peer.VerifyFull},
	} {
		if got := tt.t.On(tt.hosts...).Mode; got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		t    peer.TLS
		want error
	}{
		"full":             {peer.TLS{Mode: peer.VerifyFull, CAFile: "a", ServerName: "b", CertFile: "c", KeyFile: "d", Legacy: true}, nil},
		"no such mode":     {peer.TLS{Mode: "verify"}, peer.ErrMode},
		"no key":           {peer.TLS{Mode: peer.Require, CertFile: "c"}, peer.ErrPair},
		"no certificate":   {peer.TLS{Mode: peer.Require, KeyFile: "d"}, peer.ErrPair},
		"CA of nobody":     {peer.TLS{Mode: peer.Require, CAFile: "a"}, peer.ErrNoUse},
		"name of nobody":   {peer.TLS{Mode: peer.VerifyCA, ServerName: "b"}, peer.ErrNoUse},
		"plain, and files": {peer.TLS{Mode: peer.None, CertFile: "c", KeyFile: "d"}, peer.ErrNoUse},
		"plain legacy":     {peer.TLS{Mode: peer.None, Legacy: true}, peer.ErrNoUse},
	} {
		if err := tt.t.Check(); !errors.Is(err, tt.want) || err != nil && tt.want == nil {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// TestPrefer: only a server that offers no encryption is asked without; whatever else is
// wrong stays wrong.
func TestPrefer(t *testing.T) {
	for words, want := range map[string]string{"server refused TLS connection": "plain", "remote error": "failed", "": "encrypted"} {
		got, err := peer.Connect(peer.TLS{Mode: peer.Prefer}, "db1", func(c *tls.Config) (string, error) {
			if c == nil {
				return "plain", nil
			}
			if words != "" {
				return "failed", errors.New(words)
			}
			return "encrypted", nil
		})
		if got != want || (err != nil) != (want == "failed") {
			t.Errorf("%q: %s, %v, want %s", words, got, err, want)
		}
	}
	_, err := peer.Connect(peer.TLS{Mode: peer.Require}, "db1", func(c *tls.Config) (string, error) { return "", errors.New("server refused TLS connection") })
	if e, ok := errors.AsType[*peer.Error](err); !ok || e.Code != peer.Unsupported || !strings.Contains(err.Error(), "db1") {
		t.Errorf("require: %v", err)
	}
}

// serve answers one handshake after the other as c says, until the test ends.
func serve(t *testing.T, c *tls.Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				s := tls.Server(conn, c)
				if s.Handshake() == nil {
					_, _ = s.Write([]byte{1})
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// shake gives the code of what is wrong, or the version.
func shake(t *testing.T, addr string, o peer.TLS) string {
	t.Helper()
	version, err := peer.Connect(o, "127.0.0.1", func(c *tls.Config) (string, error) {
		conn, err := tls.Dial("tcp", addr, c)
		if err != nil {
			return "", err
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Read(make([]byte, 1)); err != nil { // where TLS 1.3 tells of our certificate
			return "", err
		}
		return tls.VersionName(conn.ConnectionState().Version), nil
	})
	if e, ok := errors.AsType[*peer.Error](err); ok {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return version
}

// TestLegacy: an old server is reached by who says so, and by nobody else.
func TestLegacy(t *testing.T) {
	ca := servers.NewAuthority(t)
	certFile, keyFile := ca.Issue(t, "server", servers.Leaf{Name: "old", Hosts: []string{"127.0.0.1"}})
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	full := peer.TLS{Mode: peer.VerifyFull, CAFile: ca.File}
	if got := shake(t, addr, full); got != peer.Outdated {
		t.Errorf("%s, want %s", got, peer.Outdated)
	}
	full.Legacy = true
	if got := shake(t, addr, full); got != "TLS 1.1" {
		t.Errorf("%s, want TLS 1.1", got)
	}
	full.CAFile = servers.NewAuthority(t).File
	if got := shake(t, addr, full); got != peer.Untrusted {
		t.Errorf("%s, want %s: legacy verifies as well", got, peer.Untrusted)
	}
	full.CAFile = certFile // the server's own
	if got := shake(t, addr, full); got != "TLS 1.1" {
		t.Errorf("%s with the server's own certificate", got)
	}
}

// TestFiles: what can't be used is told by its name, and never by what it holds.
func TestFiles(t *testing.T) {
	ca := servers.NewAuthority(t)
	certFile, keyFile := ca.Issue(t, "client", servers.Leaf{Name: "client"})
	_, other := ca.Issue(t, "other", servers.Leaf{Name: "other"})
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		t    peer.TLS
		want string
	}{
		"missing CA":    {peer.TLS{CAFile: empty + ".missing"}, "ca_file: open " + empty + ".missing"},
		"no PEM":        {peer.TLS{CAFile: empty}, "ca_file: " + empty + " holds no certificate"},
		"another's key": {peer.TLS{CertFile: certFile, KeyFile: other}, "key_file " + other},
		"no key":        {peer.TLS{CertFile: certFile, KeyFile: empty}, "key_file " + empty},
		"good":          {peer.TLS{CAFile: ca.File, CertFile: certFile, KeyFile: keyFile}, ""},
	} {
		_, err := tt.t.Config("db1")
		e, ok := errors.AsType[*peer.Error](err)
		if tt.want == "" && err != nil || tt.want != "" && (!ok || e.Code != peer.BadFile || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if strings.Contains(fmt.Sprint(err), "PRIVATE") || strings.Contains(fmt.Sprint(err), "nothing") {
			t.Errorf("%s: the error holds a file's bytes: %v", name, err)
		}
	}
}
