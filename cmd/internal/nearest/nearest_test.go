package nearest

import "testing"

func TestOf(t *testing.T) {
	for word, want := range map[string]string{"agnet": "agent", "AGENT": "agent", "wrker": "worker", "": "log", "worker": "worker", "x": "log"} {
		if got := Of(word, "agent", "worker", "log"); got != want {
			t.Errorf("Of(%q) = %q, want %q", word, got, want)
		}
	}
	if got := Of("PG_WAL", "PG_SLOT", "PG_WAL_LEVEL"); got != "PG_WAL_LEVEL" {
		t.Errorf("of a beginning %q", got)
	}
	if got := Of("agent"); got != "" {
		t.Errorf("of no words %q", got)
	}
}
