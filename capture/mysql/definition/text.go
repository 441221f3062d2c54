package definition

import (
	"fmt"
	"strings"
)

// Session is what decides how a server reads a statement.
type Session struct {
	MariaDB bool
	Version int    // major * 10000 + minor * 100 + patch
	Mode    uint64 // sql_mode, as the log has it
	Charset string // of new databases
	// Unreadable says that the statement's bytes couldn't be told to be text.
	Unreadable bool
}

// The bits of sql_mode that matter here (MySQL, Query_event; MariaDB Knowledge Base,
// "QUERY_EVENT").
const (
	realAsFloat        = 1 << 0
	ansiQuotes         = 1 << 2
	noBackslashEscapes = 1 << 20
	// foreign modes give types other meanings: POSTGRESQL, ORACLE, MSSQL, DB2, MAXDB, MYSQL323, MYSQL40.
	foreign = 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12 | 1<<16 | 1<<17
)

// Bounds of a statement that is parsed: the parser's stack grows with both.
const (
	maxStatement = 256 << 10 // bytes
	maxDepth     = 500       // parentheses within each other
)

// lexeme is a word, a quoted name or text, or a sign of a statement.
type lexeme struct {
	text string
	kind byte // of 'w' (a word or number), '`' (a name), '\'' (a text) and 'p'
	glue bool // nothing stands between it and the one before
}

// plain gives a statement as the server reads it: without comments, with what stands in
// those that this server executes, and with a collation of the same character set in place
// of each, because the parser knows few.
func plain(sql string, s Session) ([]lexeme, error) {
	if len(sql) > maxStatement {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrRefused, len(sql))
	}
	p := cutter{rest: sql, s: s}
	for p.rest != "" {
		if err := p.step(); err != nil {
			return nil, err
		}
	}
	if p.inside {
		return nil, fmt.Errorf("%w: a comment without end", ErrRefused)
	}
	return p.out, nil
}

// cutter goes through a statement.
type cutter struct {
	rest    string
	s       Session
	out     []lexeme
	apart   bool // something stands between the last one and the next
	inside  bool // a comment that is executed
	depth   int
	collate bool // a collation's name follows
}

func (p *cutter) put(text string, kind byte) {
	p.out = append(p.out, lexeme{text, kind, !p.apart && len(p.out) > 0})
	p.apart = false
}

func (p *cutter) step() error {
	switch c := p.rest[0]; {
	case strings.HasPrefix(p.rest, "/*"):
		return p.comment()
	case p.inside && strings.HasPrefix(p.rest, "*/"):
		p.inside = false
		p.rest, p.apart = p.rest[2:], true
	case c == '#' || strings.HasPrefix(p.rest, "--") && (len(p.rest) == 2 || p.rest[2] <= ' '):
		_, p.rest, _ = strings.Cut(p.rest, "\n")
		p.apart = true
	case c == '`' || c == '\'' || c == '"':
		return p.quoted(c)
	case wordByte(c):
		n := 1
		for n < len(p.rest) && wordByte(p.rest[n]) {
			n++
		}
		word := p.rest[:n]
		p.rest = p.rest[n:]
		return p.word(word)
	default:
		switch c {
		case '(':
			p.depth++
		case ')':
			p.depth--
		}
		if p.depth > maxDepth {
			return fmt.Errorf("%w: it has more than %d parentheses within each other", ErrRefused, maxDepth)
		}
		p.rest = p.rest[1:]
		if c <= ' ' {
			p.apart = true
			break
		}
		p.collate = p.collate && c == '='
		p.put(string(rune(c)), 'p')
	}
	return nil
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c == '@' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// comment passes a comment over, or enters one that is executed.
func (p *cutter) comment() error {
	head, executed := 2, false
	switch {
	case strings.HasPrefix(p.rest, "/*!"):
		head, executed = 3, true
	case p.s.MariaDB && strings.HasPrefix(p.rest, "/*M!"):
		head, executed = 4, true
	}
	if executed {
		version, n := 0, 0
		for n < 6 && head+n < len(p.rest) && p.rest[head+n] >= '0' && p.rest[head+n] <= '9' {
			version = version*10 + int(p.rest[head+n]-'0')
			n++
		}
		// MariaDB leaves out what was written for MySQL 5.7 and newer (Knowledge Base,
		// "Comment Syntax").
		executed = n == 0 || n >= 5 && version <= p.s.Version && !(p.s.MariaDB && head == 3 && version >= 50700 && version <= 99999)
		if n > 0 && n < 5 || p.inside {
			return fmt.Errorf("%w: a comment whose meaning isn't known", ErrRefused)
		}
		if executed {
			p.inside = true
			p.rest, p.apart = p.rest[head+n:], true
			return nil
		}
	}
	end := strings.Index(p.rest[2:], "*/")
	if end < 0 {
		return fmt.Errorf("%w: a comment without end", ErrRefused)
	}
	if strings.Contains(p.rest[2:2+end], "/*") { // MySQL lets some be nested
		return fmt.Errorf("%w: a comment within a comment", ErrRefused)
	}
	p.rest, p.apart = p.rest[2+end+2:], true
	return nil
}

// quoted takes a quoted name or text.
func (p *cutter) quoted(q byte) error {
	named := q == '`' || q == '"' && p.s.Mode&ansiQuotes != 0
	escapes := !named && p.s.Mode&noBackslashEscapes == 0
	for i := 1; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			if escapes {
				i++
			}
		case q:
			if i+1 < len(p.rest) && p.rest[i+1] == q { // a doubled one stands for itself
				i++
				continue
			}
			text := p.rest[:i+1]
			p.rest = p.rest[i+1:]
			switch {
			case p.collate:
				return p.collation(text[1:i])
			case named:
				p.put(name(strings.ReplaceAll(text[1:i], string(rune(q))+string(rune(q)), string(rune(q)))), '`')
			default:
				p.put(text, '\'')
			}
			return nil
		}
	}
	return fmt.Errorf("%w: a quote without end", ErrRefused)
}

// name quotes one.
func name(text string) string { return "`" + strings.ReplaceAll(text, "`", "``") + "`" }

func (p *cutter) word(word string) error {
	if p.collate {
		return p.collation(word)
	}
	p.collate = strings.EqualFold(word, "collate")
	p.put(word, 'w')
	return nil
}

// collation writes one that the parser knows.
func (p *cutter) collation(name string) error {
	p.collate = false
	charset := Charset(name)
	switch charset {
	case "":
		return fmt.Errorf("%w: collation %s", ErrRefused, name)
	case "binary":
		p.put("binary", 'w')
	case "utf8mb3":
		p.put("utf8_bin", 'w')
	default:
		p.put(charset+"_bin", 'w')
	}
	return nil
}
