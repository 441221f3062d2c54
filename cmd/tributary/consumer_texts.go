package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"github.com/tributary-cdc/tributary/schema"
)

//go:embed consumers
var consumers embed.FS

// inTemplates are the functions of the readers' templates: names of tables come from
// sources, and mean only themselves in any of the languages.
func inTemplates(lang language) template.FuncMap {
	return template.FuncMap{
		"en": func(en, zh string) string {
			if lang == chinese {
				return zh
			}
			return en
		},
		"join": strings.Join,
		"q":    strconv.Quote,
		"line": inComment,
		"json": jsonText,
		"sqlname": func(parts ...string) string {
			return "`" + strings.ReplaceAll(strings.Join(parts, ""), "`", "``") + "`"
		},
		"sqltext": func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" },
		"cast":    flinkCast,
	}
}

// inComment keeps a name within its comment.
func inComment(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 {
			return ' '
		}
		return c
	}, s)
}

func jsonText(s string) (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("write %q as JSON: %w", s, err)
	}
	return string(b), nil
}

var plainWord = regexp.MustCompile(`^[\w./:,@+-]+$`)

// shellWord makes a text one word of a shell.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// flinkCast gives the value of a column of the log's JSON in a type of SQL, where one
// holds what the kind has.
func flinkCast(c schema.Column) string {
	value := "`after`.`" + strings.ReplaceAll(c.Name, "`", "``") + "`"
	as := func(kind string) string { return "TRY_CAST(" + value + " AS " + kind + ")" }
	switch c.Type.Kind {
	case schema.Bool:
		return as("BOOLEAN")
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64, schema.Uint8, schema.Uint16, schema.Uint32, schema.Year:
		return as("BIGINT")
	case schema.Uint64:
		return as("DECIMAL(20, 0)")
	case schema.Float32, schema.Float64:
		return as("DOUBLE")
	case schema.Decimal:
		if p := c.Type.Precision; p >= 1 && p <= 38 && c.Type.Scale >= 0 && c.Type.Scale <= p {
			return as(fmt.Sprintf("DECIMAL(%d, %d)", p, c.Type.Scale))
		}
	case schema.Date:
		return "TIMESTAMPADD(DAY, " + as("INT") + ", DATE '1970-01-01')"
	}
	return value
}

// Groovy is the condition by which Debezium's filter keeps the rows of the dataset.
func (r *datasetReader) Groovy() string {
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\r", `\r`).Replace(s) + "'"
	}
	var any []string
	for _, t := range r.Tables {
		any = append(any, fmt.Sprintf("value.source.name == %s && value.source.db == %s && value.source.schema == %s && value.source.table == %s", quote(t.Source), quote(t.Database), quote(t.Schema), quote(t.Table)))
	}
	return strings.Join(any, " || ")
}

// ConnectKey is the key of the store's table: the source, and its key by Avro's names.
func (r *datasetReader) ConnectKey() string {
	return strings.Join(append([]string{"__source_name"}, r.Tables[0].keys...), ",")
}

// TopicNames are the names of the topics alone.
func (r *datasetReader) TopicNames() []string {
	names := make([]string, len(r.Topics))
	for i, t := range r.Topics {
		names[i] = t.Name
	}
	return names
}
