package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// The codes of an Error, for operators.
const (
	Untrusted   = "TLS_UNTRUSTED"          // no known authority stands behind the certificate
	WrongName   = "TLS_NAME"               // the certificate is another server's
	Expired     = "TLS_EXPIRED"            // the certificate's time is over, or hasn't come
	Unsupported = "TLS_UNSUPPORTED"        // the server offers no encryption
	Required    = "TLS_REQUIRED"           // the server takes no plain text
	Outdated    = "TLS_VERSION"            // no version or cipher that both know
	NoClient    = "TLS_CLIENT_CERTIFICATE" // the server wants to see a certificate, or another one
	BadFile     = "TLS_FILE"               // a file of the configuration can't be used
)

// Error says why a connection can't be encrypted as wanted. Only a person can help, but
// asking again is safe: files are read anew.
type Error struct {
	Code string // stable
	Peer string // host, or host and port
	Err  error
}

// Error names the peer and the code.
func (e *Error) Error() string { return fmt.Sprintf("tls with %s: %v [%s]", e.Peer, e.Err, e.Code) }

// Unwrap returns what the handshake said.
func (e *Error) Unwrap() error { return e.Err }

// words are those of servers and drivers for what has no number or type of its own. A
// PostgreSQL server that speaks another language than English isn't understood: its refusal
// counts as one of the user, with the same number (28000).
var words = []struct{ text, code string }{
	{"does not support TLS required by the client", Unsupported},       // go-mysql
	{"server refused TLS connection", Unsupported},                     // pgconn
	{"ERROR 3159 (", Required},                                         // MySQL and MariaDB: ER_SECURE_TRANSPORT_REQUIRED
	{"no encryption (SQLSTATE 28000)", Required},                       // PostgreSQL 14 and newer
	{"SSL off (SQLSTATE 28000)", Required},                             // before
	{"requires a valid client certificate (SQLSTATE 28000)", NoClient}, // PostgreSQL
	{"certificate authentication failed for user", NoClient},           // PostgreSQL: another user's certificate
	{"tls: server selected unsupported protocol version", Outdated},    // crypto/tls
	{"tls: server chose an unconfigured cipher suite", Outdated},       // crypto/tls
}

// alerts are what the other end answers (RFC 8446, 6.2). The words are those of crypto/tls,
// which gives them no type outside of QUIC.
var alerts = map[string]string{
	"tls: protocol version not supported": Outdated, "tls: handshake failure": Outdated, "tls: insufficient security level": Outdated,
	"tls: bad certificate": NoClient, "tls: certificate required": NoClient, "tls: unknown certificate authority": NoClient, "tls: unknown certificate": NoClient,
	"tls: expired certificate": NoClient, "tls: revoked certificate": NoClient, "tls: unsupported certificate": NoClient,
}

// Diagnose gives an error of a connection as an *Error if encryption is what it is
// about; else err as it is.
func Diagnose(peer string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if code, what := diagnose(err); code != "" {
		return &Error{Code: code, Peer: peer, Err: what}
	}
	return err
}

func diagnose(err error) (code string, what error) {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate(e)
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return Unsupported, fmt.Errorf("the other end doesn't answer in TLS: %w", e)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && (e.Op == "remote error" || e.Op == "local error") {
		if code := alerts[e.Err.Error()]; code != "" {
			return code, fmt.Errorf("%s: %w", e.Op, e.Err)
		}
	}
	text := err.Error()
	for _, w := range words {
		if strings.Contains(text, w.text) {
			return w.code, err
		}
	}
	return "", nil
}

// certificate says what is wrong with the other end's certificate.
func certificate(e *tls.CertificateVerificationError) (code string, what error) {
	var name x509.HostnameError
	if errors.As(e, &name) {
		c := name.Certificate
		var of []string
		of = append(of, c.DNSNames...)
		for _, ip := range c.IPAddresses {
			of = append(of, ip.String())
		}
		if len(of) == 0 {
			return WrongName, fmt.Errorf("the certificate of %q names no host in its subjectAltName", c.Subject.CommonName)
		}
		return WrongName, fmt.Errorf("the certificate is for %s, not for %s", strings.Join(of, ", "), name.Host)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](e); ok && invalid.Reason == x509.Expired {
		return Expired, fmt.Errorf("the certificate of %q is valid from %s to %s", invalid.Cert.Subject.CommonName,
			invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if len(e.UnverifiedCertificates) > 0 {
		c := e.UnverifiedCertificates[0]
		return Untrusted, fmt.Errorf("the certificate of %q, issued by %q: %w", c.Subject.CommonName, c.Issuer.CommonName, e.Err)
	}
	return Untrusted, e.Err
}
