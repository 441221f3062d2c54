package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Authority signs certificates for the servers and clients of a test.
type Authority struct {
	// File is its own certificate, in PEM.
	File string

	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Leaf is what a certificate says.
type Leaf struct {
	Name string // the subject's common name
	// Hosts are DNS names and addresses. None for a client.
	Hosts []string
	// Expired says that its time was over an hour ago.
	Expired bool
}

// NewAuthority makes an authority, with a folder that servers of other users can read.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	dir := folder(t, "authority")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial(t), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &Authority{File: filepath.Join(dir, "ca.pem"), key: key}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write(t, a.File, 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// Issue writes NAME.crt and NAME.key beside the authority's own certificate, for everybody
// to read, and again if they are there.
func (a *Authority) Issue(t testing.TB, name string, l Leaf) (certFile, keyFile string) {
	t.Helper()
	dir := filepath.Dir(a.File)
	return a.issue(t, filepath.Join(dir, name), 0o644, l)
}

// IssueInto writes server.crt and server.key into a server's folder, as its owner has it.
func (a *Authority) IssueInto(t testing.TB, dir string, l Leaf) {
	t.Helper()
	var owner syscall.Stat_t
	if err := syscall.Stat(dir, &owner); err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := a.issue(t, filepath.Join(dir, "server"), 0o600, l)
	for _, f := range []string{certFile, keyFile} {
		if err := os.Chown(f, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

func (a *Authority) issue(t testing.TB, path string, rights os.FileMode, l Leaf) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial(t), Subject: pkix.Name{CommonName: l.Name}, NotBefore: time.Now().Add(-12 * time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if l.Expired {
		template.NotAfter = time.Now().Add(-time.Hour)
	}
	for _, h := range l.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = path+".crt", path+".key"
	write(t, keyFile, rights, &pem.Block{Type: "PRIVATE KEY", Bytes: private})
	write(t, certFile, rights, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return certFile, keyFile
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func write(t testing.TB, file string, rights os.FileMode, b *pem.Block) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(b), rights); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, rights); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}
