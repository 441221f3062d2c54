package desk

import (
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
)

// orgJSON, sourceJSON and flowJSON are what the API says of the tree.
type orgJSON struct {
	Code    string         `json:"code"`
	Name    string         `json:"name"`
	Kind    string         `json:"kind"`
	Sources int            `json:"sources"`
	Tones   map[string]int `json:"tones"`
	Lag     float64        `json:"lag_seconds"`
	Rate    float64        `json:"rows_per_second"`
	Behind  int64          `json:"rows_behind"`
}

type sourceJSON struct {
	Source string     `json:"source"`
	Org    string     `json:"org"`
	Engine string     `json:"engine,omitempty"`
	Agent  string     `json:"agent,omitempty"`
	State  string     `json:"state"`
	Tone   string     `json:"tone"`
	Rate   float64    `json:"rows_per_second"`
	Lag    *float64   `json:"lag_seconds"`
	Flows  []flowJSON `json:"stores"`
}

type flowJSON struct {
	Store     string   `json:"store"`
	State     string   `json:"state"`
	Lag       *float64 `json:"lag_seconds"`
	Rate      float64  `json:"rows_per_second"`
	Behind    *int64   `json:"rows_behind"`
	Bytes     *int64   `json:"bytes_behind"`
	CatchUp   *float64 `json:"catch_up_seconds"`
	Keys      int64    `json:"quarantined_keys"`
	Anomalies int64    `json:"anomalies_24h"`
	Held      int64    `json:"held_rows"`
}

func known64(v float64) *float64 {
	if v < 0 {
		return nil
	}
	return &v
}

func orgOf(o *watch.Org) *orgJSON {
	if o == nil {
		return nil
	}
	tones := map[string]int{}
	for t, n := range o.Tones {
		tones[watch.Tone(t).String()] = n
	}
	return &orgJSON{o.Code, o.Name, string(o.Kind), o.Sources, tones, o.Lag, o.Rate, o.Behind}
}

func orgsOf(all []*watch.Org) []*orgJSON {
	out := []*orgJSON{}
	for _, o := range all {
		out = append(out, orgOf(o))
	}
	return out
}

func sourceOf(x *watch.Source, stores []string) sourceJSON {
	out := sourceJSON{Source: x.ID, Org: x.Org.Code, Engine: x.Engine, Agent: x.Agent, State: x.State, Tone: x.Tone.String(), Rate: x.Rate, Lag: known64(x.Lag), Flows: []flowJSON{}}
	for i, f := range x.Flows {
		if f.Apart {
			continue
		}
		j := flowJSON{Store: stores[i], State: f.State, Lag: known64(f.Lag), Rate: f.Rate, CatchUp: known64(f.CatchUp), Keys: f.Keys, Anomalies: f.Anomalies, Held: f.Held}
		if f.Behind >= 0 {
			j.Behind = &f.Behind
		}
		if f.BehindBytes >= 0 {
			j.Bytes = &f.BehindBytes
		}
		out.Flows = append(out.Flows, j)
	}
	return out
}

func apiTree(c *call) (any, error) {
	v, err := c.tree()
	if err != nil {
		return nil, err
	}
	sources, states := []sourceJSON{}, map[string]int{}
	for _, x := range v.Sources {
		sources = append(sources, sourceOf(x, v.all))
	}
	for _, n := range v.States {
		states[n.State] = n.N
	}
	return map[string]any{"at": v.At, "org": orgOf(v.Here), "up": orgsOf(v.Up), "below": orgsOf(v.Below), "more_below": v.More,
		"sources": sources, "found": v.Found, "page": v.Page, "pages": v.Pages, "states": states}, nil
}

func apiSource(c *call) (any, error) {
	v, err := c.source()
	if err != nil {
		return nil, err
	}
	tables := []map[string]any{}
	for _, r := range v.Tables {
		t := map[string]any{"table": r.Table, "dataset": r.Dataset}
		if r.Stopped != nil {
			t["stopped"] = r.Stopped
		}
		if r.Load != nil {
			t["load"] = r.Load
		}
		for i, s := range r.Shares {
			if s != nil {
				t["complete_until "+v.Stores[i]] = s
			}
		}
		tables = append(tables, t)
	}
	return map[string]any{"source": sourceOf(v.Source, v.Stores), "registration": v.Registration, "log": v.Log, "tables": tables}, nil
}
