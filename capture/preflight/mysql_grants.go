package preflight

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/capture"
)

// grant is one line of SHOW GRANTS about databases and tables.
type grant struct {
	privileges []string // in capitals; SELECT on some columns only doesn't count
	columns    bool     // some stand on columns only
	database   string   // a pattern with % and _, or * for all
	table      string   // * for all
	option     bool     // WITH GRANT OPTION
}

var grantLine = regexp.MustCompile("^GRANT (.+?) ON (?:TABLE )?(\\*|`(?:[^`]|``)+`)\\.(\\*|`(?:[^`]|``)+`) TO ")

// parseGrant reads a line of SHOW GRANTS; false for one about something else.
func parseGrant(line string) (g grant, ok bool) {
	m := grantLine.FindStringSubmatch(line)
	if m == nil {
		return g, false
	}
	unquote := func(s string) string { return strings.ReplaceAll(strings.Trim(s, "`"), "``", "`") }
	g.database, g.table = unquote(m[2]), unquote(m[3])
	g.option = strings.Contains(line[len(m[0]):], "WITH GRANT OPTION")
	depth, part := 0, strings.Builder{}
	end := func() {
		if p := strings.ToUpper(strings.TrimSpace(part.String())); strings.Contains(p, "(") {
			g.columns = true
		} else if p != "" {
			g.privileges = append(g.privileges, p)
		}
		part.Reset()
	}
	for _, r := range m[1] {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			end()
			continue
		}
		part.WriteRune(r)
	}
	end()
	return g, true
}

// gives reports whether the line has a privilege.
func (g *grant) gives(privilege string) bool {
	return slices.ContainsFunc(g.privileges, func(p string) bool { return p == privilege || p == "ALL PRIVILEGES" || p == "ALL" })
}

// covers reports whether the line is about a database, and with table not empty about
// that table there.
func (g *grant) covers(database, table string) bool {
	if g.database != "*" && !like(g.database, database) {
		return false
	}
	return g.table == "*" || g.table == table && table != ""
}

// like matches a database with a grant's pattern, in which % stands for any characters,
// _ for one, and \ takes their meaning away.
func like(pattern, name string) bool {
	var glob strings.Builder
	escaped := false
	for _, r := range pattern {
		switch {
		case escaped:
			escaped = false
			glob.WriteString(`\` + string(r))
		case r == '\\':
			escaped = true
		case r == '%':
			glob.WriteByte('*')
		case r == '_':
			glob.WriteByte('?')
		case strings.ContainsRune(`*?[`, r):
			glob.WriteString(`\` + string(r))
		default:
			glob.WriteRune(r)
		}
	}
	return capture.Matches([]string{glob.String()}, name)
}

// has reports whether any line gives the privilege there.
func (c *mysqlServer) has(privilege, database, table string) bool {
	return slices.ContainsFunc(c.grants, func(g grant) bool { return g.gives(privilege) && g.covers(database, table) })
}

// everywhere reports whether a line about *.* gives the privilege.
func (c *mysqlServer) everywhere(privilege string) bool {
	return slices.ContainsFunc(c.grants, func(g grant) bool { return g.gives(privilege) && g.database == "*" })
}

// privileges reads what the user may do, and judges what it needs beyond tables and what
// it has too much.
func (c *mysqlServer) privileges() error {
	if c.stranger {
		c.r.stranger(c.user, c.o.MySQL.User)
		return nil
	}
	grants := "SHOW GRANTS"
	if c.printed && c.mariadb {
		role, err := c.s.Rows("read the active role", askMariaRole)
		if err != nil {
			return err
		}
		if role[0][0] != "NONE" { // a script doesn't see what that may do
			c.stranger = true
			c.r.stranger("a user with the role "+role[0][0], c.user)
			return nil
		}
		grants = askPrivileges
	}
	rows, err := c.s.Rows("read the grants", grants)
	if err != nil {
		return err
	}
	if !c.mariadb && c.version >= 80000 {
		roles, err := c.s.Rows("read the active roles", "SELECT CURRENT_ROLE()")
		if err != nil {
			return err
		}
		if roles[0][0] != "NONE" {
			grants := "SHOW GRANTS FOR CURRENT_USER() USING " + roles[0][0]
			if c.printed {
				grants = grantsOfRoles
			}
			if rows, err = c.s.Rows("read the grants", grants); err != nil {
				return err
			}
		}
	}
	for _, row := range rows {
		if g, ok := parseGrant(row[0]); ok {
			c.grants = append(c.grants, g)
		}
	}
	monitor := "REPLICATION CLIENT"
	if c.mariadb && c.version >= 100502 {
		monitor = "BINLOG MONITOR"
	}
	for _, need := range []struct {
		privilege string
		same      []string
	}{{"REPLICATION SLAVE", nil}, {monitor, []string{"REPLICATION CLIENT", "BINLOG MONITOR", "SUPER"}}} {
		if !slices.ContainsFunc(append(need.same, need.privilege), c.everywhere) {
			c.r.add(Refuses, "MYSQL_GRANT", c.user, need.privilege+" ON *.*", c.grant(need.privilege, "*.*"))
		}
	}
	c.excess()
	return nil
}

func (c *mysqlServer) grant(privilege, scope string) Repair {
	return Repair{SQL: fmt.Sprintf("GRANT %s ON %s TO %s", privilege, scope, c.user), Undo: fmt.Sprintf("REVOKE %s ON %s FROM %s", privilege, scope, c.user)}
}

// harmless are the privileges with which nothing can be written, beside those that are needed.
var harmless = []string{"USAGE", "SELECT", "REPLICATION SLAVE", "REPLICATION CLIENT", "BINLOG MONITOR", "SHOW VIEW", "SHOW DATABASES", "PROCESS",
	"REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "REPLICA MONITOR", "SLAVE MONITOR", "XA_RECOVER_ADMIN"}

// excess lists privileges that capture never uses.
func (c *mysqlServer) excess() {
	steps, found := map[string]Repair{}, []string(nil)
	for _, g := range c.grants {
		var more []string
		for _, p := range g.privileges {
			if !slices.Contains(harmless, p) {
				more = append(more, p)
			}
		}
		if g.option {
			more = append(more, "GRANT OPTION")
		}
		if len(more) == 0 {
			continue
		}
		scope := "*.*"
		if g.database != "*" {
			scope = quote(g.database) + ".*"
		}
		if g.table != "*" {
			scope = quote(g.database) + "." + quote(g.table)
		}
		list := strings.Join(more, ", ")
		found = append(found, list+" ON "+scope)
		give := list
		if g.option {
			give = strings.TrimSuffix(strings.TrimSuffix(list, "GRANT OPTION"), ", ")
		}
		undo := "GRANT " + give + " ON " + scope + " TO " + c.user
		if give == "" {
			undo = "GRANT USAGE ON " + scope + " TO " + c.user
		}
		if g.option {
			undo += " WITH GRANT OPTION"
		}
		// ALL takes what is needed with it, which is given again behind it.
		if g.gives("ALL PRIVILEGES") {
			list = strings.Replace(list, "GRANT OPTION", "", 1)
			list = strings.TrimSuffix(strings.TrimSpace(list), ",")
			if g.option {
				steps["REVOKE GRANT OPTION ON "+scope] = Repair{SQL: "REVOKE GRANT OPTION ON " + scope + " FROM " + c.user, Decide: true}
			}
		}
		steps["REVOKE "+list+" ON "+scope] = Repair{SQL: "REVOKE " + list + " ON " + scope + " FROM " + c.user, Undo: undo, Decide: true}
	}
	if len(found) == 0 {
		return
	}
	var repairs []Repair
	for _, k := range slices.Sorted(maps.Keys(steps)) {
		repairs = append(repairs, steps[k])
	}
	if slices.ContainsFunc(c.grants, func(g grant) bool { return g.gives("ALL PRIVILEGES") }) {
		repairs = append(repairs, c.least()...)
	}
	c.r.add(Advice, "MYSQL_GRANT_EXCESS", c.user, strings.Join(found, "; "), repairs...)
}

// least grants what capture needs and nothing else.
func (c *mysqlServer) least() []Repair {
	monitor := "REPLICATION CLIENT"
	if c.mariadb && c.version >= 100502 {
		monitor = "BINLOG MONITOR"
	}
	out := []Repair{{SQL: "GRANT REPLICATION SLAVE, " + monitor + " ON *.* TO " + c.user, Decide: true}}
	for _, p := range c.o.MySQL.Tables {
		out = append(out, Repair{SQL: "GRANT SELECT ON " + scopeOf(p) + " TO " + c.user, Decide: true})
	}
	return out
}

// scopeOf gives the narrowest scope of a grant for a pattern of tables.
func scopeOf(pattern string) string {
	database, table, _ := strings.Cut(pattern, ".")
	switch {
	case strings.ContainsAny(database, "*?["):
		return quote(strings.NewReplacer("_", `\_`, "*", "%", "?", "_").Replace(database)) + ".*"
	case strings.ContainsAny(table, "*?["):
		return quote(strings.ReplaceAll(database, "_", `\_`)) + ".*"
	}
	return quote(database) + "." + quote(table)
}

// selects judges whether the wanted tables may be read. Tables that the user may not see
// at all can't be told from tables that don't exist, so patterns are looked at as well.
func (c *mysqlServer) selects(matched map[string]int) {
	for _, pattern := range c.o.MySQL.Tables {
		if c.stranger { // who sees all
			if matched[pattern] == 0 {
				c.r.add(Refuses, "MYSQL_NO_TABLE", pattern, "")
			}
			continue
		}
		database, table, _ := strings.Cut(pattern, ".")
		whole := strings.ContainsAny(table, "*?[")
		if whole {
			table = ""
		}
		if !strings.ContainsAny(database, "*?[") && !c.has("SELECT", database, table) && (matched[pattern] == 0 || !whole) {
			c.r.add(Refuses, "MYSQL_GRANT", c.user, "SELECT ON "+scopeOf(pattern), c.grant("SELECT", scopeOf(pattern)))
		} else if matched[pattern] == 0 {
			c.r.add(Refuses, "MYSQL_NO_TABLE", pattern, "")
		} else if whole && !strings.ContainsAny(database, "*?[") && !c.has("SELECT", database, "") { // by table: others aren't seen
			c.r.add(Advice, "MYSQL_GRANT", c.user, "SELECT ON "+scopeOf(pattern), c.grant("SELECT", scopeOf(pattern)))
		}
	}
	for _, t := range c.tables {
		if c.stranger {
			return
		}
		if exact := slices.Contains(c.o.MySQL.Tables, t.id()); !exact && !c.has("SELECT", t.database, t.name) {
			scope := quote(t.database) + "." + quote(t.name)
			c.r.add(Refuses, "MYSQL_GRANT", c.user, "SELECT ON "+scope, c.grant("SELECT", scope))
		}
	}
}
