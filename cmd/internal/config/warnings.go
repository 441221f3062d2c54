package config

import (
	"net"
	"os"

	"github.com/tributary-cdc/tributary/cmd/internal/sealed"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// Warnings are what a valid file does that a person should know of.
func (a *Agent) Warnings() []*Finding { return append(exposed("http", a.HTTP), a.KeyWarnings()...) }

// KeyWarnings warns of a key of passwords that everybody on the machine can read, as programs do of
// private keys. One that systemd gives, or that isn't there, is none.
func (a *Agent) KeyWarnings() []*Finding {
	if a.PasswordKey == "" || sealed.Credentials() != "" {
		return nil
	}
	info, err := os.Stat(a.PasswordKey)
	if err != nil || info.Mode().Perm()&0o007 == 0 {
		return nil
	}
	return []*Finding{{Code: codeKeyExposed, place: "password_key " + a.PasswordKey, text: everybodysKey, args: []any{info.Mode().Perm()}}}
}

// Warnings are what a valid file does that a person should know of.
func (w *Worker) Warnings() []*Finding { return exposed("http", w.HTTP) }

// exposed warns of an address that others can reach: status, metrics and profiles have neither
// TLS nor login. Orders are taken from this machine only, wherever it listens.
func exposed(key, addr string) []*Finding {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || peer.Loopback(host) { // Check has told of one that can't be
		return nil
	}
	return []*Finding{{Code: codeExposed, place: key + " " + addr, text: everybodyReads}}
}
