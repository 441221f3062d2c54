// Package source reads the program's own sources for tests that hold its texts and codes.
package source

import (
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Literals calls f with each string literal of the Go files below a folder, unquoted; files of
// tests are left out. An error of f ends the walk.
func Literals(dir string, f func(path, text string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var s scanner.Scanner
		s.Init(token.NewFileSet().AddFile(path, -1, len(src)), src, nil, 0)
		for {
			_, tok, literal := s.Scan()
			switch tok {
			case token.EOF:
				return nil
			case token.STRING:
				text, err := strconv.Unquote(literal)
				if err == nil {
					err = f(path, text)
				}
				if err != nil {
					return fmt.Errorf("%s: %s: %w", path, literal, err)
				}
			}
		}
	})
}
