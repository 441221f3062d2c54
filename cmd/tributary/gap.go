package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/status"
)

// repairs takes orders to repair the gaps of an agent's sources.
type repairs struct {
	loaders
	// lost reports whether a store says that the source is in a gap, which only it sees.
	lost func(ctx context.Context, source string) (bool, error)
}

// storeInGap reads what workers say of a source.
func storeInGap(ctx context.Context, client *kafka.Client, org, source string) (bool, error) {
	stores := map[string]bool{}
	_, err := client.ReadAll(ctx, statusTopic(org), func(_ log.Offset, r *log.Record) error {
		if s, err := status.Parse(r.Key, r.Value); err == nil && s.Kind == status.OfStore && s.Source == source { // others are the hub's to count
			stores[s.Store] = s.State == "gap"
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("ask what the stores say: %w", err)
	}
	for _, lost := range stores {
		if lost {
			return true, nil
		}
	}
	return false, nil
}

// ServeHTTP takes an order: POST /api/sources/{source}/gap/repair.
func (rs repairs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l, ok := rs.ordered(w, r)
	if !ok {
		return
	}
	err := l.pipe.Repair(false)
	if errors.Is(err, pipeline.ErrNoGap) {
		lost, lerr := rs.lost(r.Context(), r.PathValue("source"))
		if lerr != nil {
			code, hint := codeOf(lerr)
			refuse(w, http.StatusServiceUnavailable, trouble{Code: code, Message: lerr.Error(), Hint: hint})
			return
		}
		if lost {
			err = l.pipe.Repair(true)
		}
	}
	for _, e := range []struct {
		err  error
		code string
	}{{pipeline.ErrNoGap, "GAP_NONE"}, {pipeline.ErrRepairing, "GAP_REPAIRING"}, {pipeline.ErrNotRunning, "SOURCE_STOPPED"}} {
		if errors.Is(err, e.err) {
			refuse(w, http.StatusConflict, trouble{Code: e.code, Message: err.Error()})
			return
		}
	}
	accept(w, given{Durable: l.repairDurable(r.Context())})
}

// repairDurable waits until the log has the order to repair, and reports whether it has.
func (l loading) repairDurable(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, durableWithin)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !l.pipe.RepairLogged() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func gapCommand(say catalogue) *cobra.Command {
	root := say.group(&cobra.Command{Use: "gap", Short: say.gap, Example: "tributary gap repair 330106-xueji\ntributary gap repair 330106-xueji --agent http://127.0.0.1:8061"})
	agent := root.PersistentFlags().String("agent", "http://127.0.0.1:8061", say.tableAgent)
	c := &cobra.Command{Use: "repair SOURCE", Short: say.gapRepair, Long: say.gapRepairLong, Args: say.takes("SOURCE"),
		Example: "tributary gap repair 330106-xueji\ntributary gap repair 330108-renshi --agent http://127.0.0.1:8071"}
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := say.address(c, "--agent", *agent); err != nil {
			return err
		}
		got, err := give(c.Context(), *agent, nil, args[0], "gap", "repair")
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
	return root
}
