package desk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
)

// claims are what a request says of whom it speaks for. No call needs them: who an agent is
// stands in its certificate.
type claims struct {
	Agent, Org, Source any
}

// foreign gives the claims that aren't the agent's own.
func (c *claims) foreign(a *state.Agent) (all []string) {
	for _, x := range []struct {
		name  string
		value any
		own   func(string) bool
	}{
		{"agent", c.Agent, func(v string) bool { return v == a.ID }},
		{"org", c.Org, func(v string) bool { return v == a.Org }},
		{"source", c.Source, func(v string) bool { return strings.HasPrefix(v, a.Org+"-") }},
	} {
		if v, ok := x.value.(string); ok && v != "" && !x.own(v) {
			all = append(all, fmt.Sprintf("%s %.80q", x.name, v))
		}
	}
	return all
}

// genuine refuses a request of an agent that claims to be, or to speak for, another: in its
// query, or in an object or a list of objects in its body, which may be read again. That is
// written into the audit and makes an alarm.
func (d *Desk) genuine(r *http.Request, by state.By, a *state.Agent) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return tooLarge(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	q := r.URL.Query()
	said := []claims{{q.Get("agent"), q.Get("org"), q.Get("source")}}
	var one claims
	var many []claims
	if json.Unmarshal(b, &one) == nil {
		said = append(said, one)
	} else if json.Unmarshal(b, &many) == nil {
		said = append(said, many...)
	}
	for i := range said {
		if foreign := said[i].foreign(a); len(foreign) > 0 {
			no := refusal.New(refusal.Denied, "SPEAKS_FOR_ANOTHER", "%s", strings.Join(foreign, ", "))
			if err := d.o.State.Forged(r.Context(), by, a, fmt.Sprintf("%s %.80s: %s", r.Method, r.URL.Path, no.Detail)); err != nil {
				return errors.Join(no, err)
			}
			return no
		}
	}
	return nil
}
