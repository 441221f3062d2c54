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
	all := []error{r.Log.check()}
	if len(r.Orgs) == 0 {
		all = append(all, errors.New("orgs: at least one"))
	}
	for _, o := range r.Orgs {
		if !orgCode.MatchString(o) {
			all = append(all, fmt.Errorf("orgs: %q has other characters than letters, digits, - and _", o))
		}
	}
	return errors.Join(all...)
}
