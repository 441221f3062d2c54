// Package authority is a hub's own certificate authority: it knows the hub's key, and
// decides what stands in the certificates of agents and of the hub. Whether an agent may
// have one is decided elsewhere.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
)

// How long certificates hold. An agent renews its own once a third of it is left.
const (
	ownYears   = 20
	AgentHolds = 90 * 24 * time.Hour
	hubHolds   = 90 * 24 * time.Hour
	// Backdated is by how much a certificate begins before it is made, for clocks that are
	// a little late.
	Backdated = 5 * time.Minute
)

// ServerName is the name under which agents know their hub, wherever it is.
const ServerName = "hub.tributary.internal"

// Authority signs. It is safe for concurrent use.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time
}

// Options says where the key lies. Dir is required.
type Options struct {
	// Dir is the hub's data folder. The key lies there and nowhere else, in a file that only
	// its owner can read: whoever has the database alone, or a copy of it, can't issue.
	Dir string
	// Known is the certificate that the hubs of this database use; nil for a first start.
	Known []byte
	// Keep makes the certificate of a first start known, and gives the one that counts.
	Keep func(der []byte) ([]byte, error)
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Open reads the key, or makes it at a first start. A key that isn't that of the hubs of
// this database is refused (HUB_KEY_MISSING), and so is having none.
func Open(o Options) (*Authority, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	name := filepath.Join(o.Dir, "authority.key")
	a := &Authority{now: o.Now}
	b, err := os.ReadFile(name)
	switch {
	case err == nil:
		if a.key, err = parseKey(b); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("data_dir: %w", err)
	case o.Known != nil:
		return nil, refusal.New(refusal.Conflict, "HUB_KEY_MISSING", "%s", name)
	default:
		if a.key, err = newKey(name); err != nil {
			return nil, fmt.Errorf("data_dir: %w", err)
		}
	}
	der := o.Known
	if der == nil {
		if der, err = a.own(); err == nil {
			der, err = o.Keep(der)
		}
		if err != nil {
			return nil, err
		}
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("certificate of the hub's authority: %w", err)
	}
	if !a.key.PublicKey.Equal(a.cert.PublicKey) {
		return nil, refusal.New(refusal.Conflict, "HUB_KEY_MISSING", "%s", name)
	}
	return a, nil
}

// newKey makes a key and writes it where nothing is yet.
func newKey(name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	b, err := EncodeKey(key)
	if err != nil {
		return nil, err
	}
	return key, WriteNew(name, b)
}

// EncodeKey gives a key in PEM.
func EncodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// WriteNew writes a file that only its owner can read, durably, where there is none.
func WriteNew(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func parseKey(b []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("not PEM")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key of the kind %T", k)
	}
	return key, nil
}

func serial() (*big.Int, error) { return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) }

// own makes the authority's certificate.
func (a *Authority) own() ([]byte, error) {
	n, err := serial()
	if err != nil {
		return nil, err
	}
	now := a.now()
	t := &x509.Certificate{SerialNumber: n, Subject: pkix.Name{CommonName: "Tributary hub", Organization: []string{"Tributary"}}, NotBefore: now.Add(-Backdated), NotAfter: now.AddDate(ownYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	return x509.CreateCertificate(rand.Reader, t, t, &a.key.PublicKey, a.key)
}

// Certificate gives the authority's certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// Pool gives it as the only root.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// Pin is what an invitation says of an authority's certificate, so that whoever has the
// invitation knows the hub: 130 bits of its SHA-256.
func Pin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}

// PEM gives a certificate in PEM.
func PEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Issued is a certificate.
type Issued struct {
	Serial string
	PEM    []byte
	Key    []byte // for which it is, PKIX in DER
	Begins time.Time
	Ends   time.Time
}

// maxRequest bounds a request for a certificate, in bytes.
const maxRequest = 16 << 10

// Agent makes the certificate of an agent of an org for the key of a request (PKCS #10 in
// PEM). Of the request only the key counts.
func (a *Authority) Agent(request []byte, agent, org string) (Issued, error) {
	bad := func(detail string) (Issued, error) {
		return Issued{}, refusal.New(refusal.Invalid, "CERTIFICATE_REQUEST", "%s", detail)
	}
	block, _ := pem.Decode(request)
	if len(request) > maxRequest || block == nil || block.Type != "CERTIFICATE REQUEST" {
		return bad("PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return bad(err.Error())
	}
	if err := csr.CheckSignature(); err != nil {
		return bad(err.Error())
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return bad("ECDSA P-256")
	}
	if key.Equal(&a.key.PublicKey) {
		return bad("key")
	}
	n, err := serial()
	if err != nil {
		return Issued{}, err
	}
	now := a.now()
	t := &x509.Certificate{SerialNumber: n, Subject: pkix.Name{CommonName: agent, OrganizationalUnit: []string{org}}, URIs: []*url.URL{{Scheme: "tributary", Host: "agent", Path: "/" + org + "/" + agent}},
		NotBefore: now.Add(-Backdated), NotAfter: now.Add(AgentHolds), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key, a.key)
	if err != nil {
		return Issued{}, fmt.Errorf("issue a certificate: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return Issued{}, fmt.Errorf("issue a certificate: %w", err)
	}
	return Issued{Serial: Serial(t), PEM: PEM(der), Key: public, Begins: t.NotBefore, Ends: t.NotAfter}, nil
}

// Serial gives a certificate's number as it is kept.
func Serial(c *x509.Certificate) string { return hex.EncodeToString(c.SerialNumber.Bytes()) }

// Server makes the hub's own certificate for names and addresses, with a new key. Agents
// know it as ServerName.
func (a *Authority) Server(names []string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	n, err := serial()
	if err != nil {
		return nil, err
	}
	now := a.now()
	t := &x509.Certificate{SerialNumber: n, Subject: pkix.Name{CommonName: ServerName}, DNSNames: []string{ServerName}, NotBefore: now.Add(-Backdated), NotAfter: now.Add(hubHolds),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, name := range names {
		if ip := net.ParseIP(strings.Trim(name, "[]")); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue the hub's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// The purposes keep signatures apart from whatever else a key may sign.
const (
	purpose       = "tributary assignments v1\n"
	letterPurpose = "tributary letter of an agent v1\n"
)

func digest(purpose string, b []byte) []byte {
	h := sha256.New()
	_, _ = h.Write([]byte(purpose)) // never fails
	_, _ = h.Write(b)
	return h.Sum(nil)
}

// Sign signs what agents are granted.
func (a *Authority) Sign(b []byte) ([]byte, error) {
	return ecdsa.SignASN1(rand.Reader, a.key, digest(purpose, b))
}

// Verify reports whether the authority of a certificate signed b.
func Verify(cert *x509.Certificate, b, signature []byte) bool {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	return ok && ecdsa.VerifyASN1(key, digest(purpose, b), signature)
}

// SignLetter signs with an agent's key what it has a person bring to its hub.
func SignLetter(key *ecdsa.PrivateKey, b []byte) ([]byte, error) {
	return ecdsa.SignASN1(rand.Reader, key, digest(letterPurpose, b))
}

// VerifyLetter reports whether the agent of a certificate signed b.
func VerifyLetter(cert *x509.Certificate, b, signature []byte) bool {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	return ok && ecdsa.VerifyASN1(key, digest(letterPurpose, b), signature)
}
