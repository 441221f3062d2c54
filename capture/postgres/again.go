package postgres

import (
	"fmt"
	"strconv"

	"github.com/jackc/pglogrepl"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/stream/event"
)

// again is the last transaction that was read. Where the slot still gives it, it must come
// first, and be the same: a server that was set back, by a copy of its files, and has
// written on beyond our place looks like the one before in all else. Its slot was set back
// with it, so it does give what stands there now.
type again struct {
	last event.Position
	id   string
}

// meets takes a transaction's begin while the last one is awaited.
func (r *Reader) meets(m *pgoutput.Msg) error {
	a := r.again
	if id := strconv.FormatUint(uint64(m.XID), 10); m.LSN != a.last.Place.Offset || id != a.id {
		return a.gap(fmt.Sprintf("transaction %s at %s", id, pglogrepl.LSN(m.LSN)))
	}
	r.again = nil
	return nil
}

func (a *again) gap(found string) error {
	return &capture.GapError{Code: "LOG_RESET", From: a.last,
		Reason: fmt.Sprintf("the last transaction was %s at %s, now the log has %s: the server was set back and has written on", a.id, pglogrepl.LSN(a.last.Place.Offset), found)}
}
