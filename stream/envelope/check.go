package envelope

import (
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// checkBytes is the size of a check record's rows, about: those of a chunk that are
// beyond it stand in further records.
const checkBytes = 256 << 10

// AddCheck appends a check record with as many of the check's rows as one may have, and
// gives the rest of the rows.
func AddCheck(r *log.Records, source string, c *Check) (rest []event.CheckedRow) {
	b := putBytes(putBytes(append(make([]byte, 0, 128), byte(c.Phase)), c.ID), c.Table)
	part := len(c.Without) > 0 && c.Phase <= event.CheckRows
	b = append(putPosition(putBytes(b, c.Dataset), c.Since), bit(c.Repair)+2*bit(part))
	if part {
		b = putLong(b, int64(len(c.Without)))
		for _, name := range c.Without {
			b = putBytes(b, name)
		}
	}
	switch c.Phase {
	case event.CheckBegun:
		b = putLong(putBytes(b, c.By), c.At.UnixMicro())
	case event.CheckRows:
		n, size := 0, 0
		for ; n < len(c.Rows) && size < checkBytes; n++ {
			size += len(c.Rows[n].Key) + len(c.Rows[n].Digest)
		}
		rest = c.Rows[n:]
		b = putLong(putLong(b, int64(c.SchemaID)), int64(n))
		for i := range c.Rows[:n] {
			b = append(putBytes(b, c.Rows[i].Key), c.Rows[i].Digest[:]...)
		}
	case event.CheckEnded:
		b = putLong(b, c.Total)
	case event.CheckGivenUp:
		b = putBytes(b, c.Reason)
	}
	add(r, source, checkHeader, b)
	return rest
}

// check reads a check. Its rows' keys view the record.
func (s *scan) check() *Check {
	c := &Check{}
	c.Phase, c.ID, c.Table, c.Dataset, c.Since = event.CheckPhase(s.fixed(1)[0]), s.text(), s.text(), s.text(), s.position()
	how := s.fixed(1)[0]
	if c.Repair = how&1 != 0; how > 3 || how > 1 && c.Phase > event.CheckRows {
		s.fail("check")
	}
	if how > 1 {
		for range s.count("columns") {
			c.Without = append(c.Without, s.text())
		}
	}
	switch c.Phase {
	case event.CheckBegun:
		c.By, c.At = s.text(), s.time()
	case event.CheckRows:
		c.SchemaID = uint32(s.long())
		n := s.count("checked rows")
		c.Rows = make([]event.CheckedRow, 0, min(n, int64(len(s.b)/len(event.RowDigest{}))))
		for range n {
			row := event.CheckedRow{Key: s.bytes()}
			copy(row.Digest[:], s.fixed(len(row.Digest)))
			if s.err != nil {
				break
			}
			c.Rows = append(c.Rows, row)
		}
	case event.CheckEnded:
		c.Total = s.long()
	case event.CheckGivenUp:
		c.Reason = s.text()
	default:
		s.fail("check")
	}
	return c
}

// ParseCheck reads Control.Body of a check record again.
func ParseCheck(body []byte) (*Check, error) {
	s := scan{b: body}
	c := s.check()
	if s.err == nil && len(s.b) != 0 {
		s.fail("bytes after the body")
	}
	return c, s.err
}
