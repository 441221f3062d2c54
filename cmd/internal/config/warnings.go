package config

import (
	"net"

	"github.com/tributary-cdc/tributary/stream/peer"
)

// Warnings are what a valid file does that a person should know of.
func (a *Agent) Warnings() []*Finding { return exposed("http", a.HTTP) }

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
