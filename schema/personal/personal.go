// Package personal guesses which columns of a table hold personal data: by their names and
// comments, and by the form of sampled values. It decides what is suspected and why; it
// reads no database, and what it gives holds no value that it has seen.
package personal

import (
	"math"
	"slices"
)

// Kind is a kind of personal data.
type Kind string

// The kinds, those that weigh most first. Kinds gives them in this order.
const (
	IDNumber      Kind = "id_number"      // of a citizen (GB 11643), a passport or another paper
	StudentNumber Kind = "student_number" // of enrolment, which holds the id number
	BankCard      Kind = "bank_card"
	Health        Kind = "health"
	Biometric     Kind = "biometric" // photos, too
	Religion      Kind = "religion"
	Ethnicity     Kind = "ethnicity"
	Politics      Kind = "politics"
	Income        Kind = "income" // of a family, and what it gets for being poor
	Name          Kind = "name"
	Phone         Kind = "phone"
	Email         Kind = "email"
	Address       Kind = "address"
	Birth         Kind = "birth"
)

// Kinds are all kinds.
var Kinds = []Kind{IDNumber, StudentNumber, BankCard, Health, Biometric, Religion, Ethnicity, Politics, Income, Name, Phone, Email, Address, Birth}

// Reason is why a column is suspected.
type Reason string

// The reasons.
const (
	ByName    Reason = "name"
	ByComment Reason = "comment"
	ByForm    Reason = "form" // of sampled values
)

// Reasons are all reasons.
var Reasons = []Reason{ByName, ByComment, ByForm}

// Hint says that a column may hold personal data of a kind.
type Hint struct {
	Column  string   `json:"column"`
	Kind    Kind     `json:"kind"`
	Reasons []Reason `json:"reasons"`
	// Share is the part of the sampled values that have the kind's form, 0 to 1 in steps of
	// 0.01, but never 0 if one has. It is 0 where no value was looked at.
	Share float64 `json:"share"`
}

// Column is what is known of a column.
type Column struct {
	Name, Comment string
	// Values are sampled ones; empty texts don't count.
	Values []string
}

// Guess gives what is suspected of a column, what weighs most first; nothing for most
// columns.
func Guess(c Column) (hints []Hint) {
	named, commented := ofName(c.Name), ofComment(c.Comment)
	formed := ofForm(c.Values)
	for _, k := range Kinds {
		h := Hint{Column: c.Name, Kind: k}
		for _, r := range []struct {
			reason Reason
			holds  bool
		}{{ByName, named == k}, {ByComment, slices.Contains(commented, k)}, {ByForm, formed[k].tells(k)}} {
			if r.holds {
				h.Reasons = append(h.Reasons, r.reason)
			}
		}
		if len(h.Reasons) > 0 {
			h.Share = formed[k].share()
			hints = append(hints, h)
		}
	}
	return hints
}

// count is how many sampled values have a form.
type count struct{ has, distinct, of int }

// share rounds so that it tells nothing of a single value of many.
func (c count) share() float64 {
	if c.of == 0 || c.has == 0 {
		return 0
	}
	return max(0.01, math.Round(100*float64(c.has)/float64(c.of))/100)
}

// enough is from which part of the values on a form counts, and how many different values
// must have it: a form that chance gives needs more of both.
var enough = map[Kind]struct {
	share    float64
	distinct int
}{
	IDNumber: {0.02, 1}, StudentNumber: {0.02, 1}, BankCard: {0.5, 2}, Health: {0.05, 1}, Name: {0.6, 3}, Phone: {0.1, 1}, Email: {0.05, 1}, Address: {0.2, 2},
}

func (c count) tells(k Kind) bool {
	e, has := enough[k]
	return has && c.of > 0 && c.distinct >= e.distinct && float64(c.has) >= e.share*float64(c.of)
}
