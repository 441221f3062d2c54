package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture/snapshot"
)

// loaders are an agent's sources by id, whose tables can be loaded.
type loaders map[string]*snapshot.Loader

// progress gives the loads of each source that has any.
func (ls loaders) progress() map[string][]snapshot.Progress {
	out := map[string][]snapshot.Progress{}
	for id, l := range ls {
		if p := l.Progress(); len(p) > 0 {
			out[id] = p
		}
	}
	return out
}

// orders are what a person may want of a table's load.
var orders = map[string]func(*snapshot.Loader, string) error{
	"reread": (*snapshot.Loader).Load, "pause": (*snapshot.Loader).Pause, "resume": (*snapshot.Loader).Resume, "cancel": (*snapshot.Loader).Cancel,
}

// trouble is an error of the control API.
type trouble struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ServeHTTP takes an order: POST /api/sources/{source}/tables/{table}/{order}. Only
// programs of this machine may give one, and no page of another site.
func (ls loaders) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code, text string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": trouble{code, text}})
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() || r.Header.Get(orderHeader) == "" {
		fail(http.StatusForbidden, "ORDER_FORBIDDEN", "orders come from this machine, by tributary table")
		return
	}
	loader, order := ls[r.PathValue("source")], orders[r.PathValue("order")]
	switch {
	case loader == nil:
		fail(http.StatusNotFound, "SOURCE_UNKNOWN", "this agent has no source "+r.PathValue("source"))
		return
	case order == nil:
		fail(http.StatusNotFound, "ORDER_UNKNOWN", "no such order: "+r.PathValue("order"))
		return
	}
	switch err := order(loader, r.PathValue("table")); {
	case errors.Is(err, snapshot.ErrBusy), errors.Is(err, snapshot.ErrStopped):
		fail(http.StatusConflict, "LOAD_REFUSED", err.Error())
	case err != nil:
		fail(http.StatusNotFound, "LOAD_UNKNOWN", err.Error())
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{}})
	}
}

// orderHeader is what no page of another site can send without being allowed to.
const orderHeader = "X-Tributary-Order"

func tableCommand(say catalogue) *cobra.Command {
	root := say.group(&cobra.Command{Use: "table", Short: say.table, Example: "tributary table reread 330106-xueji xueji.student\ntributary table pause 330106-xueji xueji.student --agent http://127.0.0.1:8061"})
	agent := root.PersistentFlags().String("agent", "http://127.0.0.1:8061", say.tableAgent)
	for _, order := range []struct{ name, short string }{{"reread", say.tableReread}, {"pause", say.tablePause}, {"resume", say.tableResume}, {"cancel", say.tableCancel}} {
		root.AddCommand(&cobra.Command{Use: order.name + " SOURCE TABLE", Short: order.short, Args: say.takes("SOURCE", "TABLE"),
			Example: fmt.Sprintf("tributary table %[1]s 330106-xueji xueji.student\ntributary table %[1]s 330108-renshi public.teacher --agent http://127.0.0.1:8071", order.name),
			RunE: func(c *cobra.Command, args []string) error {
				if err := say.address(c, "--agent", *agent); err != nil {
					return err
				}
				if err := give(c.Context(), *agent, args[0], args[1], order.name); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), say.ordered)
				return err
			}})
	}
	return root
}

// give sends an order to an agent.
func give(ctx context.Context, agent, source, table, order string) error {
	u, err := url.Parse(agent)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath("api/sources", source, "tables", table, order).String(), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	req.Header.Set(orderHeader, "1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	defer func() { _ = res.Body.Close() }() // read only
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	if res.StatusCode == http.StatusOK {
		return nil
	}
	var answer struct {
		Error trouble `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Error.Message == "" {
		return &problem{code: "NOT_TRIBUTARY", words: agent + ": " + res.Status}
	}
	return &problem{code: answer.Error.Code, words: answer.Error.Message}
}
