package pipeline

import "github.com/tributary-cdc/tributary/schema"

// Sent is what of a table the log has got.
type Sent struct {
	Table, Dataset string
	Rows           int64
	Bytes          int64 // of keys and values, before compression
}

// tally counts rows by table. Rows of a table come one after the other, mostly.
type tally struct {
	of   map[*schema.Table]int // places in list
	list []Sent
	last *schema.Table
	at   int // its place
}

func (c *tally) add(t *schema.Table, bytes int) {
	if t != c.last {
		at, ok := c.of[t]
		if !ok {
			if c.of == nil {
				c.of = map[*schema.Table]int{}
			}
			at = len(c.list)
			c.of[t], c.list = at, append(c.list, Sent{Table: t.ID(), Dataset: t.Dataset})
		}
		c.last, c.at = t, at
	}
	c.list[c.at].Rows++
	c.list[c.at].Bytes += int64(bytes)
}

// reset empties the tally; its memory stays.
func (c *tally) reset() {
	clear(c.of)
	c.list, c.last = c.list[:0], nil
}
