package main

import (
	"embed"
	"fmt"
	"regexp"
)

//go:embed examples
var examples embed.FS

// bothTongues is a comment in English and Chinese: {english|中文}.
var bothTongues = regexp.MustCompile(`\{([^|{}]*)\|([^|{}]*)\}`)

// example gives a role's commented configuration in a language.
func example(role string, lang language) (string, error) {
	b, err := examples.ReadFile("examples/" + role + ".yml")
	if err != nil {
		return "", fmt.Errorf("example of %s: %w", role, err)
	}
	part := "$1"
	if lang == chinese {
		part = "$2"
	}
	return bothTongues.ReplaceAllString(string(b), part), nil
}
