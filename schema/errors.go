package schema

import "errors"

// ErrNoKey reports a table without a primary key (PostgreSQL: without a usable
// replica identity). Only a change at the source repairs it.
var ErrNoKey = errors.New("no key")
