package desk

import (
	"context"
	"net/http"

	"github.com/tributary-cdc/tributary/cmd/hub/state"
)

// setPaused pauses a source, or resumes it. Its agent does so when it hears of it.
func setPaused(on bool) func(c *call) (any, error) {
	return func(c *call) (any, error) {
		return nothing, c.d.o.State.SetPaused(c.ctx(), c.by, c.scopes, c.r.PathValue("source"), c.text("reason"), on)
	}
}

// retire ends a source. Its agent hears of it and lets go; only then may it write no more.
func retire(c *call) (any, error) {
	return nothing, c.d.o.State.Retire(c.ctx(), c.by, c.scopes, c.r.PathValue("source"), c.text("reason"))
}

// handOver gives a source to another agent of its org. The other has its rights in the log
// before the source is its own; the one before loses them at once if it has no other source,
// so that one that doesn't hear of it is fenced all the same.
func handOver(c *call) (any, error) {
	id := c.r.PathValue("source")
	to, err := c.d.o.State.Successor(c.ctx(), c.by, c.scopes, id, c.text("agent"))
	if err != nil {
		return nil, err
	}
	from := ""
	err = c.d.granted(c.ctx(), to.ID, to.Org, func(user string) error {
		from, err = c.d.o.State.HandOver(c.ctx(), c.by, c.scopes, id, to.ID, c.text("reason"), user)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.d.idle(c.ctx(), c.by, from)
	return nothing, nil
}

// idle takes the rights in the log of an agent that has no source any more. If the log doesn't
// answer the agent's next question for its assignments tries again.
func (d *Desk) idle(ctx context.Context, by state.By, agent string) {
	if err := d.taken(ctx, by, agent, false); err != nil {
		d.o.Logger.Warn("rights in the log", "agent", agent, "err", err)
	}
}

// agentLetsGo is the last word of an agent on a source that was retired. One without any
// other source has no more to do with the log.
func agentLetsGo(d *Desk, r *http.Request, by state.By, a *state.Agent) (any, error) {
	var q Released
	if err := body(r, &q); err != nil {
		return nil, err
	}
	if err := d.o.State.LetGo(r.Context(), by, a, q.Source, q.Remains, d.o.Now().Add(ClockTolerance)); err != nil {
		return nil, err
	}
	d.idle(r.Context(), by, a.ID)
	return nothing, nil
}
