package definition

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/types"

	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
)

var integers = map[byte]string{mysql.TypeTiny: "tinyint", mysql.TypeShort: "smallint", mysql.TypeInt24: "mediumint", mysql.TypeLong: "int", mysql.TypeLonglong: "bigint"}

// texts are the sizes of TEXT and BLOB, with the most bytes that each holds.
var texts = []struct {
	size string
	most int
}{{"tiny", 1<<8 - 1}, {"", 1<<16 - 1}, {"medium", 1<<24 - 1}, {"long", 1<<32 - 1}}

var textSizes = map[byte]int{mysql.TypeTinyBlob: 0, mysql.TypeBlob: 1, mysql.TypeMediumBlob: 2, mysql.TypeLongBlob: 3}

// column reads a column's definition. The table's default character set must be known by
// then. Keys that the definition names are noted.
func (b *builder) column(d *ast.ColumnDef) (Column, error) {
	c := Column{Name: d.Name.Name.O}
	if i := d.Tp.GetFlen() - foreignType; d.Tp.GetType() == mysql.TypeString && i >= 0 && i < len(b.types) {
		c.Type = b.types[i]
	}
	explicit, declared := Canonical(d.Tp.GetCharset()), false
	if explicit == "" && d.Tp.GetCharset() != "" {
		return c, fmt.Errorf("%w: column %q has the character set %s", ErrRefused, c.Name, d.Tp.GetCharset())
	}
	for _, o := range d.Options {
		switch o.Tp {
		case ast.ColumnOptionNotNull, ast.ColumnOptionAutoIncrement:
			c.Nulls, declared = NotNull, true
		case ast.ColumnOptionNull:
			c.Nulls, declared = Nullable, true
		case ast.ColumnOptionPrimaryKey:
			c.Nulls, declared = NotNull, true
			b.key(Key{Name: primary, Unique: true, Parts: []Part{{Column: c.Name}}})
		case ast.ColumnOptionUniqKey:
			b.key(Key{Unique: true, Parts: []Part{{Column: c.Name}}})
		case ast.ColumnOptionCollate:
			of := Charset(o.StrValue)
			if of == "" || explicit != "" && explicit != of {
				return c, fmt.Errorf("%w: column %q has the collation %s", ErrRefused, c.Name, o.StrValue)
			}
			explicit = of
		case ast.ColumnOptionGenerated:
			c.Virtual = !o.Stored
		case ast.ColumnOptionDefaultValue, ast.ColumnOptionOnUpdate, ast.ColumnOptionComment, ast.ColumnOptionReference,
			ast.ColumnOptionCheck, ast.ColumnOptionColumnFormat, ast.ColumnOptionStorage:
		default:
			return c, fmt.Errorf("%w: column %q has an option of the kind %d", ErrRefused, c.Name, o.Tp)
		}
	}
	if d.Tp.GetType() == mysql.TypeTimestamp && !declared {
		c.Nulls = Either
	}
	if c.Type != "" {
		return c, nil
	}
	return c, b.typed(&c, d.Tp, explicit)
}

// typed reads a column's type.
func (b *builder) typed(c *Column, t *types.FieldType, explicit string) error {
	refused := func(why string) error { return fmt.Errorf("%w: column %q: %s", ErrRefused, c.Name, why) }
	sign := ""
	if t.GetFlag()&(mysql.UnsignedFlag|mysql.ZerofillFlag) != 0 {
		sign = " unsigned"
	}
	fraction := func(kind string) string {
		if t.GetDecimal() > 0 {
			return fmt.Sprintf("%s(%d)", kind, t.GetDecimal())
		}
		return kind
	}
	length := t.GetFlen()
	if name, ok := integers[t.GetType()]; ok {
		c.Type = name + sign
		return nil
	}
	switch t.GetType() {
	case mysql.TypeNewDecimal:
		if length <= 0 {
			length = 10
		}
		c.Type = fmt.Sprintf("decimal(%d,%d)%s", length, max(0, t.GetDecimal()), sign)
	case mysql.TypeFloat:
		c.Type = "float" + sign
	case mysql.TypeDouble:
		c.Type = "double" + sign
	case mysql.TypeBit:
		c.Type = fmt.Sprintf("bit(%d)", max(1, length))
	case mysql.TypeDate:
		c.Type = "date"
	case mysql.TypeDuration:
		c.Type = fraction("time")
	case mysql.TypeDatetime:
		c.Type = fraction("datetime")
	case mysql.TypeTimestamp:
		c.Type = fraction("timestamp")
	case mysql.TypeYear:
		c.Type = "year"
	case mysql.TypeJSON:
		if c.Type = "json"; b.session.MariaDB {
			c.Type, c.Charset = "longtext", "utf8mb4"
		}
	case mysql.TypeTiDBVectorFloat32:
		c.Type = "vector"
	case mysql.TypeString, mysql.TypeVarchar, mysql.TypeEnum, mysql.TypeSet, mysql.TypeTinyBlob, mysql.TypeBlob, mysql.TypeMediumBlob, mysql.TypeLongBlob:
		if c.Charset = explicit; c.Charset == "" {
			c.Charset = b.table.Charset
		}
		if c.Charset == "" {
			return refused("its character set isn't known")
		}
		return b.text(c, t, refused)
	default:
		return refused(fmt.Sprintf("a type of the kind %d", t.GetType()))
	}
	return nil
}

// text gives a column of a character set its type. In the set "binary" it has bytes.
func (b *builder) text(c *Column, t *types.FieldType, refused func(string) error) error {
	length, width := t.GetFlen(), rowimage.Width(c.Charset)
	bytes := c.Charset == "binary"
	switch kind := t.GetType(); kind {
	case mysql.TypeString, mysql.TypeVarchar:
		name, most := map[bool]string{false: "char", true: "binary"}[bytes], 255
		if kind == mysql.TypeVarchar {
			name, most = "var"+name, 65535/max(1, width)
		}
		if length < 0 {
			length = 1
		}
		if length > most || kind == mysql.TypeVarchar && width == 0 { // without strict mode it becomes a TEXT
			return refused(fmt.Sprintf("%s(%d)", name, length))
		}
		c.Type = fmt.Sprintf("%s(%d)", name, length)
	case mysql.TypeEnum, mysql.TypeSet:
		name := map[bool]string{false: "set", true: "enum"}[kind == mysql.TypeEnum]
		labels := slices.Clone(t.GetElems())
		for i, label := range labels {
			if t.GetElemIsBinaryLit(i) || bytes || !rowimage.Holds(c.Charset, label) {
				return refused(fmt.Sprintf("label %q in the character set %s", label, c.Charset))
			}
			labels[i] = strings.ReplaceAll(label, "'", "''")
		}
		c.Type = name + "('" + strings.Join(labels, "','") + "')"
	default:
		size := textSizes[kind]
		if kind == mysql.TypeBlob && length > 0 {
			if width == 0 {
				return refused("its character set has no rule")
			}
			size = slices.IndexFunc(texts, func(s struct {
				size string
				most int
			}) bool {
				return length*width <= s.most
			})
			if size < 0 {
				return refused(fmt.Sprintf("a text of %d characters", length))
			}
		}
		c.Type = texts[size].size + map[bool]string{false: "text", true: "blob"}[bytes]
	}
	if bytes {
		c.Charset = "" // as in the catalogue
	}
	return nil
}

// convert gives a column another character set, and a TEXT a size that has room for as many
// characters as before (MySQL manual, "ALTER TABLE Statement").
func (c *Column) convert(charset string) error {
	if c.Charset == "" || c.Charset == charset {
		return nil
	}
	if charset == "binary" {
		return fmt.Errorf("%w: column %q becomes binary", ErrRefused, c.Name)
	}
	from, to := rowimage.Width(c.Charset), rowimage.Width(charset)
	if from == 0 || to == 0 {
		return fmt.Errorf("%w: column %q: character sets %s and %s", ErrRefused, c.Name, c.Charset, charset)
	}
	kind := c.kind()
	switch size := slices.IndexFunc(texts, func(s struct {
		size string
		most int
	}) bool {
		return kind == s.size+"text"
	}); {
	case size >= 0:
		for need := (texts[size].most + from - 1) / from * to; size < len(texts)-1 && texts[size].most < need; {
			size++
		}
		c.Type = texts[size].size + "text"
	case kind == "varchar" && c.length() > 65535/to:
		return fmt.Errorf("%w: column %q: %s in %s", ErrRefused, c.Name, c.Type, charset)
	case kind == "enum" || kind == "set":
		for _, label := range rowimage.Labels(c.Type) {
			if !rowimage.Holds(charset, label) {
				return fmt.Errorf("%w: column %q: label %q in %s", ErrRefused, c.Name, label, charset)
			}
		}
	}
	c.Charset = charset
	return nil
}
