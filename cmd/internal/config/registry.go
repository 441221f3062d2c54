package config

import (
	"errors"
	"fmt"
)

// Registry is the file of `tributary registry`.
type Registry struct {
	Log  Log      `yaml:"log"`
	Orgs []string `yaml:"orgs"`
	HTTP string   `yaml:"http"`
}

// Check implements the rules of the registry's file and fills defaults.
func (r *Registry) Check() error {
	if r.HTTP == "" {
		r.HTTP = "127.0.0.1:8081"
	}
	all := []error{r.Log.check(), address("http", r.HTTP)}
	if len(r.Orgs) == 0 {
		all = append(all, missing("orgs", atLeastOne))
	}
	for _, o := range r.Orgs {
		if !orgCode.MatchString(o) {
			all = append(all, wrong(fmt.Sprintf("orgs %q", o), codeChars))
		}
	}
	return errors.Join(all...)
}
