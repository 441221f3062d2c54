package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/sinks/worker"
)

// accepting takes orders to accept what has stopped a table in a worker's store.
type accepting struct {
	store interface {
		Accept(ctx context.Context, source, table string) (worker.Halt, error)
	}
}

// accepted is the answer to such an order.
type accepted struct {
	// Held are the rows that are applied now.
	Held int64 `json:"held_rows"`
	// Reread is what is to be done besides, because not all rows of the table are held.
	Reread string `json:"reread,omitempty"`
}

// ServeHTTP takes an order: POST /api/sources/{source}/tables/{table}/accept. Any worker of
// the store may take it: the store tells the one that has the table.
func (a accepting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !fromHere(w, r) {
		return
	}
	if name := r.PathValue("order"); name != "accept" {
		refuse(w, http.StatusNotFound, trouble{Code: "ORDER_UNKNOWN", Message: "a worker takes no such order: " + name})
		return
	}
	h, err := a.store.Accept(r.Context(), r.PathValue("source"), r.PathValue("table"))
	switch {
	case errors.Is(err, worker.ErrNotHalted):
		refuse(w, http.StatusConflict, trouble{Code: "TABLE_NOT_HALTED", Message: err.Error()})
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, trouble{Code: worker.CodeOf(err), Message: err.Error()})
	case h.Reread:
		accept(w, accepted{Reread: h.Remedy()})
	default:
		accept(w, accepted{Held: h.Rows})
	}
}

func acceptCommand(say catalogue) *cobra.Command {
	c := &cobra.Command{Use: "accept SOURCE TABLE", Short: say.tableAccept, Long: say.tableAcceptLong, Args: say.takes("SOURCE", "TABLE"),
		Example: "tributary table accept 330106-xueji xueji.student\ntributary table accept 330108-renshi renshi.public.teacher --worker http://127.0.0.1:8072"}
	at := c.Flags().String("worker", "http://127.0.0.1:8062", say.workerAt)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := say.address(c, "--worker", *at); err != nil {
			return err
		}
		var got accepted
		if err := post(c.Context(), *at, []string{"api/sources", args[0], "tables", args[1], "accept"}, nil, &got); err != nil {
			return err
		}
		text := counted(say.tableAccepted, got.Held)
		if got.Reread != "" {
			text = fmt.Sprintf(say.tableRereadToo, got.Reread)
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), text)
		return err
	}
	return c
}
