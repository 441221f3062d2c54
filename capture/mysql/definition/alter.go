package definition

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// change is what becomes of one column.
type change struct {
	to       Column
	position *ast.ColumnPosition
	done     bool
}

// altering is an ALTER TABLE under way.
type altering struct {
	builder
	old      *Table
	database string             // default character set
	drops    map[string]bool    // by names in lower case
	changes  map[string]*change // by old names in lower case
	order    []*change          // changes and new columns, as they are named
	renames  map[string]string  // of columns: old name in lower case, new one
	convert  string             // CONVERT TO this character set
}

// Alter gives a table after ALTER TABLE, CREATE INDEX or DROP INDEX. database is the
// default character set of its database. An error wraps ErrRefused: the statement isn't
// understood, or doesn't fit the table.
func (st *Statement) Alter(old *Table, database string) (*Table, error) {
	a := altering{builder: builder{session: st.session, types: st.types, table: old.clone()}, old: old, database: database,
		drops: map[string]bool{}, changes: map[string]*change{}, renames: map[string]string{}}
	switch n := st.node.(type) {
	case *ast.AlterTableStmt:
		return a.alter(n.Specs, st.require)
	case *ast.CreateIndexStmt:
		if n.IfNotExists && a.named(n.IndexName) {
			return old, nil
		}
		k := Key{Name: n.IndexName, Unique: n.KeyType == ast.IndexKeyTypeUnique}
		k.take(n.IndexPartSpecifications)
		a.key(k)
	case *ast.DropIndexStmt:
		if err := a.dropKey(n.IndexName); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w: %T", ErrRefused, n)
	}
	return a.finish()
}

func (a *altering) alter(specs []*ast.AlterTableSpec, require func(*Table) error) (*Table, error) {
	for _, s := range specs { // what new columns inherit
		if s.Tp != ast.AlterTableOption {
			continue
		}
		var err error
		if a.table.Charset, err = tableCharset(s.Options, a.table.Charset, a.database); err != nil {
			return nil, err
		}
		for _, o := range s.Options {
			if o.Tp == ast.TableOptionCharset && o.UintValue == ast.TableOptionCharsetWithConvertTo {
				a.convert = a.table.Charset
			}
		}
	}
	for _, s := range specs {
		if err := a.spec(s); err != nil {
			return nil, err
		}
	}
	for _, c := range a.order {
		if a.convert != "" && c.to.Charset != "" { // servers differ in what such a column gets
			return nil, fmt.Errorf("%w: CONVERT TO beside a change of column %q", ErrRefused, c.to.Name)
		}
	}
	if err := a.columns(); err != nil {
		return nil, err
	}
	if err := require(a.table); err != nil {
		return nil, err
	}
	if err := a.keep(); err != nil {
		return nil, err
	}
	return a.finish()
}

// spec takes one part of the statement.
func (a *altering) spec(s *ast.AlterTableSpec) error {
	switch s.Tp {
	case ast.AlterTableOption:
	case ast.AlterTableAddColumns:
		for _, d := range s.NewColumns {
			if err := a.add(d, s); err != nil {
				return err
			}
		}
		for _, c := range s.NewConstraints {
			if err := a.constraint(c); err != nil {
				return err
			}
		}
	case ast.AlterTableDropColumn:
		name := s.OldColumnName.Name.O
		if a.old.column(name) < 0 {
			return a.missing(name, s.IfExists)
		}
		a.drops[strings.ToLower(name)] = true
	case ast.AlterTableModifyColumn:
		return a.modify(s.NewColumns[0].Name.Name.O, s)
	case ast.AlterTableChangeColumn:
		return a.modify(s.OldColumnName.Name.O, s)
	case ast.AlterTableRenameColumn:
		i := a.old.column(s.OldColumnName.Name.O)
		if i < 0 {
			return a.missing(s.OldColumnName.Name.O, s.IfExists)
		}
		to := a.old.Columns[i]
		to.Name = s.NewColumnName.Name.O
		return a.change(a.old.Columns[i].Name, &change{to: to})
	case ast.AlterTableAddConstraint:
		return a.constraint(s.Constraint)
	case ast.AlterTableDropPrimaryKey:
		return a.dropKey(primary)
	case ast.AlterTableDropIndex:
		if s.IfExists && !a.named(s.Name) {
			return nil
		}
		return a.dropKey(s.Name)
	case ast.AlterTableDropCheck: // a constraint, of any kind
		if a.named(s.Constraint.Name) {
			return a.dropKey(s.Constraint.Name)
		}
	case ast.AlterTableRenameIndex:
		if i := slices.IndexFunc(a.table.Keys, func(k Key) bool { return strings.EqualFold(k.Name, s.FromKey.O) }); i >= 0 {
			a.table.Keys[i].Name = s.ToKey.O
		}
	case ast.AlterTableForce:
	default:
		return fmt.Errorf("%w: a part of the kind %d", ErrRefused, s.Tp)
	}
	return nil
}

func (a *altering) missing(name string, allowed bool) error {
	if allowed {
		return nil
	}
	return fmt.Errorf("%w: column %q isn't there", ErrRefused, name)
}

func (a *altering) add(d *ast.ColumnDef, s *ast.AlterTableSpec) error {
	if name := d.Name.Name.O; s.IfNotExists && (a.old.column(name) >= 0 || slices.ContainsFunc(a.order, func(c *change) bool { return strings.EqualFold(c.to.Name, name) })) {
		return nil
	}
	c, err := a.column(d)
	if err != nil {
		return err
	}
	a.order = append(a.order, &change{to: c, position: s.Position})
	return nil
}

func (a *altering) modify(name string, s *ast.AlterTableSpec) error {
	if a.old.column(name) < 0 {
		return a.missing(name, s.IfExists)
	}
	c, err := a.column(s.NewColumns[0])
	if err != nil {
		return err
	}
	return a.change(name, &change{to: c, position: s.Position})
}

func (a *altering) change(name string, c *change) error {
	lower := strings.ToLower(name)
	if a.changes[lower] != nil || a.drops[lower] {
		return fmt.Errorf("%w: column %q is changed twice", ErrRefused, name)
	}
	a.changes[lower] = c
	a.order = append(a.order, c)
	a.renames[lower] = c.to.Name
	return nil
}

// dropKey removes one. A name that isn't known is that of an index which a foreign key has
// made; it matters only where a unique one may have got another name by it.
func (a *altering) dropKey(name string) error {
	i := slices.IndexFunc(a.table.Keys, func(k Key) bool { return strings.EqualFold(k.Name, name) })
	if i < 0 {
		if a.named(primary) {
			return nil
		}
		return fmt.Errorf("%w: key %q isn't there", ErrRefused, name)
	}
	a.table.Keys = slices.Delete(a.table.Keys, i, i+1)
	return nil
}

// columns puts the columns in order as the server does (MySQL, sql_table.cc,
// prepare_fields_and_keys): those that stay, and those that change without moving, in their
// places; then the others one after another.
func (a *altering) columns() error {
	var out []Column
	for _, c := range a.old.Columns {
		lower := strings.ToLower(c.Name)
		if a.drops[lower] {
			continue
		}
		ch := a.changes[lower]
		switch {
		case ch == nil:
			out = append(out, c)
		case ch.position == nil || ch.position.Tp == ast.ColumnPositionNone:
			out, ch.done = append(out, ch.to), true
		}
	}
	for _, ch := range a.order {
		if ch.done {
			continue
		}
		at := len(out)
		if p := ch.position; p != nil {
			switch p.Tp {
			case ast.ColumnPositionFirst:
				at = 0
			case ast.ColumnPositionAfter:
				after := find(out, p.RelativeColumn.Name.O)
				if after < 0 {
					return fmt.Errorf("%w: AFTER column %q, which isn't there", ErrRefused, p.RelativeColumn.Name.O)
				}
				at = after + 1
			}
		}
		out = slices.Insert(out, at, ch.to)
	}
	for i := range out {
		if find(out[:i], out[i].Name) >= 0 {
			return fmt.Errorf("%w: two columns %q", ErrRefused, out[i].Name)
		}
		if a.convert != "" {
			if err := out[i].convert(a.convert); err != nil {
				return err
			}
		}
	}
	a.table.Columns = out
	return nil
}

// keep has the table's keys follow its columns. A key of a column that is dropped and made
// anew in one statement may go or stay.
func (a *altering) keep() error {
	var out []Key
	for _, k := range a.table.Keys {
		var parts []Part
		for _, p := range k.Parts {
			lower := strings.ToLower(p.Column)
			if a.drops[lower] {
				if find(a.table.Columns, p.Column) >= 0 {
					return fmt.Errorf("%w: column %q of key %q is dropped and made anew", ErrRefused, p.Column, k.Name)
				}
				continue
			}
			if to := a.renames[lower]; to != "" {
				p.Column = to
			}
			parts = append(parts, p)
		}
		if k.Parts = parts; len(parts) > 0 || k.Expression {
			out = append(out, k)
		}
	}
	a.table.Keys = out
	return nil
}
