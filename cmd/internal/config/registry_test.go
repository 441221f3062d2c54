package config

import (
	"errors"
	"strings"
	"testing"
)

func TestRegistry(t *testing.T) {
	const good = `{log: {brokers: ["127.0.0.1:9092"]}, orgs: ["330106"]}`
	for name, tt := range map[string]struct{ from, to, want string }{
		"good":        {"", "", ""},
		"no org":      {`["330106"]`, "[]", "orgs: at least one"},
		"no brokers":  {`["127.0.0.1:9092"]`, "[]", "log.brokers"},
		"a slash":     {`"330106"`, `"33/01"`, `orgs "33/01": has other characters`},
		"unknown key": {"orgs", "org", `unknown key "org", the nearest known one is "orgs"`},
	} {
		var r Registry
		err := Decode([]byte(strings.Replace(good, tt.from, tt.to, 1)), &r)
		switch {
		case tt.want == "" && (err != nil || r.HTTP != "127.0.0.1:8081"):
			t.Errorf("%s: %v, http %q", name, err, r.HTTP)
		case tt.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
