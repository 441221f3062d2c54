// Package peer decides how a connection to a database or a broker is encrypted, and how
// the other end is recognised: one set of words and rules for sources, stores and the log.
// It knows none of their protocols; drivers hand it their handshake.
package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
)

// Mode is how much a connection is protected. The names are libpq's.
type Mode string

// The modes, from weak to strong.
const (
	None       Mode = "none"        // plain text
	Prefer     Mode = "prefer"      // encrypted if the server offers it, else plain text
	Require    Mode = "require"     // encrypted; whoever answers is believed
	VerifyCA   Mode = "verify-ca"   // and the certificate comes from a known authority
	VerifyFull Mode = "verify-full" // and it is this server's
)

// Modes are all modes, from weak to strong.
var Modes = []Mode{None, Prefer, Require, VerifyCA, VerifyFull}

// Verifies reports whether another one can't pass for the server.
func (m Mode) Verifies() bool { return m == VerifyCA || m == VerifyFull }

// TLS says how one connection is protected. The zero value verifies the server fully, and
// leaves connections within the machine in plain text. Files are read anew for each
// connection, so that a certificate may be replaced while programs run.
type TLS struct {
	// Mode is empty for VerifyFull beyond loopback, None on it.
	Mode Mode
	// CAFile has the authorities' certificates, or the server's own, in PEM. Empty for
	// those of the operating system.
	CAFile string
	// CertFile and KeyFile are what this program shows of itself, in PEM; both or none.
	CertFile, KeyFile string
	// ServerName is the name that the certificate must have, where it isn't the host's.
	ServerName string
	// Legacy accepts TLS 1.0 and 1.1 and key exchange without forward secrecy, for
	// servers that know nothing better. Whoever records the traffic may read it later.
	Legacy bool
}

// Loopback reports whether a host is this machine by its name or address.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// On gives t with the mode that counts for these hosts.
func (t TLS) On(hosts ...string) TLS {
	if t.Mode == "" {
		t.Mode = None
		if slices.ContainsFunc(hosts, func(h string) bool { return !Loopback(h) }) || t != (TLS{Mode: None}) {
			t.Mode = VerifyFull
		}
	}
	return t
}

// The faults of a TLS; Check gives them.
var (
	ErrMode  = errors.New("no such mode")
	ErrPair  = errors.New("a certificate without its key, or a key without its certificate")
	ErrNoUse = errors.New("what the mode makes no use of")
)

// Check reports what doesn't go together, with ErrMode, ErrPair or ErrNoUse; it reads no
// file. t comes from On.
func (t TLS) Check() error {
	switch {
	case !slices.Contains(Modes, t.Mode):
		return ErrMode
	case (t.CertFile == "") != (t.KeyFile == ""):
		return ErrPair
	case t.Mode == None && t != TLS{Mode: None}, !t.Mode.Verifies() && t.CAFile != "", t.Mode != VerifyFull && t.ServerName != "":
		return ErrNoUse
	}
	return nil
}

// Config reads the files and gives what a connection to host is encrypted with; nil in
// mode None. A failure is an *Error.
func (t TLS) Config(host string) (*tls.Config, error) {
	t = t.On(host)
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("tls of %s: %w", host, err)
	}
	if t.Mode == None {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if t.Legacy {
		c.MinVersion, c.CipherSuites = tls.VersionTLS10, legacySuites()
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, &Error{Code: BadFile, Peer: host, Err: fmt.Errorf("ca_file: %w", err)}
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &Error{Code: BadFile, Peer: host, Err: fmt.Errorf("ca_file: %s holds no certificate in PEM", t.CAFile)}
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, &Error{Code: BadFile, Peer: host, Err: fmt.Errorf("cert_file %s, key_file %s: %w", t.CertFile, t.KeyFile, err)}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if t.Mode != VerifyFull {
		c.InsecureSkipVerify = true // the mode says so; verify-ca looks at the chain itself
	}
	if t.Mode == VerifyCA {
		c.VerifyConnection = chain(c.RootCAs)
	}
	return c, nil
}

// chain verifies a server's certificate whatever its name is.
func chain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
		}
		if _, err := s.PeerCertificates[0].Verify(o); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
		}
		return nil
	}
}

// legacySuites are all suites but those with RC4, whose plain text can be computed.
func legacySuites() (ids []uint16) {
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		switch s.ID {
		case tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA:
		default:
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// Connect connects to host: connect makes one connection with what it is given, nil for
// plain text. With Prefer a server that offers no encryption is asked again without.
func Connect[C any](t TLS, host string, connect func(*tls.Config) (C, error)) (c C, err error) {
	t = t.On(host)
	config, err := t.Config(host)
	if err != nil {
		return c, err
	}
	c, err = connect(config)
	err = Diagnose(host, err)
	if e, ok := errors.AsType[*Error](err); ok && e.Code == Unsupported && t.Mode == Prefer {
		c, err = connect(nil)
		err = Diagnose(host, err)
	}
	return c, err
}
