package log

import (
	"errors"

	"github.com/tributary-cdc/tributary/stream/peer"
)

// codes are the stable codes of this package's errors, for operators. The first
// that fits counts.
var codes = []struct {
	err  error
	code string
}{
	{ErrFenced, "AGENT_FENCED"},
	{ErrCorrupt, "LOG_CORRUPT"},
	{ErrTooLarge, "LOG_BATCH_TOO_LARGE"},
	{ErrNotDurable, "LOG_NOT_DURABLE"},
	{ErrTopicConfig, "TOPIC_SETTINGS"},
	{ErrSizeBound, "TOPIC_SIZE_BOUND"},
	{ErrLogin, "LOG_LOGIN"},
	{ErrForbidden, "LOG_ACL"},
	{ErrUnknownTopic, "TOPIC_MISSING"},
	{ErrOffsetOutOfRange, "LOG_OFFSET_GONE"},
	{ErrUnknownOutcome, "LOG_UNAVAILABLE"}, // it opens again and looks
	{ErrUnavailable, "LOG_UNAVAILABLE"},
}

// CodeOf gives the stable code of an error of the log, empty if it has none.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*peer.Error](err); ok {
		return e.Code
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return ""
}
