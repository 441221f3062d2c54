package definition

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	_ "github.com/pingcap/tidb/pkg/parser/test_driver" // the parser's own form of literals
)

// Statement is one that was parsed.
type Statement struct {
	node    ast.StmtNode
	session Session
	types   []string // that the parser doesn't have, see foreignType
	// required are columns that are NOT NULL in the end, quoted.
	required []string
}

// knowCharsets has the parser take the character sets of both servers: it only looks at the names.
var knowCharsets = sync.OnceFunc(func() {
	for _, name := range charsets {
		if _, err := charset.GetCharsetInfo(name); err != nil {
			charset.AddCharset(&charset.Charset{Name: name, DefaultCollation: name + "_bin", Collations: map[string]*charset.Collation{}, Maxlen: 4})
		}
	}
})

// Parse reads a statement in UTF-8. An error wraps ErrRefused.
func Parse(sql string, s Session) (st *Statement, err error) {
	if s.Mode&foreign != 0 {
		return nil, fmt.Errorf("%w: sql_mode %#x", ErrRefused, s.Mode)
	}
	if s.Unreadable || !utf8.ValidString(sql) {
		return nil, fmt.Errorf("%w: it isn't text in its session's character set", ErrRefused)
	}
	in, err := plain(sql, s)
	if err != nil {
		return nil, err
	}
	text, types, required, err := rewrite(in)
	if err != nil {
		return nil, err
	}
	defer func() { // the parser is for statements that a server will judge
		if p := recover(); p != nil {
			st, err = nil, fmt.Errorf("%w: %v", ErrRefused, p)
		}
	}()
	knowCharsets()
	p := parser.New()
	p.SetStrictDoubleTypeCheck(false)
	mode := mysql.SQLMode(mysql.ModeNone)
	for bit, m := range map[uint64]mysql.SQLMode{realAsFloat: mysql.ModeRealAsFloat, ansiQuotes: mysql.ModeANSIQuotes, noBackslashEscapes: mysql.ModeNoBackslashEscapes} {
		if s.Mode&bit != 0 {
			mode |= m
		}
	}
	p.SetSQLMode(mode)
	nodes, _, err := p.ParseSQL(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %.200v", ErrRefused, err)
	}
	if len(nodes) != 1 {
		return nil, fmt.Errorf("%w: %d statements", ErrRefused, len(nodes))
	}
	return &Statement{node: nodes[0], session: s, types: types, required: required}, nil
}

// Database gives what CREATE DATABASE or ALTER DATABASE names, empty for the session's own,
// and its default character set; "" if it keeps the one it has. fallback is that of a new
// database.
func (st *Statement) Database(fallback string) (name, charset string, err error) {
	var options []*ast.DatabaseOption
	switch n := st.node.(type) {
	case *ast.CreateDatabaseStmt:
		name, options, charset = n.Name.O, n.Options, Canonical(fallback)
	case *ast.AlterDatabaseStmt:
		name, options = n.Name.O, n.Options
	default:
		return "", "", fmt.Errorf("%w: %T", ErrRefused, n)
	}
	for _, o := range options {
		switch o.Tp {
		case ast.DatabaseOptionCharset:
			charset = Canonical(o.Value)
		case ast.DatabaseOptionCollate:
			charset = Charset(o.Value)
		}
	}
	return name, charset, nil
}

// Like gives the table that CREATE TABLE LIKE names; its database may be empty.
func (st *Statement) Like() (database, table string, ok bool) {
	n, is := st.node.(*ast.CreateTableStmt)
	if !is || n.ReferTable == nil {
		return "", "", false
	}
	return n.ReferTable.Schema.O, n.ReferTable.Name.O, true
}

// Cautious reports whether a CREATE TABLE leaves a table alone that exists already.
func (st *Statement) Cautious() bool {
	n, is := st.node.(*ast.CreateTableStmt)
	return is && n.IfNotExists
}

// Create gives the table that CREATE TABLE makes in a database of a default character set.
func (st *Statement) Create(charset string) (*Table, error) {
	n, is := st.node.(*ast.CreateTableStmt)
	if !is || n.ReferTable != nil || n.Select != nil || len(n.Cols) == 0 {
		return nil, fmt.Errorf("%w: its columns aren't named", ErrRefused)
	}
	t := &Table{}
	var err error
	if t.Charset, err = tableCharset(n.Options, charset, charset); err != nil {
		return nil, err
	}
	b := builder{session: st.session, types: st.types, table: t}
	for _, d := range n.Cols {
		c, err := b.column(d)
		if err != nil {
			return nil, err
		}
		if t.column(c.Name) >= 0 {
			return nil, fmt.Errorf("%w: two columns %q", ErrRefused, c.Name)
		}
		t.Columns = append(t.Columns, c)
	}
	if err := st.require(t); err != nil {
		return nil, err
	}
	for _, c := range n.Constraints {
		if err := b.constraint(c); err != nil {
			return nil, err
		}
	}
	return b.finish()
}

// tableCharset gives a table's default character set after some options.
func tableCharset(options []*ast.TableOption, now, database string) (string, error) {
	for _, o := range options {
		switch {
		case o.Tp == ast.TableOptionCharset && o.Default:
			now = database
		case o.Tp == ast.TableOptionCharset:
			now = Canonical(o.StrValue)
		case o.Tp == ast.TableOptionCollate:
			now = Charset(o.StrValue)
		default:
			continue
		}
		if now == "" {
			return "", fmt.Errorf("%w: the default character set isn't known", ErrRefused)
		}
	}
	return now, nil
}

// builder collects the keys of a table that is made or altered.
type builder struct {
	session Session
	types   []string
	table   *Table
	keys    []Key // new ones, in the order in which they are named
}

// key adds one. parts are columns.
func (b *builder) key(k Key) { b.keys = append(b.keys, k) }

// constraint takes a part of a definition that isn't a column.
func (b *builder) constraint(c *ast.Constraint) error {
	k := Key{Name: c.Name}
	switch c.Tp {
	case ast.ConstraintPrimaryKey:
		k.Name, k.Unique = primary, true
	case ast.ConstraintKey, ast.ConstraintIndex:
		k.Unique = c.Option != nil && c.Option.Comment == uniqueKey
	default:
		return fmt.Errorf("%w: a constraint of the kind %d", ErrRefused, c.Tp)
	}
	k.take(c.Keys)
	if c.IfNotExists && k.Name != "" && b.named(k.Name) {
		return nil
	}
	b.key(k)
	return nil
}

func (k *Key) take(parts []*ast.IndexPartSpecification) {
	for _, p := range parts {
		if p.Expr != nil || p.Column == nil {
			k.Expression = true
			continue
		}
		k.Parts = append(k.Parts, Part{Column: p.Column.Name.O, Length: max(0, p.Length)})
	}
}

func (b *builder) named(name string) bool {
	return slices.ContainsFunc(b.table.Keys, func(k Key) bool { return strings.EqualFold(k.Name, name) })
}

// finish gives the table its new keys, and each of them a name as the server does: that of
// its first column, with a number if another key has it.
func (b *builder) finish() (*Table, error) {
	t := b.table
	if len(t.Columns) == 0 {
		return nil, fmt.Errorf("%w: no column is left", ErrRefused)
	}
	for _, k := range b.keys {
		for _, p := range k.Parts {
			if t.column(p.Column) < 0 {
				return nil, fmt.Errorf("%w: a key of column %q, which isn't there", ErrRefused, p.Column)
			}
		}
		if k.Name == "" {
			base := "functional_index"
			if len(k.Parts) > 0 && !k.Expression {
				base = t.Columns[t.column(k.Parts[0].Column)].Name
			}
			k.Name = base
			for n := 2; b.named(k.Name) || strings.EqualFold(k.Name, primary); n++ {
				k.Name = fmt.Sprintf("%s_%d", base, n)
			}
		} else if b.named(k.Name) {
			return nil, fmt.Errorf("%w: two keys %q", ErrRefused, k.Name)
		}
		t.Keys = append(t.Keys, k)
	}
	t.settle()
	return t, nil
}
