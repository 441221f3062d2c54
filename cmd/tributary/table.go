package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/cmd/internal/web"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// orders are what a person may want of a table's load.
var orders = map[string]func(context.Context, loading, string, url.Values) error{
	"add":    func(ctx context.Context, l loading, table string, _ url.Values) error { return l.Add(ctx, table) },
	"remove": func(ctx context.Context, l loading, table string, _ url.Values) error { return l.Remove(ctx, table) },
	"reread": func(ctx context.Context, l loading, table string, q url.Values) error {
		text := q.Get("where_key")
		if text == "" {
			return l.Load(ctx, table)
		}
		b, err := snapshot.ParseBounds(text)
		if err != nil {
			return err
		}
		return l.LoadRange(ctx, table, b, q.Get("keep_missing") == "true")
	},
	"pause":  func(ctx context.Context, l loading, table string, _ url.Values) error { return l.Pause(ctx, table) },
	"resume": func(ctx context.Context, l loading, table string, _ url.Values) error { return l.Resume(ctx, table) },
	"cancel": func(ctx context.Context, l loading, table string, _ url.Values) error { return l.Cancel(ctx, table) },
}

// trouble is an error of the control API.
type trouble struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Hint is what a person can do, e.g. the statement for a DBA.
	Hint string `json:"hint,omitempty"`
}

// given is the answer to an order.
type given struct {
	// Durable says that the log has the order: it outlives the agent.
	Durable bool `json:"durable"`
}

// refusedOrder gives an order's error its place in HTTP and its code.
func refusedOrder(err error) (status int, t trouble) {
	t.Message = err.Error()
	if t.Code, t.Hint = capture.CodeOf(err); t.Code != "" {
		if errors.Is(err, capture.ErrConnection) {
			return http.StatusServiceUnavailable, t
		}
		return http.StatusConflict, t
	}
	for _, e := range []error{snapshot.ErrBusy, snapshot.ErrStopped, snapshot.ErrCaptured, snapshot.ErrNotAdded, snapshot.ErrIncomplete, snapshot.ErrFixed, snapshot.ErrAppend, snapshot.ErrNotStarted} {
		if errors.Is(err, e) {
			t.Code = "LOAD_REFUSED"
			return http.StatusConflict, t
		}
	}
	if errors.Is(err, snapshot.ErrBadBounds) {
		t.Code = "RANGE_INVALID"
		return http.StatusBadRequest, t
	}
	t.Code = "LOAD_UNKNOWN"
	return http.StatusNotFound, t
}

// ServeHTTP takes an order: POST /api/sources/{source}/tables/{table}/{order}, or
// /api/sources/{source}/verify. Only
// programs of this machine may give one, and no page of another site.
func (ls loaders) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	loader, ok := ls.ordered(w, r)
	if !ok {
		return
	}
	name := r.PathValue("order")
	order, table := orders[name], r.PathValue("table")
	switch {
	case table == "":
		got, err := loader.orderVerification(r.Context(), r)
		if err != nil {
			status, t := refusedOrder(err)
			refuse(w, status, t)
			return
		}
		accept(w, got)
		return
	case order == nil:
		refuse(w, http.StatusNotFound, trouble{Code: "ORDER_UNKNOWN", Message: "no such order: " + name})
		return
	}
	if err := order(r.Context(), loader, table, r.URL.Query()); err != nil {
		status, t := refusedOrder(err)
		refuse(w, status, t)
		return
	}
	accept(w, given{Durable: loader.durable(r.Context(), table)})
}

// ordered finds the source that an order means, or refuses the order.
func (ls loaders) ordered(w http.ResponseWriter, r *http.Request) (l loading, ok bool) {
	if !fromHere(w, r) {
		return l, false
	}
	if l, ok = ls[r.PathValue("source")]; !ok {
		refuse(w, http.StatusNotFound, trouble{Code: "SOURCE_UNKNOWN", Message: "this agent has no source " + r.PathValue("source")})
	}
	return l, ok
}

// fromHere refuses an order that doesn't come from a program of this machine.
func fromHere(w http.ResponseWriter, r *http.Request) bool {
	if !peer.Loopback(web.Host(r.RemoteAddr)) || r.Header.Get(orderHeader) == "" {
		refuse(w, http.StatusForbidden, trouble{Code: "ORDER_FORBIDDEN", Message: "orders come from this machine, by tributary table, gap and source"})
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, status int, t trouble) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": t}) // the caller may have gone
}

// accept answers an order that was taken.
func accept(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": answer}) // the caller may have gone
}

// orderHeader is what no page of another site can send without being allowed to.
const orderHeader = "X-Tributary-Order"

func tableCommand(say catalogue) *cobra.Command {
	root := say.group(&cobra.Command{Use: "table", Short: say.table, Example: "tributary table add 330106-xueji xueji.student\ntributary table accept 330106-xueji xueji.student"})
	for _, order := range []struct{ name, short, long string }{{"add", say.tableAdd, say.tableAddLong}, {"remove", say.tableRemove, say.tableRemoveLong}, {"reread", say.tableReread, say.tableRereadLong},
		{"pause", say.tablePause, ""}, {"resume", say.tableResume, ""}, {"cancel", say.tableCancel, ""}} {
		c := &cobra.Command{Use: order.name + " SOURCE TABLE", Short: order.short, Long: order.long, Args: say.takes("SOURCE", "TABLE"),
			Example: fmt.Sprintf("tributary table %[1]s 330106-xueji xueji.student\ntributary table %[1]s 330108-renshi renshi.public.teacher --agent http://127.0.0.1:8071", order.name)}
		agent := c.Flags().String("agent", "http://127.0.0.1:8061", say.tableAgent)
		var part *string
		var keep *bool
		if order.name == "reread" {
			c.Example = "tributary table reread 330106-xueji xueji.student\ntributary table reread 330106-xueji xueji.score --where-key 2012000001..2012999999"
			part = c.Flags().String("where-key", "", say.tablePart)
			keep = c.Flags().Bool("keep-missing", false, say.tableKeep)
		}
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := say.address(c, "--agent", *agent); err != nil {
				return err
			}
			q := url.Values{}
			if part != nil && c.Flags().Changed("where-key") {
				b, err := snapshot.ParseBounds(*part)
				if err != nil {
					return wrongUsage(c, "USAGE_VALUE", say.wrongPart, *part)
				}
				q.Set("where_key", b.String())
			}
			if keep != nil && *keep {
				if !q.Has("where_key") {
					return wrongUsage(c, "USAGE_FLAG", "%s", say.partMissing)
				}
				q.Set("keep_missing", "true")
			}
			got, err := give(c.Context(), *agent, q, args[0], "tables", args[1], order.name)
			if err != nil {
				return err
			}
			text := say.ordered
			if !got.Durable {
				text = say.orderedOnly
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), text)
			return err
		}
		root.AddCommand(c)
	}
	root.AddCommand(acceptCommand(say))
	return root
}

// give sends an order to an agent; path says what it is, from the source on.
func give(ctx context.Context, agent string, q url.Values, path ...string) (got given, err error) {
	err = post(ctx, agent, append([]string{"api/sources"}, path...), q, &got)
	return got, err
}

// post sends an order to a path of an agent, and reads the data of its answer.
func post(ctx context.Context, agent string, path []string, q url.Values, into any) error {
	u, err := url.Parse(agent)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	u = u.JoinPath(path...)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	req.Header.Set(orderHeader, "1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	defer func() { _ = res.Body.Close() }() // read only
	body, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	answer := struct {
		Data  any     `json:"data"`
		Error trouble `json:"error"`
	}{Data: into}
	if err := json.Unmarshal(body, &answer); err != nil || res.StatusCode != http.StatusOK && answer.Error.Message == "" {
		return &problem{code: "NOT_TRIBUTARY", words: agent + ": " + res.Status}
	}
	if res.StatusCode != http.StatusOK {
		return &problem{code: answer.Error.Code, words: answer.Error.Message, hint: answer.Error.Hint}
	}
	return nil
}
