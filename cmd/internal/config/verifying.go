package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/capture"
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
	// Without are columns that aren't compared, by table, because a store leaves them out.
	Without map[string][]string `yaml:"without"`
}

const leastEvery = 10 * time.Second

// check judges it, given the patterns of the source's tables.
func (v Verifying) check(where string, tables []string) error {
	var all []error
	for _, f := range capture.ColumnFaults("verify.without", v.Without, tables) {
		all = append(all, wrong(where+"."+f.Place, faults[f.Fault]))
	}
	if v.Every == 0 && (v.Repair || len(v.Tables)+len(v.Without) > 0) {
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
