package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
)

func open(t *testing.T, dir string, known []byte) (*Authority, []byte, error) {
	t.Helper()
	a, err := Open(Options{Dir: dir, Known: known, Keep: func(der []byte) ([]byte, error) { known = der; return der, nil }})
	return a, known, err
}

func code(err error) string {
	if r, ok := errors.AsType[*refusal.Refusal](err); ok {
		return r.Code
	}
	return ""
}

func request(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// TestOpen: the key is made once, is its owner's only, and hubs of one database have one.
func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hub")
	a, known, err := open(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "authority.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	again, _, err := open(t, dir, known)
	if err != nil || Pin(again.Certificate()) != Pin(a.Certificate()) || len(Pin(a.Certificate())) != 26 {
		t.Errorf("the authority is another one after a restart: %v", err)
	}
	if _, _, err := open(t, t.TempDir(), known); code(err) != "HUB_KEY_MISSING" {
		t.Errorf("an empty folder: %v", err)
	}
	other := t.TempDir()
	if _, _, err := open(t, other, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(t, other, known); code(err) != "HUB_KEY_MISSING" {
		t.Errorf("another key: %v", err)
	}
	first := a.Certificate().Raw
	if _, err := Open(Options{Dir: t.TempDir(), Keep: func([]byte) ([]byte, error) { return first, nil }}); code(err) != "HUB_KEY_MISSING" {
		t.Errorf("two first starts on two folders: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "authority.key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(t, dir, known); err == nil {
		t.Error("a broken key is taken")
	}
}

func TestAgentCertificate(t *testing.T) {
	a, _, err := open(t, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := a.Agent(request(t, key), "330106.1", "330106")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(issued.PEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: a.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: ServerName}); err == nil {
		t.Error("an agent's certificate is good for a hub")
	}
	if cert.IsCA || Serial(cert) != issued.Serial || cert.Subject.CommonName != "330106.1" || cert.URIs[0].String() != "tributary://agent/330106/330106.1" {
		t.Errorf("%+v", cert.Subject)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err == nil {
		if _, err := a.Agent(request(t, weak), "x", "y"); code(err) != "CERTIFICATE_REQUEST" {
			t.Errorf("RSA: %v", err)
		}
	}
	broken := request(t, key)
	broken[len(broken)/2] ^= 1
	for name, b := range map[string][]byte{"nothing": nil, "broken": broken, "the authority's own key": request(t, a.key), "a certificate": issued.PEM} {
		if _, err := a.Agent(b, "x", "y"); code(err) != "CERTIFICATE_REQUEST" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestServed: the hub's certificate has its names, and is made anew before it ends.
func TestServed(t *testing.T) {
	now := time.Now()
	a, err := Open(Options{Dir: t.TempDir(), Keep: func(der []byte) ([]byte, error) { return der, nil }, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Served([]string{"hub.example.cn", "10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hub.example.cn", "10.0.0.1", ServerName} {
		if err := first.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if same, err := s.Get(nil); err != nil || same != first {
		t.Errorf("made anew at once: %v", err)
	}
	now = now.Add(hubHolds * 3 / 4)
	if next, err := s.Get(nil); err != nil || next == first || next.Leaf.NotAfter.Before(now.Add(hubHolds/2)) {
		t.Errorf("not made anew: %v", err)
	}
}

func TestSign(t *testing.T) {
	a, _, err := open(t, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := open(t, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := a.Sign([]byte("granted"))
	if err != nil || !Verify(a.Certificate(), []byte("granted"), sig) {
		t.Errorf("not verified: %v", err)
	}
	if Verify(a.Certificate(), []byte("grantee"), sig) || Verify(b.Certificate(), []byte("granted"), sig) || Verify(a.Certificate(), []byte("granted"), nil) {
		t.Error("verified what wasn't signed")
	}
}
