package config

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// TLS says how connections to a source, a store or the log are protected. Without it they
// are verified beyond loopback, and plain on it.
type TLS struct {
	Mode       string `yaml:"mode"`
	CAFile     string `yaml:"ca_file"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
	Legacy     bool   `yaml:"legacy"`
}

// Peer gives the rules for connections.
func (t TLS) Peer() peer.TLS {
	return peer.TLS{Mode: peer.Mode(t.Mode), CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile, ServerName: t.ServerName, Legacy: t.Legacy}
}

func (t TLS) check(where string, hosts ...string) error {
	p := t.Peer().On(hosts...)
	switch err := p.Check(); {
	case errors.Is(err, peer.ErrMode):
		return wrong(fmt.Sprintf("%s.tls.mode %q", where, t.Mode), oneOf, "none, prefer, require, verify-ca, verify-full")
	case errors.Is(err, peer.ErrPair):
		return missing(where+".tls", certAndKey)
	case err != nil:
		return wrong(fmt.Sprintf("%s.tls.mode %s", where, p.Mode), noUse)
	}
	return nil
}

// SASL is who this program is for Kafka.
type SASL struct {
	Mechanism string `yaml:"mechanism"`
	User      string `yaml:"user"`
	Secret    `yaml:",inline"`
}

// Encrypted says whether the brokers are spoken to by TLS.
func (l *Log) Encrypted() bool { return l.TLS.Peer().On(l.hosts()...).Mode != peer.None }

// hosts are those of the brokers.
func (l *Log) hosts() (hosts []string) {
	for _, b := range l.Brokers {
		host, _, err := net.SplitHostPort(b)
		if err != nil {
			host = b
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// checkAccess implements the rules of log.tls and log.sasl.
func (l *Log) checkAccess() error {
	hosts := l.hosts()
	p := l.TLS.Peer().On(hosts...)
	all := []error{l.TLS.check("log", hosts...)}
	if l.Embedded && (p.Mode != peer.None || l.SASL != nil) {
		all = append(all, wrong("log", embeddedPlain))
	}
	if p.Mode == peer.Prefer {
		all = append(all, wrong("log.tls.mode prefer", noPrefer))
	}
	if l.SASL == nil {
		return errors.Join(all...)
	}
	all = append(all, needs("log.sasl", "user", l.SASL.User), l.SASL.Secret.check("log.sasl"))
	if !slices.Contains(kafka.Mechanisms, l.SASL.Mechanism) {
		all = append(all, wrong(fmt.Sprintf("log.sasl.mechanism %q", l.SASL.Mechanism), oneOf, "SCRAM-SHA-512, SCRAM-SHA-256, PLAIN"))
	}
	if l.SASL.Mechanism == kafka.Plain && !p.Mode.Verifies() && slices.ContainsFunc(hosts, func(h string) bool { return !peer.Loopback(h) }) {
		all = append(all, &Finding{Code: codePlaintext, place: "log.sasl.mechanism " + kafka.Plain, text: plainPassword})
	}
	return errors.Join(all...)
}
