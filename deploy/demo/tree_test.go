package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/stream/status"
)

// TestTree: the tree can be imported, and has three cities and twelve districts.
func TestTree(t *testing.T) {
	entries, problems := catalog.ParseFile([]byte(treeFile()), false)
	kinds := map[catalog.Kind]int{}
	for _, e := range entries {
		kinds[e.Kind]++
	}
	if len(problems) > 0 || kinds["city"] != 3 || kinds["district"]+kinds["zone"] != 12 || len(districts()) != 12 {
		t.Errorf("%v, %v", kinds, problems)
	}
}

// TestPretend: whatever is simulated says so wherever it is shown, nothing else is
// simulated, and its records are ones that a hub takes.
func TestPretend(t *testing.T) {
	begun := time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
	var orgs, states []string
	for _, r := range pretend(1, begun, begun.Add(time.Minute)) {
		if !strings.HasSuffix(r.Source, "-simulated") || r.Program != "simulated" {
			t.Errorf("%s of %s isn't marked", r.Source, r.Program)
		}
		if slices.Contains(append([]string{live}, real...), r.Org) {
			t.Errorf("%s isn't simulated", r.Org)
		}
		if r.Kind == status.OfSource {
			orgs, states = append(orgs, r.Org), append(states, r.State)
		}
	}
	if len(slices.Compact(orgs)) != 9 || !slices.Contains(states, "gap") || !slices.Contains(states, "retrying") {
		t.Errorf("%v: %v", orgs, states)
	}
	if n := strings.Count(treeFile(), madeUp); n != 9 {
		t.Errorf("%d orgs are marked", n)
	}
}

// TestSetupLink: the link is found among whatever else the hub says, and printed with
// commands that name no password.
func TestSetupLink(t *testing.T) {
	link := "http://127.0.0.1:8060/setup?link=ABC"
	if got := setup.FindString("level=INFO msg=serving\nhttp://127.0.0.1:8060/\n" + link + "\nlevel=INFO\n"); got != link {
		t.Errorf("found %q", got)
	}
	var b bytes.Buffer
	s := &system{o: options{dir: "/data", program: "/bin/tributary"}, link: link, joins: "127.0.0.1:8070"}
	s.joining(&b)
	for _, want := range []string{link, "join https://127.0.0.1:8070", "source propose /data/agent-330105.yml xueji --dir /data/joined-330105", "source fetch --dir", "agent --config /data/agent-330105.yml"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the commands lack %q:\n%s", want, b.String())
		}
	}
}
