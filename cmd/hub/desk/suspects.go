package desk

import (
	"slices"

	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/schema/personal"
)

// maxSuspects bounds the columns that a request's page lists.
const maxSuspects = 300

// suspect is a column of a proposal that may hold personal data.
type suspect struct {
	Table string
	personal.Hint
	// Known says that values were looked at, so that the share tells something.
	Known bool
}

// suspects is what a request's page says of personal data.
type suspects struct {
	// Columns are the first of those that the agent suspects, Hidden is how many more it does.
	Columns []suspect
	Hidden  int
	// Kinds are those of each table, what weighs most first.
	Kinds map[string][]personal.Kind
	// Sampled is how many rows the agent has looked at, SampledTables of how many tables.
	Sampled, SampledTables int
}

func suspected(p *state.Proposal) suspects {
	s := suspects{Kinds: map[string][]personal.Kind{}}
	for _, t := range p.Tables {
		if t.Sampled > 0 {
			s.Sampled, s.SampledTables = s.Sampled+t.Sampled, s.SampledTables+1
		}
		for _, h := range t.Personal {
			if !slices.Contains(s.Kinds[t.Table], h.Kind) {
				s.Kinds[t.Table] = append(s.Kinds[t.Table], h.Kind)
			}
			if len(s.Columns) == maxSuspects {
				s.Hidden++
				continue
			}
			s.Columns = append(s.Columns, suspect{t.Table, h, t.Sampled > 0})
		}
		slices.SortFunc(s.Kinds[t.Table], func(a, b personal.Kind) int { return slices.Index(personal.Kinds, a) - slices.Index(personal.Kinds, b) })
	}
	return s
}

// PersonalKind gives a kind of personal data in words.
func (v *view) PersonalKind(k personal.Kind) string { return codes.PersonalKind(string(k), v.lang) }

// PersonalReason says why a column is suspected.
func (v *view) PersonalReason(r personal.Reason) string {
	return codes.PersonalReason(string(r), v.lang)
}

// Percent gives a share for people.
func (v *view) Percent(share float64) int { return int(100*share + 0.5) }
