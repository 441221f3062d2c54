package preflight

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// ErrPrinted reports a text that isn't, or isn't all of, what a source's script prints.
var ErrPrinted = errors.New("not what the script of this source prints")

// printed is what a server's administrator has brought: the answers to a script's
// questions, by the questions' names.
type printed struct {
	postgres          bool
	slot, publication string
	answers           map[string]answer
}

type answer struct {
	rows   [][]string
	failed bool // the server refused the question
}

// errUnprinted is the access that a server refuses to a script.
var errUnprinted = fmt.Errorf("the file has no answer: %w", capture.ErrAccess)

// Rows gives the answer to a question. Without one the error is errUnprinted.
func (p *printed) Rows(what, sql string) ([][]string, error) {
	a, there := p.answers[questionID(sql)]
	want := shapeOf(sql)
	if !there || a.failed || len(a.rows) < want.rows {
		return nil, fmt.Errorf("%s: %w", what, errUnprinted)
	}
	for _, row := range a.rows {
		if len(row) < want.columns {
			return nil, fmt.Errorf("%s: %d columns, want %d: %w", what, len(row), want.columns, ErrPrinted)
		}
	}
	return a.rows, nil
}

// printedByPsql gives the same with the methods of a PostgreSQL session.
type printedByPsql struct{ *printed }

func (p printedByPsql) Rows(_ context.Context, what, sql string) ([][]string, error) {
	return p.printed.Rows(what, sql)
}

// Replicates can't be told from a file.
func (printedByPsql) Replicates(context.Context) error { return errUnprinted }

func (p printedByPsql) Slot() string { return p.slot }

func (p printedByPsql) Publication() string { return p.publication }

// readPrinted reads what the script of a source has printed.
func readPrinted(b []byte, engine event.Engine, source string) (*printed, error) {
	p := &printed{postgres: engine == event.Postgres, answers: map[string]answer{}}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, len(b)+1)
	var id, before string
	var cells []string
	begun, done, headed := false, false, false
	for ; lines.Scan(); before = lines.Text() {
		text := strings.TrimSuffix(lines.Text(), "\r")
		word, marked := strings.CutPrefix(text, mark)
		switch {
		case marked && !begun:
			if text != begins(engine, source) {
				return nil, fmt.Errorf("%q, want %q: %w", text, begins(engine, source), ErrPrinted)
			}
			begun, headed = true, before == "#" // the client prints the columns' names
		case !begun || done, text == "#" && headed:
		case marked && word == "done":
			done = true
		case marked && strings.HasPrefix(word, "q "):
			id, cells = strings.TrimPrefix(word, "q "), nil
		case marked && strings.HasPrefix(word, "end"):
			if id == "" {
				return nil, fmt.Errorf("%q ends nothing: %w", text, ErrPrinted)
			}
			failed := word != "end 0" && word != "end false" && word != "end :ERROR" // psql before 11 knows no ERROR
			p.answers[id] = p.answer(cells, headed && len(cells) > 0, failed)
			id = ""
		case id != "":
			cells = append(cells, text)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPrinted, err)
	}
	if !done {
		return nil, fmt.Errorf("it has no end: %w", ErrPrinted)
	}
	return p, nil
}

// answer splits lines into cells.
func (p *printed) answer(lines []string, headed, failed bool) answer {
	if headed && !p.postgres {
		lines = lines[1:]
	}
	a := answer{failed: failed}
	for _, l := range lines {
		row := strings.Split(l, "\t")
		for i, c := range row {
			switch {
			case !p.postgres && c == "NULL", p.postgres && c == `\N`:
				row[i] = ""
			default:
				row[i] = unescape(c)
			}
		}
		a.rows = append(a.rows, row)
	}
	return a
}

// unescape reads a cell as mysql --batch and COPY print it.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	escaped := false
	for _, r := range s {
		switch {
		case !escaped && r == '\\':
			escaped = true
			continue
		case !escaped:
		case r == 'n':
			r = '\n'
		case r == 't':
			r = '\t'
		case r == 'r':
			r = '\r'
		case r == 'b':
			r = '\b'
		case r == 'f':
			r = '\f'
		case r == 'v':
			r = '\v'
		case r == '0':
			r = 0
		}
		escaped = false
		b.WriteRune(r)
	}
	return b.String()
}
