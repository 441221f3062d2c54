package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/mail"
	"regexp"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// Hub is the file of `tributary hub`.
type Hub struct {
	HTTP   string     `yaml:"http"`
	Log    Log        `yaml:"log"`
	Orgs   []string   `yaml:"orgs"`
	Stores []HubStore `yaml:"stores"`
	// Accounts is "required" (the default: whoever comes logs in) or "none": a page of
	// states for whoever may use the machine, on loopback only.
	Accounts string `yaml:"accounts"`
	// State is the database in which the hub keeps orgs, accounts and sources; nil if it
	// keeps none.
	State *Database `yaml:"state"`
	// DataDir holds the key of the hub's authority.
	DataDir string `yaml:"data_dir"`
	// Names are those under which people and agents reach the hub, the first one being
	// what they are told. Beyond loopback at least one is needed.
	Names []string `yaml:"names"`
	// TLS is the page's own certificate. Without one, and beyond loopback, the hub's
	// authority makes one.
	TLS *Certificate `yaml:"tls"`
	// Agents is where agents come, always by TLS; empty if none can.
	Agents string `yaml:"agents"`
	// Rights is "made" (the default: where Kafka has authorisation, an approval makes the agent
	// a user with ACLs) or "given": an administrator does.
	Rights string `yaml:"rights"`
	// Partitions is the number that the hub makes for an org's topic of changes. Default 4.
	Partitions int `yaml:"partitions"`
	// Alarms are the bounds of alarms and where messages about them go.
	Alarms Alarms `yaml:"alarms"`
}

// HubStore is a store that the hub looks at.
type HubStore struct {
	StoreDB `yaml:",inline"`
	// Orgs are those of the tree of which, with all below them, sources come into the store;
	// empty for all.
	Orgs []string `yaml:"orgs"`
}

// Alarms tunes the hub's alarms.
type Alarms struct {
	// Late is the lag beyond which a source isn't well. Default 1m.
	Late time.Duration `yaml:"late"`
	// Freshness is the lag by dataset beyond which its sources aren't well, instead of Late.
	Freshness map[string]time.Duration `yaml:"freshness"`
	// Unheard is how long after its approval a source may say nothing at all. Default 24h.
	Unheard time.Duration `yaml:"unheard"`
	// Retention is the time to a loss of a source's log below which there is an alarm.
	// Default 24h.
	Retention time.Duration `yaml:"retention"`
	// After is how long something must be wrong before it is an alarm. Default 15s.
	After time.Duration `yaml:"after"`
	// Calm is how long it must be gone before the alarm ends, so that what comes and goes is
	// one. Default 1m.
	Calm     time.Duration `yaml:"calm"`
	Webhooks []Webhook     `yaml:"webhooks"`
	Mail     []Mail        `yaml:"mail"`
	Report   Report        `yaml:"report"`
}

// Mail is a mail server by which alarms and reports are sent.
type Mail struct {
	Name string `yaml:"name"`
	Host string `yaml:"host"`
	Port uint16 `yaml:"port"`
	// TLS is starttls (the default, port 587), tls (port 465), or none, on loopback only.
	TLS string `yaml:"tls"`
	// CAFile has the authorities that may vouch for the server; empty for the machine's.
	CAFile string `yaml:"ca_file"`
	// User logs in with the password of Secret; without one nobody logs in.
	User     string `yaml:"user"`
	Secret   `yaml:",inline"`
	From     string   `yaml:"from"`
	To       []string `yaml:"to"`
	Language string   `yaml:"language"`
}

// Report says when shifts end and their reports are sent.
type Report struct {
	// At are times of day. Default 08:30.
	At []string `yaml:"at"`
	// Zone is a time zone by its name. Default Asia/Shanghai.
	Zone string `yaml:"zone"`
}

// Webhook is where messages about alarms go. Its address is its secret.
type Webhook struct {
	Name string `yaml:"name"`
	// Form is wecom, dingtalk or json.
	Form string `yaml:"form"`
	// Secret gives the address: password_file or password_env.
	Secret `yaml:",inline"`
	// SignFile holds the secret by which DingTalk's robot knows us; empty for none.
	SignFile string `yaml:"sign_file"`
	// Language of the messages: zh-CN (the default) or en.
	Language string `yaml:"language"`
}

// The values of Hub.Accounts.
const (
	AccountsRequired = "required"
	AccountsNone     = "none"
)

// The values of Hub.Rights.
const (
	RightsMade  = "made"
	RightsGiven = "given"
)

// Certificate is a certificate with its key, both in PEM.
type Certificate struct {
	File string `yaml:"cert_file"`
	Key  string `yaml:"key_file"`
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
	if h.Accounts == "" {
		h.Accounts = AccountsRequired
	}
	if h.Rights == "" {
		h.Rights = RightsMade
	}
	if h.Partitions == 0 {
		h.Partitions = 4
	}
	all := []error{h.Log.check(), h.checkAccess()}
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
		for _, o := range s.Orgs {
			if !orgCode.MatchString(o) {
				all = append(all, wrong(fmt.Sprintf("%s.orgs %q", where, o), codeChars))
			}
		}
		all = append(all, s.checkStore(where))
	}
	all = append(all, h.Alarms.check())
	if d := h.State; d != nil {
		all = append(all, d.check("state"), d.TLS.check("state", d.Host), needs("state", "host", d.Host, "database", d.Database, "user", d.User))
	}
	return errors.Join(all...)
}

func (a *Alarms) check() error {
	var all []error
	if a.Late < 0 || a.Unheard < 0 || a.Retention < 0 || a.After < 0 || a.Calm < 0 {
		all = append(all, wrong(fmt.Sprintf("alarms: late %s, unheard %s, retention %s, after %s, calm %s", a.Late, a.Unheard, a.Retention, a.After, a.Calm), belowZero))
	}
	for _, dataset := range slices.Sorted(maps.Keys(a.Freshness)) {
		if f := a.Freshness[dataset]; f <= 0 {
			all = append(all, wrong(fmt.Sprintf("alarms.freshness.%s %s", dataset, f), above0))
		}
	}
	seen := map[string]bool{}
	for i := range a.Webhooks {
		w := &a.Webhooks[i]
		where := fmt.Sprintf("alarms.webhooks[%d]", i)
		if !orgCode.MatchString(w.Name) || seen[w.Name] {
			all = append(all, wrong(fmt.Sprintf("%s.name %q", where, w.Name), nameTwice))
		}
		seen[w.Name] = true
		if !slices.Contains([]string{"wecom", "dingtalk", "json"}, w.Form) {
			all = append(all, wrong(fmt.Sprintf("%s.form %q", where, w.Form), oneOf, "wecom, dingtalk, json"))
		}
		if !slices.Contains([]string{"", "zh-CN", "en"}, w.Language) {
			all = append(all, wrong(fmt.Sprintf("%s.language %q", where, w.Language), oneOf, "zh-CN, en"))
		}
		all = append(all, w.check(where))
	}
	for i := range a.Mail {
		m := &a.Mail[i]
		where := fmt.Sprintf("alarms.mail[%d]", i)
		if !orgCode.MatchString(m.Name) || seen["mail "+m.Name] {
			all = append(all, wrong(fmt.Sprintf("%s.name %q", where, m.Name), nameTwice))
		}
		seen["mail "+m.Name] = true
		all = append(all, m.check(where))
	}
	for _, at := range a.Report.At {
		if _, err := time.Parse("15:04", at); err != nil {
			all = append(all, wrong(fmt.Sprintf("alarms.report.at %q", at), aTimeOfDay))
		}
	}
	if _, err := time.LoadLocation(a.Report.Zone); err != nil {
		all = append(all, wrong(fmt.Sprintf("alarms.report.zone %q", a.Report.Zone), aZone))
	}
	return errors.Join(all...)
}

func (m *Mail) check(where string) error {
	if m.TLS == "" {
		m.TLS = "starttls"
	}
	if ports := map[string]uint16{"starttls": 587, "tls": 465, "none": 25}; m.Port == 0 {
		m.Port = ports[m.TLS]
	}
	all := []error{needs(where, "host", m.Host, "from", m.From)}
	switch {
	case !slices.Contains([]string{"starttls", "tls", "none"}, m.TLS):
		all = append(all, wrong(fmt.Sprintf("%s.tls %q", where, m.TLS), oneOf, "starttls, tls, none"))
	case m.TLS == "none" && !OnLoopback(net.JoinHostPort(m.Host, "0")):
		all = append(all, wrong(fmt.Sprintf("%s.host %q", where, m.Host), openMail))
	}
	if len(m.To) == 0 {
		all = append(all, missing(where+".to", atLeastOne))
	}
	for _, address := range append([]string{m.From}, m.To...) {
		if a, err := mail.ParseAddress(address); address != "" && (err != nil || a.Address != address) {
			all = append(all, wrong(fmt.Sprintf("%s %q", where, address), aMailAddress))
		}
	}
	if !slices.Contains([]string{"", "zh-CN", "en"}, m.Language) {
		all = append(all, wrong(fmt.Sprintf("%s.language %q", where, m.Language), oneOf, "zh-CN, en"))
	}
	if m.User != "" || m.Secret != (Secret{}) {
		all = append(all, m.Secret.check(where), needs(where, "user", m.User))
	}
	return errors.Join(all...)
}

// OnLoopback reports whether an address is reached from this machine only.
func OnLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && peer.Loopback(host)
}

var hostName = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z.-]{0,251}[0-9A-Za-z])?$`)

// checkAccess holds who comes against where they come: without accounts nobody beyond
// loopback does.
func (h *Hub) checkAccess() error {
	all := []error{address("http", h.HTTP), address("agents", h.Agents)}
	switch h.Accounts {
	case AccountsNone:
		if !OnLoopback(h.HTTP) {
			all = append(all, wrong(fmt.Sprintf("http %q", h.HTTP), loopbackOnly))
		}
		if h.Agents != "" {
			all = append(all, wrong("agents "+h.Agents, needsAccounts))
		}
	case AccountsRequired:
		if h.State == nil {
			all = append(all, missing("state", hubState))
		}
		if h.DataDir == "" {
			all = append(all, missing("data_dir", aFolder))
		}
		if len(h.Names) == 0 && (!OnLoopback(h.HTTP) || h.Agents != "" && !OnLoopback(h.Agents)) {
			all = append(all, missing("names", hubNames))
		}
	default:
		all = append(all, wrong(fmt.Sprintf("accounts %q", h.Accounts), oneOf, "required, none"))
	}
	for _, name := range h.Names {
		if net.ParseIP(name) == nil && !hostName.MatchString(name) {
			all = append(all, wrong(fmt.Sprintf("names %q", name), aHostName))
		}
	}
	if h.TLS != nil {
		all = append(all, needs("tls", "cert_file", h.TLS.File, "key_file", h.TLS.Key))
	}
	if h.Rights != RightsMade && h.Rights != RightsGiven {
		all = append(all, wrong(fmt.Sprintf("rights %q", h.Rights), oneOf, "made, given"))
	}
	if h.Partitions < 1 || h.Partitions > 1000 {
		all = append(all, wrong(fmt.Sprintf("partitions %d", h.Partitions), outside, 1, 1000))
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
	all = append(all, checkLayout(where, postgres.Layout{Target: target}), checkEvolution(where, s.Evolution))
	for _, name := range slices.Sorted(maps.Keys(datasets)) {
		all = append(all, checkLayout(where+".datasets."+name, datasets[name]), checkEvolution(where+".datasets."+name, s.Datasets[name].Evolution))
	}
	return errors.Join(all...)
}

func checkEvolution(where, rule string) error {
	if postgres.Evolution(rule).Check() != nil {
		return wrong(fmt.Sprintf("%s.evolution %q", where, rule), oneOf, "evolve, halt, ignore")
	}
	return nil
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

// Evolutions gives the rules for tables that change: that of single datasets, by name.
func (s *StoreDB) Evolutions() map[string]postgres.Evolution {
	out := map[string]postgres.Evolution{}
	for name, l := range s.Datasets {
		if l.Evolution != "" {
			out[name] = postgres.Evolution(l.Evolution)
		}
	}
	return out
}
