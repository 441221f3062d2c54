package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// questions asks a person in the terminal, line by line. A test and a script answer by
// lines, too.
type questions struct {
	in    *bufio.Reader
	keys  *os.File // the terminal that answers; nil for none
	out   io.Writer
	wrong string // says that an answer can't be: with it and what is wrong
}

func newQuestions(in io.Reader, out io.Writer, wrong string) *questions {
	q := &questions{in: bufio.NewReader(in), out: out, wrong: wrong}
	q.keys, _ = in.(*os.File)
	return q
}

// errNoAnswer: the input has ended before a question was answered.
var errNoAnswer = errors.New("no answer")

// ask gives the answer to a question, or usual for an empty line. An answer that check
// refuses is asked for again.
func (q *questions) ask(text, usual string, check func(string) error) (string, error) {
	for {
		prompt := text
		if usual != "" {
			prompt += " [" + usual + "]"
		}
		if _, err := io.WriteString(q.out, prompt+": "); err != nil {
			return "", err
		}
		answer, err := q.line()
		if err != nil {
			return "", err
		}
		if answer == "" {
			answer = usual
		}
		problem := check(answer)
		if problem == nil {
			return answer, nil
		}
		if _, err := fmt.Fprintf(q.out, q.wrong+"\n", problem.Error()); err != nil {
			return "", err
		}
	}
}

func (q *questions) line() (string, error) {
	text, err := q.bare()
	return strings.TrimSpace(text), err
}

// secret asks for what a terminal doesn't show. It shows again once the answer is there or
// ctx ends.
func (q *questions) secret(ctx context.Context, text string) (string, error) {
	if _, err := io.WriteString(q.out, text+": "); err != nil {
		return "", err
	}
	if q.keys == nil {
		return q.bare()
	}
	shown, err := unix.IoctlGetTermios(int(q.keys.Fd()), unix.TCGETS)
	if err != nil { // no terminal
		return q.bare()
	}
	hidden := *shown
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(q.keys.Fd()), unix.TCSETS, &hidden); err != nil {
		return "", err
	}
	again := func() { _ = unix.IoctlSetTermios(int(q.keys.Fd()), unix.TCSETS, shown) } // the terminal may be gone
	stop := context.AfterFunc(ctx, again)
	defer func() {
		if stop() {
			again()
		}
		_, _ = io.WriteString(q.out, "\n")
	}()
	return q.bare()
}

// bare gives a line as it is: a password may begin with a space.
func (q *questions) bare() (string, error) {
	text, err := q.in.ReadString('\n')
	if errors.Is(err, io.EOF) && text == "" {
		return "", errNoAnswer
	} else if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(text, "\r\n"), nil
}
