package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/tributary-cdc/tributary/sinks/postgres"
)

// Hub is the file of `tributary hub`.
type Hub struct {
	HTTP   string    `yaml:"http"`
	Log    Log       `yaml:"log"`
	Orgs   []string  `yaml:"orgs"`
	Stores []StoreDB `yaml:"stores"`
	// State is the database in which the hub keeps orgs, accounts and sources; nil if it
	// keeps none.
	State *Database `yaml:"state"`
}

// Database is where a program keeps what it knows.
type Database struct {
	Host     string `yaml:"host"`
	Port     uint16 `yaml:"port"`
	Database string `yaml:"database"`
	User     string `yaml:"user"`
	Secret   `yaml:",inline"`
	TLS      TLS `yaml:"tls"`
}

// Check implements the rules of the hub's file and fills defaults.
func (h *Hub) Check() error {
	if h.HTTP == "" {
		h.HTTP = "127.0.0.1:8060"
	}
	all := []error{h.Log.check()}
	host, _, err := net.SplitHostPort(h.HTTP)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		all = append(all, wrong(fmt.Sprintf("http %q", h.HTTP), loopbackOnly))
	}
	if len(h.Orgs) == 0 {
		all = append(all, missing("orgs", atLeastOne))
	}
	for _, o := range h.Orgs {
		if !orgCode.MatchString(o) {
			all = append(all, wrong(fmt.Sprintf("orgs %q", o), codeChars))
		}
	}
	seen := map[string]bool{}
	for i := range h.Stores {
		s := &h.Stores[i]
		where := fmt.Sprintf("stores[%d]", i)
		s.fill()
		if s.Name == "" || seen[s.Name] {
			all = append(all, wrong(fmt.Sprintf("%s.name %q", where, s.Name), nameTwice))
		}
		seen[s.Name] = true
		all = append(all, s.checkStore(where))
	}
	if d := h.State; d != nil {
		all = append(all, d.check("state"), d.TLS.check("state", d.Host), needs("state", "host", d.Host, "database", d.Database, "user", d.User))
	}
	return errors.Join(all...)
}

// fill gives the store the name of its database if it has none.
func (s *StoreDB) fill() {
	if s.Name == "" {
		s.Name = s.Database
	}
}

func (s *StoreDB) checkStore(where string) error {
	all := []error{s.check(where), s.TLS.check(where, s.Host), needs(where, "host", s.Host, "database", s.Database, "user", s.User)}
	if len(s.Schema) > 63 || postgres.Reserved(s.Schema) {
		all = append(all, wrong(fmt.Sprintf("%s.schema %q", where, s.Schema), schemaName))
	}
	target, datasets := s.Layouts()
	all = append(all, checkLayout(where, postgres.Layout{Target: target}))
	for _, name := range slices.Sorted(maps.Keys(datasets)) {
		all = append(all, checkLayout(where+".datasets."+name, datasets[name]))
	}
	return errors.Join(all...)
}

func checkLayout(where string, l postgres.Layout) error {
	switch {
	case (postgres.Layout{Target: l.Target}).Check() != nil:
		return wrong(fmt.Sprintf("%s.target %q", where, l.Target), oneOf, "dataset, mirror")
	case (postgres.Layout{Key: l.Key}).Check() != nil:
		return wrong(fmt.Sprintf("%s.key %q", where, l.Key), oneOf, "source, contract")
	case l.Check() != nil:
		return wrong(fmt.Sprintf("%s.key %q", where, l.Key), mirrorKey)
	}
	return nil
}

// Layouts gives the target of all datasets, and what is said of single ones.
func (s *StoreDB) Layouts() (postgres.Target, map[string]postgres.Layout) {
	out := make(map[string]postgres.Layout, len(s.Datasets))
	for name, l := range s.Datasets {
		out[name] = postgres.Layout{Target: postgres.Target(l.Target), Key: postgres.Key(l.Key)}
	}
	return postgres.Target(s.Target), out
}
