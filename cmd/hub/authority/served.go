package authority

import (
	"crypto/tls"
	"sync"
)

// Served is the hub's certificate for a listener, made anew before it ends. It is safe
// for concurrent use.
type Served struct {
	a     *Authority
	names []string

	mu   sync.Mutex
	cert *tls.Certificate
}

// Served makes it, and the first certificate.
func (a *Authority) Served(names []string) (*Served, error) {
	s := &Served{a: a, names: names}
	_, err := s.Get(nil)
	return s, err
}

// Get is a tls.Config's GetCertificate.
func (s *Served) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cert != nil && s.a.now().Before(s.cert.Leaf.NotAfter.Add(-hubHolds/3)) {
		return s.cert, nil
	}
	cert, err := s.a.Server(s.names)
	if err == nil {
		s.cert = cert
	}
	return cert, err
}
