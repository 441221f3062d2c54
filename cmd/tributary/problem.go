package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/log"
)

// The classes of errors by which the program ends with another code than 1.
var (
	// errUsage: the command line can't be.
	errUsage = errors.New("usage")
	// errUnreachable: a program that was asked for didn't answer.
	errUnreachable = errors.New("unreachable")
)

// problem is an error that is told in the reader's language.
type problem struct {
	code  string
	text  string // in the reader's language; empty, the code's explanation counts
	words string // those of whoever reports it, in English
	hint  string // what to do about it here, e.g. SQL
	help  string // the command whose help helps; empty for none
	class error  // errUsage, errUnreachable, or nil
}

// Error gives code and text.
func (p *problem) Error() string { return "[" + p.code + "] " + cmp.Or(p.text, p.words) }

// Unwrap gives the class.
func (p *problem) Unwrap() error { return p.class }

// exitOf is the code by which the program ends with an error.
func exitOf(err error) int {
	switch {
	case errors.Is(err, config.ErrInvalid), errors.Is(err, errUsage):
		return exitUsage
	case kindOf(err) == refusal.Invalid:
		return exitUsage
	case kindOf(err) == refusal.Later:
		return exitUnreachable
	case errors.Is(err, errUnreachable), errors.Is(err, worker.ErrStoreAway), errors.Is(err, log.ErrUnavailable):
		return exitUnreachable
	}
	return exitFailed
}

// kindOf gives what a hub's refusal means, Denied for any other error.
func kindOf(err error) refusal.Kind {
	if r, ok := errors.AsType[*refusal.Refusal](err); ok {
		return r.Kind
	}
	return refusal.Denied
}

// ofProgram are the codes of errors that only a program as a whole can have.
var ofProgram = []struct {
	err  error
	code string
}{
	{errInUse, "DATA_DIR_IN_USE"},
	{embedded.ErrInUse, "DATA_DIR_IN_USE"},
	{embedded.ErrStorage, "LOG_STORAGE"},
	{syscall.EADDRINUSE, "ADDRESS_IN_USE"},
	{errUnreachable, "PROGRAM_UNREACHABLE"},
	{errUsage, "USAGE_VALUE"},
	{postgres.ErrNoTable, "TABLE_NOT_FOUND"},
}

// codeOf gives an error's stable code and a hint, whichever part it comes from.
func codeOf(err error) (code, hint string) {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.code, p.hint
	}
	if r, ok := errors.AsType[*refusal.Refusal](err); ok {
		return r.Code, ""
	}
	if code := worker.CodeOf(err); code != "" {
		return code, ""
	}
	if code, hint = capture.CodeOf(err); code != "" {
		return code, hint
	}
	for _, c := range ofProgram {
		if errors.Is(err, c.err) {
			return c.code, ""
		}
	}
	return "UNEXPECTED_ERROR", ""
}

// printError prints what is wrong and what to do about it, in the reader's language.
func printError(w io.Writer, lang language, err error) {
	say := texts[lang]
	lines := []string{}
	p, ok := errors.AsType[*problem](err)
	no, refused := errors.AsType[*refusal.Refusal](err)
	switch {
	case errors.Is(err, config.ErrInvalid):
		lines = append(lines, say.notValid(err))
		for _, f := range config.Findings(err) {
			lines = append(lines, "["+f.Code+"] "+f.In(lang))
		}
		lines = append(lines, say.moreOnCodes)
	case ok && p.help != "":
		lines = append(lines, p.Error(), fmt.Sprintf(say.seeHelp, p.help))
	case ok:
		what, do := codes.Explain(p.code, lang)
		lines = append(lines, "["+p.code+"] "+cmp.Or(p.text, what), say.toDo+do)
		if p.hint != "" {
			lines = append(lines, p.hint)
		}
		if p.words != "" {
			lines = append(lines, say.inItsWords+p.words)
		}
	case refused:
		what, do := no.In(lang)
		lines = append(append(lines, "["+no.Code+"] "+what), no.Lines(lang)...)
		lines = append(lines, say.toDo+do)
		if no.Err != nil {
			lines = append(lines, say.inItsWords+no.Err.Error())
		}
	default:
		code, hint := codeOf(err)
		what, do := codes.Explain(code, lang)
		lines = append(lines, "["+code+"] "+what, say.toDo+do)
		if hint != "" {
			lines = append(lines, hint)
		}
		lines = append(lines, say.inItsWords+err.Error())
	}
	_, _ = fmt.Fprintln(w, "tributary: "+strings.Join(lines, "\n  ")) // nobody may be left to read it
}

// notValid says which file isn't valid.
func (say catalogue) notValid(err error) string {
	if f, ok := errors.AsType[*config.FileError](err); ok {
		return fmt.Sprintf(say.fileInvalid, f.File)
	}
	return say.configInvalid
}
