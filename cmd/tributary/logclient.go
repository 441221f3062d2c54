package main

import (
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/kafka"
)

// newClient makes a client of the log that a file names; id is how the broker's logs call it.
func newClient(l config.Log, id string) (*kafka.Client, error) {
	o := kafka.Options{Brokers: l.Brokers, ClientID: id, TLS: l.TLS.Peer()}
	if l.SASL != nil {
		if _, err := l.SASL.Read(); err != nil { // later ones are read for each connection
			return nil, err
		}
		o.SASL = &kafka.Login{Mechanism: l.SASL.Mechanism, User: l.SASL.User, Password: l.SASL.Read}
	} else if l.Granted != nil {
		o.SASL = l.Granted
	}
	return kafka.New(o)
}
