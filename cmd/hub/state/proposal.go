package state

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/schema/personal"
)

// MaxTables bounds the tables of a proposal.
const MaxTables = 5000

// maxPending bounds the requests of an agent that wait.
const maxPending = 100

// maxText bounds what a source says of itself, in bytes.
const maxText = 2000

// maxHints bounds the columns of a proposal that are suspected, maxColumn a column's name
// in bytes.
const (
	maxHints  = 20_000
	maxColumn = 256
)

// ProposedTable is a table that an agent would send, by the source's statistics.
type ProposedTable struct {
	Table   string `json:"table"`
	Dataset string `json:"dataset"`
	Rows    int64  `json:"rows"` // estimated; -1 if nobody knows
	Bytes   int64  `json:"bytes"`
	// Sampled is how many rows the agent has looked at for the form of personal data, and
	// Personal are the columns that it suspects to hold some.
	Sampled  int             `json:"sampled,omitempty"`
	Personal []personal.Hint `json:"personal,omitempty"`
}

// How an agent has looked for personal data; empty for one that didn't.
const (
	LookedNames = "names" // names and comments of columns
	LookedForms = "forms" // the form of sampled values, too
)

// ProposedFinding is what preflight found.
type ProposedFinding struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Object   string `json:"object"`
}

// Proposal is what an agent would send of a source. It holds no value of any row.
type Proposal struct {
	Name     string            `json:"name"`
	Engine   string            `json:"engine"`
	Server   string            `json:"server"`
	Standing catalog.Standing  `json:"standing"`
	Tables   []ProposedTable   `json:"tables"`
	Findings []ProposedFinding `json:"findings"`
	// Looked is how the agent has looked for personal data.
	Looked string `json:"looked,omitempty"`
}

// Check refuses what can't be, as the hub does.
func (p *Proposal) Check() error {
	bad := func(detail string, args ...any) error {
		return refusal.New(refusal.Invalid, "REQUEST_INVALID", detail, args...)
	}
	_, named := catalog.SourceID("x", p.Name)
	switch {
	case !named:
		return bad("name %.80q", p.Name)
	case !catalog.IsEngine(p.Engine):
		return bad("engine %.80q", p.Engine)
	case !catalog.IsStanding(p.Standing):
		return bad("standing %.80q", p.Standing)
	case p.Looked != "" && p.Looked != LookedNames && p.Looked != LookedForms:
		return bad("looked %.80q", p.Looked)
	case len(p.Server) > maxText:
		return bad("server: %d > %d", len(p.Server), maxText)
	case len(p.Tables) == 0 || len(p.Tables) > MaxTables:
		return bad("tables: %d", len(p.Tables))
	case len(p.Findings) > MaxTables:
		return bad("findings: %d", len(p.Findings))
	}
	if err := p.checkTables(bad); err != nil {
		return err
	}
	for _, f := range p.Findings {
		if len(f.Code) > 64 || !slices.Contains([]string{"advice", "harms", "refuses"}, f.Severity) || len(f.Object) > maxText {
			return bad("finding %.80q", f.Code)
		}
	}
	return nil
}

func (p *Proposal) checkTables(bad func(string, ...any) error) error {
	seen, hints := map[string]bool{}, 0
	for _, t := range p.Tables {
		if !catalog.IsTable(t.Table) || seen[t.Table] || t.Rows < -1 || t.Bytes < 0 {
			return bad("table %.80q", t.Table)
		}
		if !catalog.IsDataset(t.Dataset) {
			return refusal.New(refusal.Invalid, "DATASET_NAME", "%.80q, %.80q", t.Dataset, t.Table)
		}
		seen[t.Table] = true
		if hints += len(t.Personal); hints > maxHints {
			return bad("columns with personal data: more than %d", maxHints)
		}
		for _, h := range t.Personal {
			if !fits(h) || t.Sampled < 0 {
				return bad("column %.80q of table %.80q", h.Column, t.Table)
			}
		}
	}
	return nil
}

// fits reports whether a hint can be one.
func fits(h personal.Hint) bool {
	return h.Column != "" && len(h.Column) <= maxColumn && !strings.ContainsFunc(h.Column, unicode.IsControl) && slices.Contains(personal.Kinds, h.Kind) &&
		len(h.Reasons) > 0 && len(h.Reasons) <= len(personal.Reasons) && h.Share >= 0 && h.Share <= 1 &&
		!slices.ContainsFunc(h.Reasons, func(r personal.Reason) bool { return !slices.Contains(personal.Reasons, r) })
}

// The states of a request.
const (
	Pending  = "pending"
	Approved = "approved"
	Partly   = "partly"
	Turned   = "refused"
)

// Request is a proposal that waits for an approver, or has been decided.
type Request struct {
	ID      int64  `json:"id"`
	Source  string `json:"source"`
	Org     string `json:"org"`
	OrgName string `json:"org_name"`
	Path    string `json:"-"`
	Agent   string `json:"agent"`
	// Sponsor made the invitation of the agent, and may not decide.
	Sponsor string `json:"sponsor"`
	// Content is without tables and findings in a list of requests.
	Content   Proposal   `json:"content"`
	Tables    int        `json:"table_count"`
	Made      time.Time  `json:"made"`
	State     string     `json:"state"`
	Decided   *time.Time `json:"decided,omitempty"`
	DecidedBy string     `json:"decided_by,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	// Approved are the tables that may leave; none in a list of requests.
	Approved []string `json:"approved,omitempty"`
}

// Assignment is what a source was granted: where its changes go, and which tables.
type Assignment struct {
	Source    string           `json:"source"`
	Org       string           `json:"org"`
	Agent     string           `json:"agent"`
	Engine    string           `json:"engine"`
	Standing  catalog.Standing `json:"standing"`
	Topic     string           `json:"topic"`
	Partition int32            `json:"partition"`
	// Version rises with each approval.
	Version int       `json:"version"`
	Since   time.Time `json:"since"`
	// Tables are the source's tables with their datasets.
	Tables map[string]string `json:"tables"`
	// Retired is when somebody has ended the source; nil while it isn't.
	Retired   *time.Time `json:"retired,omitempty"`
	RetiredBy string     `json:"retired_by,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	// LetGo is when its agent had stopped reading it and taken away what it had at the server,
	// and Remains the SQL for what it may not take away.
	LetGo   *time.Time `json:"let_go,omitempty"`
	Remains string     `json:"remains,omitempty"`
	// HandedOver is when this agent was given the source of another one, last.
	HandedOver *time.Time `json:"handed_over,omitempty"`
	// Paused is since when its agent isn't to read it, by an order at the hub; nil while it may.
	Paused      *time.Time `json:"paused,omitempty"`
	PausedBy    string     `json:"paused_by,omitempty"`
	PauseReason string     `json:"pause_reason,omitempty"`
}
