package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/capture/snapshot"
)

// verifying is the answer to an order to compare tables with the stores.
type verifying struct {
	ID      string   `json:"verification"`
	Ordered []string `json:"tables"`
	// Refused are tables that can't be compared.
	Refused []refusedTable `json:"refused,omitempty"`
	// Durable says that the log has the order for all tables: it outlives the agent.
	Durable bool `json:"durable"`
}

// refusedTable is a table that can't be compared, and why.
type refusedTable struct {
	Table string `json:"table"`
	trouble
}

// newVerification is a new order.
func newVerification(by string, repair bool) snapshot.Verification {
	now := time.Now().UTC()
	var unique [4]byte
	_, _ = rand.Read(unique[:]) // which never fails
	return snapshot.Verification{ID: now.Format("20060102T150405-") + hex.EncodeToString(unique[:]), By: by, At: now, Repair: repair}
}

// orderVerification takes an order to compare one table, or all of them.
func (l loading) orderVerification(ctx context.Context, r *http.Request) (out verifying, err error) {
	q := r.URL.Query()
	v := newVerification(q.Get("by"), q.Get("repair") == "true")
	v.Without = map[string][]string{}
	for name, columns := range q {
		if table, ok := strings.CutPrefix(name, withoutOf); ok {
			v.Without[table] = columns
		}
	}
	out.ID = v.ID
	if table := q.Get("table"); table != "" {
		if err := l.Verify(ctx, table, v); err != nil {
			return out, err
		}
		out.Ordered = []string{table}
	} else {
		var refused []snapshot.Unverified
		if out.Ordered, refused, err = l.VerifyAll(ctx, v, nil); err != nil {
			return out, err
		}
		for _, u := range refused {
			_, t := refusedOrder(u.Err)
			out.Refused = append(out.Refused, refusedTable{u.Table, t})
		}
	}
	out.Durable = true
	for _, table := range out.Ordered {
		out.Durable = out.Durable && l.durable(ctx, table)
	}
	return out, nil
}
