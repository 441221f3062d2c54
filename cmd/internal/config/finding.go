package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/cmd/internal/nearest"
)

// The stable codes of findings.
const (
	codeFile    = "CONFIG_FILE"
	codeSyntax  = "CONFIG_SYNTAX"
	codeKey     = "CONFIG_KEY"
	codeMissing = "CONFIG_MISSING"
	codeValue   = "CONFIG_VALUE"
	codeSecret  = "CONFIG_SECRET"
	// codeExposed: others can reach what has no TLS and no login.
	codeExposed = "CONFIG_EXPOSED"
	// What is wrong with an encrypted password.
	codeKeyFile    = "PASSWORD_KEY_FILE"
	codeKeyExposed = "PASSWORD_KEY_EXPOSED"
	codeKeyOther   = "PASSWORD_KEY_OTHER"
	codeDamaged    = "PASSWORD_DAMAGED"
	// codePlaintext: a password would go over the network for everybody to read.
	codePlaintext = "CONFIG_PLAINTEXT"
)

// Finding is one thing in a file that a person must correct.
type Finding struct {
	Code string
	// place is the key, as a path with its value where that helps.
	place string
	line  int // of the file, from 1; 0 if place is given
	text  words
	args  []any
}

// Error gives the English text.
func (f *Finding) Error() string { return f.In(language.English) }

// Is makes every finding an ErrInvalid.
func (f *Finding) Is(target error) bool { return target == ErrInvalid }

// In gives the text in a language.
func (f *Finding) In(l language.Language) string {
	place, between := f.place, ": "
	if f.line > 0 {
		place = fmt.Sprintf(atLine.in(l), f.line)
	}
	if l == language.Chinese {
		between = "："
	}
	if place == "" {
		between = ""
	}
	return place + between + fmt.Sprintf(f.text.in(l), f.args...)
}

func missing(place string, text words) error {
	return &Finding{Code: codeMissing, place: place, text: text}
}

func wrong(place string, text words, args ...any) error {
	return &Finding{Code: codeValue, place: place, text: text, args: args}
}

// FileError is what is wrong with a file.
type FileError struct {
	File string
	Err  error
}

// Error gives the file and its findings, in English.
func (e *FileError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap gives the findings.
func (e *FileError) Unwrap() error { return e.Err }

// Findings gives every finding in an error, in order.
func Findings(err error) []*Finding {
	switch e := err.(type) { //nolint:errorlint // each layer by itself: an error may hold several findings
	case *Finding:
		return []*Finding{e}
	case interface{ Unwrap() []error }:
		var all []*Finding
		for _, inner := range e.Unwrap() {
			if inner != ErrInvalid { //nolint:errorlint // the sentinel itself, beside what it's about
				all = append(all, Findings(inner)...)
			}
		}
		return all
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); errors.Is(inner, ErrInvalid) {
			return Findings(inner)
		}
	}
	return []*Finding{{Code: codeValue, text: asIs, args: []any{err}}}
}

var (
	unknownKey = regexp.MustCompile(`^line (\d+): field (\S+) not found in type config\.(\w+)$`)
	otherType  = regexp.MustCompile("(?s)^line (\\d+): cannot unmarshal \\S+ (?:`(.*)` )?into (\\S+)$")
	syntax     = regexp.MustCompile(`(?s)^(?:yaml: )?(?:line (\d+): )?(.*)$`)
)

// unreadable turns the YAML library's errors into findings.
func unreadable(err error) error {
	texts := []string{err.Error()}
	var types *yaml.TypeError
	if errors.As(err, &types) {
		texts = types.Errors
	}
	all := make([]error, len(texts))
	for i, text := range texts {
		all[i] = unreadableText(text)
	}
	return errors.Join(all...)
}

func unreadableText(text string) error {
	at := func(line string) int {
		n, _ := strconv.Atoi(line) // digits, or empty for no line
		return n
	}
	if m := unknownKey.FindStringSubmatch(text); m != nil {
		if m[2] == "password" {
			return &Finding{Code: codeSecret, line: at(m[1]), text: passwordInFile}
		}
		return &Finding{Code: codeKey, line: at(m[1]), text: unknown, args: []any{m[2], nearest.Of(m[2], keys[m[3]]...)}}
	}
	if m := otherType.FindStringSubmatch(text); m != nil {
		kind := aMapping
		switch {
		case strings.HasPrefix(m[3], "[]"):
			kind = aList
		case m[3] == "time.Duration":
			kind = aDuration
		case m[3] == "config.Size":
			kind = aSize
		case m[3] == "bool":
			kind = aBool
		case m[3] == "string":
			kind = aText
		case strings.Contains(m[3], "int"):
			kind = aNumber
		}
		if m[2] == "" {
			return &Finding{Code: codeValue, line: at(m[1]), text: kind}
		}
		return &Finding{Code: codeValue, line: at(m[1]), text: words{`"%s": ` + kind.english, "“%s”：" + kind.chinese}, args: []any{m[2]}}
	}
	m := syntax.FindStringSubmatch(text)
	return &Finding{Code: codeSyntax, line: at(m[1]), text: notYAML, args: []any{m[2]}}
}
