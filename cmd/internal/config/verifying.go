package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Verifying says how often a source's tables are compared with the stores without being
// asked for. The zero value never does.
type Verifying struct {
	// Every is the time from one comparison's beginning to the next, 10s at least; 0 for never.
	Every time.Duration `yaml:"every"`
	// Tables are patterns as in Source.Tables; none for all captured tables.
	Tables []string `yaml:"tables"`
	// Repair has the stores mend what differs.
	Repair bool `yaml:"repair"`
}

const leastEvery = 10 * time.Second

func (v Verifying) check(where string) error {
	var all []error
	if v.Every == 0 && (v.Repair || len(v.Tables) > 0) {
		all = append(all, wrong(where+".verify", needsEvery))
	}
	if v.Every != 0 && v.Every < leastEvery {
		all = append(all, wrong(fmt.Sprintf("%s.verify.every %s", where, v.Every), atLeast, leastEvery))
	}
	for _, p := range v.Tables {
		if !strings.Contains(p, ".") {
			all = append(all, wrong(fmt.Sprintf("%s.verify.tables %q", where, p), twoParts, p))
		}
	}
	return errors.Join(all...)
}
