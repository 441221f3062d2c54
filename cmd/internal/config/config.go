// Package config reads the YAML files of the agent, the worker, the hub and the log. It
// decides what a valid file is; it opens no connection.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/kafka"
)

// Log says where the log is.
type Log struct {
	Brokers []string `yaml:"brokers"`
	// Embedded says that the brokers are the embedded log, which forgets producers
	// when it dies.
	Embedded bool `yaml:"embedded"`
	// Durability is "replicated" (the default: two brokers have a record before it is
	// acknowledged) or "single": one broker holds everything, its loss is accepted. The
	// embedded log is always single.
	Durability string `yaml:"durability"`
	TLS        TLS    `yaml:"tls"`
	// SASL is nil for brokers that ask nobody who he is, and for an agent whose hub has made
	// it a user.
	SASL *SASL `yaml:"sasl"`
	// Granted is the user that a hub has made; it doesn't stand in a file, and SASL counts
	// before it.
	Granted *kafka.Login `yaml:"-"`
}

// The values of Log.Durability.
const (
	Replicated = "replicated"
	Single     = "single"
)

// Secret is where a password comes from: exactly one of a file or the environment.
type Secret struct {
	File string `yaml:"password_file"`
	Env  string `yaml:"password_env"`
}

// Read gives the password. It never stands in an error.
func (s Secret) Read() (string, error) {
	if s.Env != "" {
		v, ok := os.LookupEnv(s.Env)
		if !ok {
			return "", &Finding{Code: codeSecret, place: "password_env", text: variableUnset, args: []any{s.Env}}
		}
		return v, nil
	}
	b, err := os.ReadFile(s.File)
	if err != nil {
		return "", &Finding{Code: codeSecret, place: "password_file", text: cantRead, args: []any{err}}
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func (s Secret) check(where string) error {
	if (s.File == "") == (s.Env == "") {
		return &Finding{Code: codeSecret, place: where, text: oneSecret}
	}
	return nil
}

// Source is one source database of an agent.
type Source struct {
	Name     string `yaml:"name"`
	Engine   string `yaml:"engine"`
	Host     string `yaml:"host"`
	Port     uint16 `yaml:"port"`
	Database string `yaml:"database"`
	User     string `yaml:"user"`
	Secret   `yaml:",inline"`
	// Sealed is a file that has the password encrypted, instead of Secret.
	Sealed   string            `yaml:"password_sealed"`
	TLS      TLS               `yaml:"tls"`
	Tables   []string          `yaml:"tables"`
	Datasets map[string]string `yaml:"datasets"`
	// Keys and Append are for tables without a primary key, see capture.Keyless.
	Keys   map[string][]string `yaml:"keys"`
	Append []string            `yaml:"append"`
	// Caps bound the values of single columns, by table and column.
	Caps       map[string]map[string]Cap `yaml:"caps"`
	Partition  int32                     `yaml:"partition"`
	FirstStart string                    `yaml:"first_start"`
	Load       Loading                   `yaml:"load"`
	// Fuse is what we may hold back at the source, Warn is when to warn before.
	Fuse Fuse `yaml:"fuse"`
	Warn Warn `yaml:"warn"`
	// Takes says that a hub has just given the source of another agent to this one; it doesn't
	// stand in a file.
	Takes bool `yaml:"-"`
	// Paused is since when a hub doesn't want the source to be read, zero if it does; it
	// doesn't stand in a file.
	Paused time.Time `yaml:"-"`
	// Verify compares tables with the stores again and again.
	Verify Verifying `yaml:"verify"`

	// Typed is a password that stands nowhere yet; it counts before all others, and isn't part of
	// a file.
	Typed *string `yaml:"-"`

	key string // the file that opens Sealed
}

// Keyless says what is done with the source's tables that have no primary key.
func (s *Source) Keyless() capture.Keyless { return capture.Keyless{Keys: s.Keys, Append: s.Append} }

// Address is where the source's database is, HOST:PORT.
func (s *Source) Address() string {
	port := s.Port
	if port == 0 {
		port = usualPorts[s.Engine]
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(int(port)))
}

var usualPorts = map[string]uint16{"mysql": 3306, "mariadb": 3306, "postgres": 5432}

// Agent is the file of `tributary agent`.
type Agent struct {
	Name        string        `yaml:"name"`
	Org         string        `yaml:"org"`
	Log         Log           `yaml:"log"`
	DataDir     string        `yaml:"data_dir"`
	Partitions  int           `yaml:"partitions"`
	Codec       string        `yaml:"codec"`
	StopTimeout time.Duration `yaml:"stop_timeout"`
	HTTP        string        `yaml:"http"`
	Sources     []Source      `yaml:"sources"`
	// Joined is the folder that `tributary join` has made; empty for an agent without hub.
	Joined string `yaml:"joined"`
	// PasswordKey is the file of the key that opens the sealed passwords of sources. One that
	// systemd gives as a credential counts before it.
	PasswordKey string `yaml:"password_key"`
}

// StoreDB is a worker's store.
type StoreDB struct {
	// Name is what the store is called in status records and on the page. Default the
	// database's.
	Name     string `yaml:"name"`
	Host     string `yaml:"host"`
	Port     uint16 `yaml:"port"`
	Database string `yaml:"database"`
	User     string `yaml:"user"`
	Secret   `yaml:",inline"`
	TLS      TLS    `yaml:"tls"`
	Schema   string `yaml:"schema"`
	// Target is where the rows of datasets stand that Datasets doesn't name.
	Target string `yaml:"target"`
	// Evolution is what becomes of datasets whose tables change at a source.
	Evolution string            `yaml:"evolution"`
	Datasets  map[string]Layout `yaml:"datasets"`
}

// Layout is how one dataset stands in the store.
type Layout struct {
	Target    string `yaml:"target"`
	Key       string `yaml:"key"`
	Evolution string `yaml:"evolution"`
}

// Held bounds what a store keeps of one stopped table, until it is accepted. The zero value
// is 1000000 rows and 1GB.
type Held struct {
	Rows int64 `yaml:"rows"`
	Size Size  `yaml:"size"`
}

// Worker is the file of `tributary worker`.
type Worker struct {
	Name string   `yaml:"name"`
	Log  Log      `yaml:"log"`
	Orgs []string `yaml:"orgs"`
	// Group is the consumer group that all workers of the store share. Default
	// "tributary." and the store's database.
	Group string `yaml:"group"`
	// DataDir is for rows of large transactions that wait for their commit. Without
	// one they go to the system's folder for temporary files.
	DataDir string `yaml:"data_dir"`
	// Held bounds what the store keeps of one stopped table.
	Held        Held          `yaml:"held"`
	StopTimeout time.Duration `yaml:"stop_timeout"`
	HTTP        string        `yaml:"http"`
	// Registry is where the schema registry of the orgs answers; empty for none.
	Registry string  `yaml:"registry"`
	Store    StoreDB `yaml:"store"`
}

// LogServer is the file of `tributary log`.
type LogServer struct {
	DataDir string `yaml:"data_dir"`
	Port    int    `yaml:"port"`
}

// ErrInvalid reports a file that can't be used as it is.
var ErrInvalid = errors.New("invalid configuration")

// Decode reads a file into one of the structs of this package and checks it.
// Unknown keys are refused.
func Decode(b []byte, into interface{ Check() error }) error {
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ErrInvalid, unreadable(err))
	}
	if err := into.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// Load reads a file by its name.
func Load(name string, into interface{ Check() error }) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return &FileError{name, &Finding{Code: codeFile, text: cantRead, args: []any{err}}}
	}
	if err := Decode(b, into); err != nil {
		return &FileError{name, err}
	}
	return nil
}

// keys are what each struct knows, for the suggestion.
var keys = map[string][]string{
	"Agent":       {"name", "org", "log", "data_dir", "partitions", "codec", "stop_timeout", "http", "sources", "joined", "password_key"},
	"Worker":      {"name", "log", "orgs", "group", "data_dir", "held", "stop_timeout", "http", "registry", "store"},
	"Hub":         {"http", "log", "orgs", "stores", "accounts", "state", "data_dir", "names", "tls", "agents", "partitions", "rights", "alarms"},
	"Alarms":      {"late", "unheard", "freshness", "retention", "after", "calm", "webhooks", "mail", "report"},
	"Mail":        {"name", "host", "port", "tls", "ca_file", "user", "password_file", "password_env", "from", "to", "language"},
	"Report":      {"at", "zone"},
	"Webhook":     {"name", "form", "password_file", "password_env", "sign_file", "language"},
	"Certificate": {"cert_file", "key_file"},
	"Database":    {"host", "port", "database", "user", "password_file", "password_env", "tls"},
	"Registry":    {"log", "orgs", "http"},
	"LogServer":   {"data_dir", "port"},
	"Log":         {"brokers", "embedded", "durability", "tls", "sasl"},
	"TLS":         {"mode", "ca_file", "cert_file", "key_file", "server_name", "legacy"},
	"SASL":        {"mechanism", "user", "password_file", "password_env"},
	"Source": {"name", "engine", "host", "port", "database", "user", "password_file", "password_env", "password_sealed", "tls", "tables",
		"datasets", "keys", "append", "caps", "partition", "first_start", "load", "fuse", "warn", "verify"},
	"Cap":       {"size", "action"},
	"Fuse":      {"size", "age"},
	"Warn":      {"left", "held"},
	"Held":      {"rows", "size"},
	"Verifying": {"every", "tables", "repair", "without"},
	"Loading":   {"rows_per_second", "quiet_hours", "time_zone"},
	"StoreDB":   {"name", "host", "port", "database", "user", "password_file", "password_env", "tls", "schema", "target", "evolution", "datasets"},
	"HubStore":  {"name", "host", "port", "database", "user", "password_file", "password_env", "tls", "schema", "target", "evolution", "datasets", "orgs"},
	"Layout":    {"target", "key", "evolution"},
}

var orgCode = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

func (l *Log) check() error {
	if l.Durability == "" && l.Embedded {
		l.Durability = Single
	}
	if l.Durability == "" {
		l.Durability = Replicated
	}
	switch {
	case len(l.Brokers) == 0:
		return missing("log.brokers", atLeastHost)
	case l.Durability != Replicated && l.Durability != Single:
		return wrong(fmt.Sprintf("log.durability %q", l.Durability), durabilities)
	case l.Embedded && l.Durability == Replicated:
		return wrong("log.durability "+Replicated, oneNode)
	}
	return l.checkAccess()
}

// Check implements the rules of the agent's file and fills defaults.
func (a *Agent) Check() error {
	if a.HTTP == "" {
		a.HTTP = "127.0.0.1:0"
	}
	if a.Partitions == 0 {
		a.Partitions = 1
	}
	all := []error{a.Log.check(), address("http", a.HTTP)}
	if a.Name == "" || !orgCode.MatchString(a.Org) {
		all = append(all, wrong(fmt.Sprintf("name %q, org %q", a.Name, a.Org), agentNames))
	}
	if a.DataDir == "" {
		all = append(all, missing("data_dir", aFolder))
	}
	if a.Codec == "" {
		a.Codec = envelope.Avro.String()
	}
	if _, err := envelope.ParseCodec(a.Codec); err != nil {
		all = append(all, wrong(fmt.Sprintf("codec %q", a.Codec), oneOf, "avro, json"))
	}
	if len(a.Sources) == 0 {
		all = append(all, missing("sources", atLeastOne))
	}
	seen := map[string]bool{}
	for i := range a.Sources {
		a.Sources[i].key = a.PasswordKey
		s, where := a.Sources[i], fmt.Sprintf("sources[%d]", i)
		if !orgCode.MatchString(s.Name) || seen[s.Name] {
			all = append(all, wrong(fmt.Sprintf("%s.name %q", where, s.Name), nameCodes))
		}
		seen[s.Name] = true
		all = append(all, needs(where, "host", s.Host, "user", s.User))
		if len(s.Tables) == 0 {
			all = append(all, missing(where+".tables", onePattern))
		}
		for _, p := range s.Tables {
			if !strings.Contains(p, ".") {
				all = append(all, wrong(fmt.Sprintf("%s.tables %q", where, p), twoParts, p))
			}
		}
		keyless := s.Keyless()
		for _, f := range keyless.Faults(s.Tables) {
			all = append(all, wrong(where+"."+f.Place, faults[f.Fault]))
		}
		all = append(all, s.checkCaps(where))
		switch s.Engine {
		case "postgres":
			if s.Database == "" {
				all = append(all, missing(where+".database", needsBase))
			}
		case "mysql", "mariadb":
			if s.Database != "" {
				all = append(all, wrong(where+".database", noBase, s.Engine))
			}
		default:
			all = append(all, wrong(fmt.Sprintf("%s.engine %q", where, s.Engine), oneOf, "postgres, mysql, mariadb"))
		}
		if s.FirstStart != "" && s.FirstStart != "now" && s.FirstStart != "load" {
			all = append(all, wrong(fmt.Sprintf("%s.first_start %q", where, s.FirstStart), firstStarts))
		}
		if s.Partition < 0 || int(s.Partition) >= a.Partitions {
			all = append(all, wrong(fmt.Sprintf("%s.partition %d", where, s.Partition), outside, 0, a.Partitions-1))
		}
		all = append(all, s.checkPassword(where), s.TLS.check(where, s.Host), s.Load.check(where), s.Fuse.check(where, s.Engine), s.Warn.check(where), s.Verify.check(where, s.Tables))
	}
	return errors.Join(all...)
}

// address checks where something is served, if it is.
func address(key, addr string) error {
	if addr == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
		return wrong(fmt.Sprintf("%s %q", key, addr), anAddress)
	}
	return nil
}

// needs reports those of the keys, each followed by its value, that have none.
func needs(where string, keysAndValues ...string) error {
	var all []error
	for i := 0; i < len(keysAndValues); i += 2 {
		if keysAndValues[i+1] == "" {
			all = append(all, missing(where+"."+keysAndValues[i], isMissing))
		}
	}
	return errors.Join(all...)
}

// Check implements the rules of the worker's file and fills defaults.
func (w *Worker) Check() error {
	if w.HTTP == "" {
		w.HTTP = "127.0.0.1:0"
	}
	if w.Group == "" {
		w.Group = "tributary." + w.Store.Database
	}
	w.Store.fill()
	all := []error{w.Log.check(), w.Store.checkStore("store"), address("http", w.HTTP), address("registry", w.Registry)}
	if w.Held.Rows < 0 {
		all = append(all, wrong(fmt.Sprintf("held.rows %d", w.Held.Rows), belowZero))
	}
	if w.Name == "" {
		all = append(all, missing("name", workerName))
	}
	if w.StopTimeout < 0 {
		all = append(all, wrong("stop_timeout "+w.StopTimeout.String(), belowZero))
	}
	if len(w.Orgs) == 0 {
		all = append(all, missing("orgs", atLeastOne))
	}
	return errors.Join(all...)
}

// Check implements the rules of the log's file.
func (l *LogServer) Check() error {
	if l.DataDir == "" {
		return missing("data_dir", aFolder)
	}
	if l.Port < 0 || l.Port > 65535 {
		return wrong(fmt.Sprintf("port %d", l.Port), outside, 0, 65535)
	}
	return nil
}
