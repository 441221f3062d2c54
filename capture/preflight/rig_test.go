package preflight_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/preflight"
)

// limit bounds one look at a server; machines may be busy.
const limit = time.Minute

// look checks the source.
func look(t *testing.T, o preflight.Options) *preflight.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	r, err := preflight.Check(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// found gives the report's finding of a code whose object and text contain part.
func found(r *preflight.Report, code, part string) *preflight.Finding {
	for i, f := range r.Findings {
		if f.Code == code && strings.Contains(f.Object+" "+f.Found, part) {
			return &r.Findings[i]
		}
	}
	return nil
}

// wants fails unless the finding is there with its severity.
func wants(t *testing.T, o preflight.Options, severity preflight.Severity, code, part string) *preflight.Finding {
	t.Helper()
	r := look(t, o)
	f := found(r, code, part)
	if f == nil {
		t.Fatalf("no %s with %q in %+v", code, part, r.Findings)
	}
	if f.Severity != severity {
		t.Errorf("%s is %s, want %s", code, f.Severity, severity)
	}
	proven(code, false)
	return f
}

// gone fails if the finding is still there.
func gone(t *testing.T, o preflight.Options, code, part string) {
	t.Helper()
	if f := found(look(t, o), code, part); f != nil {
		t.Fatalf("after its repair: %+v", f)
	}
	proven(code, true)
}

// repairs finds what a case provoked, runs the repair, looks again, takes the repair
// back, and finds it again.
func repairs(t *testing.T, o preflight.Options, c finding, run func(*testing.T, string)) {
	t.Helper()
	f := wants(t, o, c.severity, c.code, c.part)
	if len(f.Repairs) == 0 {
		t.Fatalf("%s has no repair", c.code)
	}
	f.Repairs = slices.DeleteFunc(f.Repairs, func(r preflight.Repair) bool { return r.Instead })
	for _, r := range f.Repairs {
		if r.SQL == "" || r.Restart {
			t.Fatalf("%s: %+v isn't SQL that counts at once", c.code, r)
		}
		run(t, r.SQL)
	}
	gone(t, o, c.code, c.part)
	back := slices.ContainsFunc(f.Repairs, func(r preflight.Repair) bool { return r.Undo != "" })
	if back != !c.final {
		t.Fatalf("%s can be taken back: %t", c.code, back)
	}
	for _, r := range slices.Backward(f.Repairs) {
		if r.Undo != "" {
			run(t, r.Undo)
		}
	}
	if back {
		again := wants(t, o, c.severity, c.code, c.part)
		if !c.differs && again.Found != f.Found {
			t.Errorf("after the rollback %q, was %q", again.Found, f.Found)
		}
	}
}

// finding is one thing that a test provokes by SQL and the repair's SQL takes away.
type finding struct {
	code     string
	severity preflight.Severity
	part     string   // of object or text
	provoke  []string // {db} is the case's own database or schema, {user} the capture user
	final    bool     // nothing takes the repair back
	differs  bool     // the text holds a figure that moves
	load     bool     // the tables are to be loaded
	tidy     []string // run at the end
	only     string   // the product that has it; empty for all
}

// TestUnreachable: a server that doesn't answer is no finding.
func TestUnreachable(t *testing.T) {
	for name, o := range map[string]preflight.Options{"mysql": nobodyMySQL(), "postgres": nobodyPostgres()} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if _, err := preflight.Check(ctx, o); !errors.Is(err, errConnection) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
