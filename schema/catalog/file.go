package catalog

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"gopkg.in/yaml.v3"
)

// columns are the names that a column may have.
var columns = map[string]string{
	"code": "code", "parent": "parent", "name": "name", "kind": "kind",
	"代码": "code", "上级": "parent", "上级代码": "parent", "名称": "name", "类型": "kind",
}

// ParseFile reads orgs from YAML if yml is set, else from CSV with a header line. The
// text is UTF-8, with or without a byte order mark; anything else is refused, because a
// guess at names would be kept for years.
func ParseFile(b []byte, yml bool) ([]Entry, []Problem) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if !utf8.Valid(b) {
		decoded, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
		if err == nil && !bytes.ContainsRune(decoded, utf8.RuneError) && !bytes.ContainsRune(b, 0) {
			return nil, []Problem{{Fault: FaultGBK}}
		}
		return nil, []Problem{{Fault: FaultEncoding}}
	}
	if yml {
		return parseYAML(b)
	}
	return parseCSV(b)
}

func parseCSV(b []byte) ([]Entry, []Problem) {
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord = -1
	var at map[string]int
	var entries []Entry
	var problems []Problem
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if pe, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, append(problems, Problem{Line: pe.Line, Fault: FaultSyntax, Value: pe.Err.Error()})
		} else if err != nil {
			return nil, append(problems, Problem{Fault: FaultSyntax, Value: err.Error()})
		}
		line, _ := r.FieldPos(0)
		if at == nil {
			var p *Problem
			if at, p = header(row, line); p != nil {
				return nil, []Problem{*p}
			}
			continue
		}
		if len(row) != len(at) {
			problems = append(problems, Problem{Line: line, Fault: FaultColumns, Value: strconv.Itoa(len(row))})
			continue
		}
		cell := func(name string) string { return strings.TrimSpace(row[at[name]]) }
		entries = append(entries, entry(line, cell("code"), cell("parent"), cell("name"), cell("kind")))
	}
	return entries, problems
}

// header finds the columns, in whatever order.
func header(row []string, line int) (map[string]int, *Problem) {
	at := map[string]int{}
	for i, name := range row {
		known, ok := columns[strings.ToLower(strings.TrimSpace(name))]
		if _, twice := at[known]; !ok || twice {
			return nil, &Problem{Line: line, Fault: FaultColumns, Value: name}
		}
		at[known] = i
	}
	for _, name := range []string{"code", "parent", "name", "kind"} {
		if _, ok := at[name]; !ok {
			return nil, &Problem{Line: line, Fault: FaultColumns, Value: name}
		}
	}
	return at, nil
}

// atLine is how the YAML library says where something is wrong.
var atLine = regexp.MustCompile(`line (\d+)`)

// parseYAML reads a list of mappings with the keys code, parent, name and kind.
func parseYAML(b []byte) ([]Entry, []Problem) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		line := 0
		if m := atLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1]) // digits
		}
		return nil, []Problem{{Line: line, Fault: FaultSyntax, Value: err.Error()}}
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	list := doc.Content[0]
	if list.Kind != yaml.SequenceNode {
		return nil, []Problem{{Line: list.Line, Fault: FaultColumns, Value: "- {code, parent, name, kind}"}}
	}
	var entries []Entry
	var problems []Problem
	for _, n := range list.Content {
		values := map[string]string{}
		bad := n.Kind != yaml.MappingNode
		for i := 0; !bad && i < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			known, ok := columns[key.Value]
			_, twice := values[known]
			if bad = !ok || twice || value.Kind != yaml.ScalarNode; bad {
				problems = append(problems, Problem{Line: key.Line, Fault: FaultColumns, Value: key.Value})
			} else if value.Tag != "!!null" {
				values[known] = strings.TrimSpace(value.Value)
			}
		}
		if n.Kind != yaml.MappingNode {
			problems = append(problems, Problem{Line: n.Line, Fault: FaultColumns, Value: n.Value})
		}
		if !bad {
			entries = append(entries, entry(n.Line, values["code"], values["parent"], values["name"], values["kind"]))
		}
	}
	return entries, problems
}

func entry(line int, code, parent, name, kind string) Entry {
	e := Entry{Line: line, Org: Org{Code: code, Parent: parent, Name: name, Kind: Kind(kind)}}
	if k, ok := ParseKind(kind); ok {
		e.Kind = k
	}
	return e
}
