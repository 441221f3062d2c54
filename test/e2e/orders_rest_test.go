package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// decisions lets one load rest and go on, and ends another one; the agent is killed right
// after each answer.
func (x *ordered) decisions() {
	x.t.Helper()
	for n, steps := range [][]string{{"pause", "resume"}, {"cancel", "reread"}} {
		g := growing[n]
		await(x.t, "the end of the load of "+g[1], func() bool { // the store may not have heard of another one yet
			x.whole()
			return x.phase(g) == "loaded"
		})
		x.order("reread", g[0], g[1])
		for _, step := range steps {
			x.order(step, g[0], g[1])
			x.kill()
			if want := map[string]string{"pause": "paused", "cancel": "canceled"}[step]; want != "" {
				await(x.t, g[1]+" "+want, func() bool { return x.phase(g) == want })
			}
		}
	}
	x.whole()
}

// phase gives that of the load of a growing table, empty if the agent knows none yet.
func (x *ordered) phase(g [3]string) string {
	x.t.Helper()
	for _, l := range x.status().Loads[g[0]] {
		if l.Table == g[1] {
			return l.Phase
		}
	}
	return ""
}

// rests pauses the sources, which the answer says is safe for a while, over a kill of the
// agent, and resumes them. What is written meanwhile isn't read before.
func (x *ordered) rests() {
	x.t.Helper()
	for n, order := range []string{"pause", "resume"} {
		for k, want := range []string{"then the fuse (fuse.age)", "expire_logs"} {
			if n > 0 {
				want = "resumed; "
			}
			said := ""
			await(x.t, order+": "+want, func() bool { // once its guard has looked
				x.answers()
				out, err := exec.CommandContext(x.t.Context(), x.bin, "source", order, growing[k][0], "--lang=en", "--agent", fmt.Sprintf("http://127.0.0.1:%d", x.port)).CombinedOutput()
				said = string(out)
				return err == nil && strings.Contains(said, want)
			})
			if n == 0 && !strings.HasPrefix(said, "paused; safe until 20") {
				x.t.Errorf("%s: %s", order, said)
			}
		}
		if n == 0 {
			x.kill()
		}
		state := []string{"paused", "streaming"}[n]
		for _, g := range growing {
			await(x.t, g[0]+" "+state, func() bool {
				for _, s := range x.status().Sources {
					if s.Source == g[0] {
						return s.State == state && (s.Code == "SOURCE_PAUSED") == (n == 0)
					}
				}
				return false
			})
		}
		if n > 0 {
			continue
		}
		mustExec(x.t, x.source, `INSERT INTO person VALUES (-1, 'while it rests')`)
		place := func() (at string) {
			if err := x.store.QueryRow(context.Background(), `SELECT string_agg(applied, ' ' ORDER BY source) FROM tributary.progress`).Scan(&at); err != nil {
				x.t.Fatal(err)
			}
			return at
		}
		await(x.t, "a store that stands still, although both sources are written", func() bool {
			before := place()
			for range 3 { // the agent answers, so it lives
				x.status()
			}
			return place() == before
		})
	}
	await(x.t, "what was written while the source rested", func() bool {
		var v string
		return x.store.QueryRow(context.Background(), `SELECT v FROM ods.person WHERE id = -1`).Scan(&v) == nil
	})
}

// removals leaves both tables and adds them again; the agent is killed right after each
// answer, and what is written in between is brought by the second load.
func (x *ordered) removals() {
	x.t.Helper()
	for _, g := range growing {
		x.order("remove", g[0], g[1])
		x.kill()
	}
	for _, g := range growing {
		await(x.t, g[1]+" removed", func() bool {
			var state string
			err := x.store.QueryRow(context.Background(), `SELECT state FROM tributary.table_state WHERE source = $1 AND "table" = $2`, g[0], g[1]).Scan(&state)
			return err == nil && state == "removed" && len(x.status().Added[g[0]]) == 0
		})
	}
	for _, g := range growing {
		await(x.t, g[1]+" among what the store lacks", func() bool {
			var by string
			return x.store.QueryRow(context.Background(), `SELECT coalesce(held_by, '') FROM tributary.complete_until WHERE source = $1 AND $2 = ANY(held_tables)`, g[0], g[1]).Scan(&by) == nil && by == "missing"
		})
		x.order("add", g[0], g[1])
		x.kill()
	}
	x.whole()
}

// dropped has both tables go at the source, by another name and for good, while all of them
// is read again: agent and store say so, nothing waits for them, and one that comes back is
// read.
func (x *ordered) dropped() {
	x.t.Helper()
	maria := func(sql string) {
		x.t.Helper()
		if _, err := x.maria.Execute(sql); err != nil {
			x.t.Fatal(err)
		}
	}
	state := func(g [3]string) (state string) {
		err := x.store.QueryRow(context.Background(), `SELECT state FROM tributary.table_state WHERE source = $1 AND "table" = $2`, g[0], g[1]).Scan(&state)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			x.t.Fatal(err)
		}
		return state
	}
	for n, g := range growing {
		x.order("reread", g[0], g[1])
		await(x.t, g[1]+" being read", func() bool { return state(g) == "loading" })
		if n == 0 {
			mustExec(x.t, x.source, "DROP TABLE other.exam")
		} else {
			maria("RENAME TABLE xueji.score TO xueji.former")
		}
		x.kill()
	}
	for _, g := range growing {
		await(x.t, g[1]+" gone", func() bool { return state(g) == "dropped" })
		at := time.Now()
		await(x.t, "the moment of "+g[2], func() bool {
			var until time.Time
			err := x.store.QueryRow(context.Background(), `SELECT until FROM tributary.complete_until WHERE source = $1 AND dataset = $2 AND held_by IS NULL`, g[0], strings.TrimPrefix(g[2], "ods.")).Scan(&until)
			return err == nil && until.After(at)
		})
		if !slices.ContainsFunc(x.status().Loads[g[0]], func(l agentLoad) bool { return l.Table == g[1] && l.Phase == "dropped" }) {
			x.t.Errorf("status has %+v", x.status().Loads[g[0]])
		}
	}
	maria("RENAME TABLE xueji.former TO xueji.score")
	await(x.t, "the table that has its name again", func() bool { return state(growing[1]) == "" })
	if source, store := x.tables(1); !equal(source, store) {
		x.t.Errorf("%d rows in the store, %d at the source; first difference %s", len(store), len(source), difference(store, source))
	}
}
