package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"
)

// Size is a number of bytes, written with its unit: 20GB. As with PostgreSQL, 1GB is
// 1024 MB.
type Size int64

var sizeText = regexp.MustCompile(`^(\d{1,12})\s?(kB|MB|GB|TB)$`)

// parseSize reads a size of at most 8 EiB.
func parseSize(s string) (size Size, ok bool) {
	m := sizeText.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	shift := map[string]uint{"kB": 10, "MB": 20, "GB": 30, "TB": 40}[m[2]]
	return Size(n << shift), err == nil && n <= math.MaxInt64>>shift
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *Size) UnmarshalYAML(n *yaml.Node) error {
	v, ok := parseSize(n.Value)
	if n.Kind != yaml.ScalarNode || !ok { // as the library says it of its own types
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: cannot unmarshal %s `%s` into config.Size", n.Line, n.Tag, n.Value)}}
	}
	*s = v
	return nil
}

// Fuse bounds what may be held back at a PostgreSQL source before its slot is given up.
// The zero value bounds nothing.
type Fuse struct {
	// Size bounds the WAL that the server keeps for the slot; 0 for no bound.
	Size Size `yaml:"size"`
	// Age bounds how long nothing may be read while the server writes on; 0 for no bound.
	Age time.Duration `yaml:"age"`
}

// leastAge: a restart of the log must not cost a source.
const leastAge = time.Minute

func (f Fuse) check(where, engine string) error {
	if f == (Fuse{}) {
		return nil
	}
	var all []error
	if engine != "postgres" {
		all = append(all, wrong(where+".fuse", fuseForSlots, engine))
	}
	if f.Age != 0 && f.Age < leastAge {
		all = append(all, wrong(fmt.Sprintf("%s.fuse.age %s", where, f.Age), atLeast, leastAge))
	}
	return errors.Join(all...)
}

// Warn says when to warn before something of a source's log is lost.
type Warn struct {
	// Left is the time to the loss. Default 24h.
	Left time.Duration `yaml:"left"`
	// Held is the WAL that a PostgreSQL server keeps for the slot. Default 10GB, or half
	// of the fuse's size.
	Held Size `yaml:"held"`
}

func (w Warn) check(where string) error {
	if w.Left < 0 {
		return wrong(fmt.Sprintf("%s.warn.left %s", where, w.Left), belowZero)
	}
	return nil
}
