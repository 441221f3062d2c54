package preflight

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql"
)

// mysqlServer is what a MySQL or MariaDB server has answered.
type mysqlServer struct {
	o *Options
	r *Report
	s mysqlAnswers

	printed  bool // the answers come from a file
	stranger bool // and aren't about the source's user
	mariadb  bool
	version  int    // e.g. 101119 for 10.11.19
	user     string // as 'name'@'host' in statements
	vars     map[string]string
	status   map[string]string
	tables   []*mysqlTable // those that are wanted
	grants   []grant
}

// mysqlAnswers answers statements, as mysql.Session does.
type mysqlAnswers interface {
	Rows(what, sql string) ([][]string, error)
}

// userTables leaves the servers' own databases out of a question.
const userTables = "TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')"

func checkMySQL(ctx context.Context, o *Options, r *Report) error {
	c := &mysqlServer{o: o, r: r, printed: o.Printed != nil}
	if c.printed {
		p, err := readPrinted(o.Printed, o.MySQL.Source.Engine, o.MySQL.Source.ID)
		if err != nil {
			return err
		}
		c.s = p
	} else {
		s, err := mysql.Open(ctx, *o.MySQL)
		if err != nil {
			return err
		}
		defer s.Close()
		stop := context.AfterFunc(ctx, s.Close) // ends a question under way
		defer stop()
		c.s = s
	}
	for _, step := range []func() error{c.identify, c.settings, c.replication, c.privileges, c.catalogue, c.transactions} {
		if err := step(); err != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
	return nil
}

// ask gives the first answer to statements that mean the same on different releases. An
// access that the server refuses is noted, and seen is false.
func (c *mysqlServer) ask(what string, statements ...string) (rows [][]string, seen bool, err error) {
	for _, sql := range statements {
		rows, err = c.s.Rows(what, sql)
		var me *gomysql.MyError
		switch {
		case err == nil:
			return rows, true, nil
		case errors.Is(err, errUnprinted): // or another release's statement has an answer
			continue
		case errors.Is(err, capture.ErrAccess), errors.As(err, &me) && me.Code == gomysql.ER_XAER_RMERR:
			c.r.Unseen = append(c.r.Unseen, Unseen{sql, err.Error()})
			return nil, false, nil
		case !errors.As(err, &me) || me.Code != gomysql.ER_PARSE_ERROR:
			return nil, false, err
		}
	}
	if errors.Is(err, errUnprinted) {
		c.r.unseen(statements[0], err.Error())
		err = nil
	}
	return nil, false, err
}

func pairs(rows [][]string) map[string]string {
	out := make(map[string]string, len(rows))
	for _, row := range rows {
		out[strings.ToLower(row[0])] = row[1]
	}
	return out
}

func (c *mysqlServer) is(name, value string) bool { return strings.EqualFold(c.vars[name], value) }

func (c *mysqlServer) number(of map[string]string, name string) float64 {
	v, err := strconv.ParseFloat(of[name], 64)
	if err != nil { // the server has none of the name
		return 0
	}
	return v
}

var versionNumber = regexp.MustCompile(`^(\d+)\.(\d+)\.(\d+)`)

// identify finds out which server it is.
func (c *mysqlServer) identify() error {
	before := c.o.Now()
	rows, err := c.s.Rows("read the version", askVersion)
	if err != nil {
		return err
	}
	after := c.o.Now()
	version, user := rows[0][0], rows[0][1]
	c.mariadb = strings.Contains(version, "MariaDB")
	m := versionNumber.FindStringSubmatch(version)
	if m == nil {
		return fmt.Errorf("version %q isn't in the form 10.11.6", version)
	}
	for _, part := range m[1:] {
		n, err := strconv.Atoi(part)
		if err != nil {
			return fmt.Errorf("version %q: %w", version, err)
		}
		c.version = c.version*100 + n
	}
	at := strings.LastIndexByte(user, '@')
	c.user = literal(user[:max(0, at)]) + "@" + literal(user[at+1:])
	c.stranger = c.printed && user[:max(0, at)] != c.o.MySQL.User
	if n, err := strconv.Atoi(rows[0][3]); !c.stranger && (err != nil || n > 0 && n < connections) {
		alter := "ALTER USER " + c.user + " WITH MAX_USER_CONNECTIONS "
		c.r.add(Refuses, "SOURCE_CONNECTIONS", c.user, "MAX_USER_CONNECTIONS "+rows[0][3], Repair{SQL: alter + "0", Undo: alter + rows[0][3]})
	}
	product, engine, oldest := "MySQL", "mysql", 50700
	if c.mariadb {
		product, engine, oldest = "MariaDB", "mariadb", 100200
	}
	c.r.Server = product + " " + version
	if c.version < oldest {
		c.r.add(Refuses, "MYSQL_VERSION", "", c.r.Server)
	}
	if said := string(c.o.MySQL.Source.Engine); said != "" && said != engine {
		c.r.add(Harms, "SOURCE_ENGINE", "", fmt.Sprintf("engine: %s, the server is %s", said, c.r.Server), Repair{Agent: "engine: " + engine})
	}
	if c.printed {
		c.r.unseen("clock", onlyLive)
		return nil
	}
	there, err := time.Parse("2006-01-02 15:04:05", rows[0][2])
	if err != nil {
		return fmt.Errorf("the server's time %q: %w", rows[0][2], err)
	}
	c.r.clocks(there, before, after)
	return nil
}

// literal writes a text for a statement.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(s) + "'"
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// set is the repair by a variable that can be set while the server runs.
func (c *mysqlServer) set(name, value string) Repair {
	was := c.vars[name]
	form := literal
	if _, err := strconv.ParseFloat(was, 64); err == nil {
		form = func(s string) string { return s }
	}
	return Repair{SQL: "SET GLOBAL " + name + " = " + form(value), Undo: "SET GLOBAL " + name + " = " + form(was), Setting: name + " = " + value}
}

// transactions looks for what can't be captured yet: XA.
func (c *mysqlServer) transactions() error {
	rows, _, err := c.ask("look for XA transactions", c.xaRecover(), "XA RECOVER")
	if err != nil {
		return err
	}
	for _, row := range rows {
		c.r.add(Refuses, "MYSQL_XA", "", "XA RECOVER: "+row[3], Repair{SQL: "XA ROLLBACK " + c.xid(row), Decide: true})
	}
	if n := c.number(c.status, "com_xa_prepare"); n > 0 && len(rows) == 0 {
		c.r.add(Harms, "MYSQL_XA", "", fmt.Sprintf("Com_xa_prepare = %.0f", n))
	}
	return nil
}

// xaRecover lists XA transactions with their names as XA ROLLBACK wants them, or nearly.
func (c *mysqlServer) xaRecover() string {
	if c.mariadb {
		return "XA RECOVER FORMAT='SQL'"
	}
	return "XA RECOVER CONVERT XID"
}

// xid writes a line of XA RECOVER as XA ROLLBACK wants it.
func (c *mysqlServer) xid(row []string) string {
	if c.mariadb { // FORMAT='SQL' gives it whole
		return row[3]
	}
	n, err := strconv.Atoi(row[1])
	hex := strings.TrimPrefix(row[3], "0x")
	if err != nil || 2*n > len(hex) {
		return "0x" + hex
	}
	return "0x" + hex[:2*n] + ",0x" + hex[2*n:] + "," + row[0]
}
