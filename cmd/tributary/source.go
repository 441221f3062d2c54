package main

import (
	mysqlcapture "github.com/tributary-cdc/tributary/capture/mysql"
	pgcapture "github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/event"
)

// mysqlOptions gives the reader's options of a MySQL or MariaDB source.
func mysqlOptions(src event.Source, s config.Source, password string) mysqlcapture.Options {
	return mysqlcapture.Options{Source: src, Host: s.Host, Port: s.Port, User: s.User, Password: password, TLS: s.TLS.Peer(), Tables: s.Tables, Datasets: s.Datasets, Keyless: s.Keyless(), Caps: s.ColumnCaps()}
}

// postgresOptions gives the reader's options of a PostgreSQL source.
func postgresOptions(src event.Source, s config.Source, password string) pgcapture.Options {
	return pgcapture.Options{Source: src, Host: s.Host, Port: s.Port, Database: s.Database, User: s.User, Password: password, TLS: s.TLS.Peer(), Tables: s.Tables, Datasets: s.Datasets, Keyless: s.Keyless(), Caps: s.ColumnCaps()}
}
