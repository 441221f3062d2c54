// Package preflight looks at a source before it is captured: all that stands against it
// at once, what each of it leads to, and the statement that repairs it. It decides what
// is a finding; the texts for people belong to the command, by the findings' codes. It
// reads settings, statistics and catalogue only: no row of a table, and it writes nothing.
package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/postgres"
)

// Severity is how much a finding weighs.
type Severity uint8

// The severities, from light to heavy.
const (
	Advice  Severity = iota // better otherwise; nothing is lost
	Harms                   // capture works, and something will be missing, late or wrong one day
	Refuses                 // the source or a table of it can't be captured, or is known to stop
)

var severities = [...]string{Advice: "advice", Harms: "harms", Refuses: "refuses"}

// String gives the severity's name in reports.
func (s Severity) String() string {
	if int(s) < len(severities) {
		return severities[s]
	}
	return fmt.Sprintf("severity(%d)", uint8(s))
}

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Repair is one step that takes a finding away. The steps of a finding belong together,
// in their order; of SQL, Setting and Agent at least one is set.
type Repair struct {
	// SQL is one statement for the source's administrator, without a semicolon.
	SQL string `json:"sql,omitempty"`
	// Undo is the statement that takes SQL back.
	Undo string `json:"undo,omitempty"`
	// Setting is the line of the server's configuration file that makes it last.
	Setting string `json:"setting,omitempty"`
	// Agent is the line of the agent's file.
	Agent string `json:"agent,omitempty"`
	// Restart says that it counts from the server's next start on.
	Restart bool `json:"restart,omitempty"`
	// Rebuild says that the statement writes the table anew, or keeps writers waiting.
	Rebuild bool `json:"rebuild,omitempty"`
	// Decide says that the statement takes something away, or changes what applications
	// see: a person decides whether it is to be run.
	Decide bool `json:"decide,omitempty"`
	// Instead says that the steps so marked, which stand together, do as well in place of
	// those before them.
	Instead bool `json:"instead,omitempty"`
}

// Finding is one thing that stands against capture.
type Finding struct {
	Code     string   `json:"code"` // stable, as in errors
	Severity Severity `json:"severity"`
	// Object is what it is about: a table, a user, a pattern. Empty for the server.
	Object string `json:"object,omitempty"`
	// Found is what is there, as the server says it.
	Found   string   `json:"found,omitempty"`
	Repairs []Repair `json:"repairs,omitempty"`
}

// Unseen is a question that the server refused to the source's user.
type Unseen struct {
	Question string `json:"question"`
	Reason   string `json:"reason"`
}

// Rate is how fast the server's log grows.
type Rate struct {
	BytesPerDay int64  `json:"bytes_per_day"`
	Basis       string `json:"basis"` // the counter and its time
	// Seconds is that time. After a few of them the rate is no more than a guess.
	Seconds float64 `json:"seconds,omitempty"`
}

// tells reports whether the counter's time is long enough to say what a server needs.
func (r *Rate) tells() bool { return r != nil && r.Seconds >= 3600 }

// Table is a wanted table's size by the server's statistics.
type Table struct {
	ID    string `json:"id"`
	Rows  int64  `json:"rows"` // estimated; -1 if the server has no statistics
	Bytes int64  `json:"bytes"`
}

// Report is what was found at one source.
type Report struct {
	Source   string    `json:"source"`
	Server   string    `json:"server"` // product and version
	Findings []Finding `json:"findings"`
	Unseen   []Unseen  `json:"unseen,omitempty"`
	// LogRate is nil where no counter of the server tells it.
	LogRate *Rate   `json:"log_rate,omitempty"`
	Tables  []Table `json:"tables"`
	// Makes is what the agent makes at the source by itself when it starts.
	Makes []Repair `json:"makes,omitempty"`
}

// Worst gives the heaviest severity; false if there is no finding.
func (r *Report) Worst() (worst Severity, any bool) {
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	return worst, len(r.Findings) > 0
}

func (r *Report) add(severity Severity, code, object, found string, repairs ...Repair) {
	r.Findings = append(r.Findings, Finding{Code: code, Severity: severity, Object: object, Found: found, Repairs: repairs})
}

// Options says which source to look at. One of MySQL and Postgres is set.
type Options struct {
	MySQL    *mysql.Options
	Postgres *postgres.Options
	// Load says that the tables are to be loaded, not only what changes in them.
	Load bool
	// Long is the age at which an open transaction counts as long. Default 1 min.
	Long time.Duration
	// Now is the clock that stamps are made with. Default time.Now.
	Now func() time.Time
	// Printed is what Script's script has printed. With it no server is asked; what only a
	// connection of the agent's own shows is Unseen.
	Printed []byte
}

func (o *Options) fill() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Long == 0 {
		o.Long = time.Minute
	}
}

var errOptions = errors.New("preflight options: one of MySQL and Postgres must be set")

// Check asks the server everything and judges the answers. The error wraps
// capture.ErrConnection if the server can't be reached; a server that refuses the user
// is a finding. ctx bounds it all.
func Check(ctx context.Context, o Options) (*Report, error) {
	o.fill()
	r := &Report{Findings: []Finding{}, Tables: []Table{}}
	var err error
	switch {
	case o.MySQL != nil:
		r.Source = o.MySQL.Source.ID
		err = checkMySQL(ctx, &o, r)
	case o.Postgres != nil:
		r.Source = o.Postgres.Source.ID
		err = checkPostgres(ctx, &o, r)
	default:
		return nil, errOptions
	}
	if errors.Is(err, errUnprinted) {
		err = fmt.Errorf("%w: %w", ErrPrinted, err)
	}
	if code, _ := capture.CodeOf(err); errors.Is(err, capture.ErrAccess) && code != "" {
		r.add(Refuses, code, "", err.Error(), secured[code]...)
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", r.Source, err)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Object, b.Object))
	})
	return r, nil
}

// unseen notes what a file can't show.
func (r *Report) unseen(question, reason string) {
	r.Unseen = append(r.Unseen, Unseen{question, reason})
}

// onlyLive is why something can't be judged from a file.
const onlyLive = "only a connection of the agent shows it"

// stranger notes that a script was run by another user than the source's, so that what
// that one may do isn't known.
func (r *Report) stranger(ran, wanted string) {
	r.unseen("privileges of "+wanted, "the script was run by "+ran)
}

// shared looks for tables of the source that go into one table of the store: TRUNCATE of
// one would take the rows of the others along.
func (r *Report) shared(datasets map[string]string) {
	into := map[string][]string{}
	for _, t := range r.Tables {
		name := cmp.Or(datasets[t.ID], t.ID[strings.LastIndexByte(t.ID, '.')+1:])
		into[name] = append(into[name], t.ID)
	}
	for name, ids := range into {
		if len(ids) < 2 {
			continue
		}
		other := fmt.Sprintf("datasets: {%s: %s}", ids[1], strings.ReplaceAll(ids[1], ".", "_"))
		r.add(Harms, "DATASET_SHARED", name, strings.Join(ids, ", "), Repair{Agent: other})
	}
}

// tooFar is a difference between two clocks that makes lag figures wrong for people.
const tooFar = time.Second

// clocks compares the server's clock with ours, which stood at before and after around
// the question.
func (r *Report) clocks(server, before, after time.Time) {
	off := server.Sub(before.Add(after.Sub(before) / 2))
	if off = off.Round(time.Millisecond); off.Abs() > tooFar+after.Sub(before)/2 {
		r.add(Harms, "SOURCE_CLOCK", "", fmt.Sprintf("server - agent = %s", off))
	}
}

// wantedHours is for how long a server should keep what nobody has read: an agent may be
// down over a holiday.
const wantedHours = 72

// lasts gives how many hours of the log fit into a number of bytes.
func (r *Rate) lasts(bytes int64) float64 {
	return float64(bytes) / max(1, float64(r.BytesPerDay)) * 24
}

// connections is how many a source takes: its log, its catalogue, two that load tables,
// one that looks at what the server keeps, and preflight's own.
const connections = 6

// manyColumns is how many columns a table may have for a PostgreSQL store: 1600, of which
// the store's own are seven at most.
const manyColumns = 1600 - 7

// longName is how many bytes a name may have in a PostgreSQL store.
const longName = 63
