// Package account decides who may do what: the roles, and what a password is. It knows
// no database and no HTTP.
package account

import (
	"slices"

	"github.com/tributary-cdc/tributary/schema/catalog"
)

// Role is what a person may do, in a part of the tree of orgs.
type Role string

// The roles. An auditor has no other role: whoever reads what others did must not be one
// of them.
const (
	Viewer        Role = "viewer"
	Operator      Role = "operator"
	Approver      Role = "approver"
	Administrator Role = "administrator"
	Auditor       Role = "auditor"
)

// Roles are all of them.
var Roles = []Role{Viewer, Operator, Approver, Administrator, Auditor}

// Act is something that a person does.
type Act string

// The acts.
const (
	See        Act = "see"        // states, orgs, sources, agents, requests
	Invite     Act = "invite"     // make and withdraw invitations, revoke agents
	Tend       Act = "tend"       // acknowledge and silence alarms, plan maintenance
	Decide     Act = "decide"     // approve and refuse requests
	Administer Act = "administer" // accounts and orgs
	Audit      Act = "audit"      // read and export what was done
)

var may = map[Role][]Act{
	Viewer:        {See},
	Operator:      {See, Invite, Tend},
	Approver:      {See, Decide},
	Administrator: {See, Administer},
	Auditor:       {See, Audit},
}

// Grant is a role within a part of the tree.
type Grant struct {
	Role Role `json:"role"`
	// Org is the part's top; empty for the whole tree.
	Org string `json:"org"`
	// Path is the path of Org; empty for the whole tree.
	Path string `json:"-"`
}

// Account is a person.
type Account struct {
	Name string `json:"name"`
	// Title is what the person is called.
	Title  string  `json:"title"`
	Grants []Grant `json:"grants"`
	// Active is false for an account that was switched off; HasPassword while it waits for
	// its first one.
	Active      bool `json:"active"`
	HasPassword bool `json:"has_password"`
}

// Scopes gives the paths of the parts of the tree in which the account may do something;
// none if nowhere.
func (a *Account) Scopes(act Act) (paths []string) {
	for _, g := range a.Grants {
		if slices.Contains(may[g.Role], act) && !slices.Contains(paths, g.Path) {
			paths = append(paths, g.Path)
		}
	}
	return paths
}

// May reports whether the account may do something with the org at a path. An empty path
// is the whole tree.
func (a *Account) May(act Act, path string) bool {
	return slices.ContainsFunc(a.Scopes(act), func(scope string) bool { return catalog.Within(path, scope) })
}

// Fits reports whether an account may have these grants: known roles, none twice, and an
// auditor's stands alone.
func Fits(grants []Grant) bool {
	seen := map[Grant]bool{}
	auditor, other := false, false
	for _, g := range grants {
		g.Path = ""
		if may[g.Role] == nil || seen[g] {
			return false
		}
		seen[g] = true
		auditor = auditor || g.Role == Auditor
		other = other || g.Role != Auditor
	}
	return !auditor || !other
}
