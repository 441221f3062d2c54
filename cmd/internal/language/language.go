// Package language names the languages that people are spoken to in, and picks one.
package language

import (
	"strconv"
	"strings"
)

// Language is one of them.
type Language int

// The languages.
const (
	English Language = iota
	Chinese
)

// Tag gives the language's tag for HTML (BCP 47).
func (l Language) Tag() string {
	if l == Chinese {
		return "zh-CN"
	}
	return "en"
}

// Of gives the language of a tag or a locale, e.g. zh-CN or zh_CN.UTF-8: Chinese where
// it begins with zh, else English.
func Of(tag string) Language {
	if strings.HasPrefix(strings.ToLower(tag), "zh") {
		return Chinese
	}
	return English
}

// Accepted picks the language that an Accept-Language header wants most (RFC 9110,
// 12.5.4), otherwise if it names neither.
func Accepted(header string, otherwise Language) Language {
	best, most := otherwise, 0.0
	for part := range strings.SplitSeq(header, ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				continue
			}
			q = n
		}
		tag = strings.ToLower(strings.TrimSpace(tag))
		known := tag == "en" || strings.HasPrefix(tag, "en-") || tag == "zh" || strings.HasPrefix(tag, "zh-")
		if known && q > most {
			best, most = Of(tag), q
		}
	}
	return best
}
