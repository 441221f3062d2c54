package worker

import (
	"errors"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// codes are the codes of a worker's errors. The first that fits counts.
var codes = []struct {
	err  error
	code string
}{
	{ErrClaimLost, "CLAIM_LOST"},
	{ErrStoreAccess, "STORE_ACCESS"},
	{ErrLossyChange, "SCHEMA_CHANGE_REFUSED"},
	{ErrTableRefused, "STORE_TABLE_REFUSED"},
	{ErrProgressMoved, "PROGRESS_MOVED"},
	{ErrStoreAway, "STORE_UNREACHABLE"},
	{ErrOutcomeUnknown, "STORE_UNREACHABLE"}, // it claims again and looks
	{envelope.ErrMalformed, "LOG_MALFORMED"},
	{errReplaced, "TOPIC_REPLACED"},
}

// CodeOf gives the stable code of an error of a worker or of the log, empty if it
// has none.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*peer.Error](err); ok {
		return e.Code
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return log.CodeOf(err)
}
