package schema

import "errors"

// ErrNoKey reports a table that has no key and isn't in append mode. A change at the
// source or a word in the configuration repairs it.
var ErrNoKey = errors.New("no key")
