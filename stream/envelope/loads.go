package envelope

import (
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// What a commit record says of loads of tables.

// putRange adds the part of a table that is loaded: a byte 0 for all of it, 1 for a range,
// 2 for one whose missing rows stay.
func putRange(b []byte, r *event.KeyRange) []byte {
	if r == nil {
		return append(b, 0)
	}
	b = append(b, 1+bit(r.Keep))
	b = putLong(b, int64(len(r.Columns)))
	for _, c := range r.Columns {
		b = append(putBytes(putBytes(b, c.Name), c.Kind.String()), byte(c.Order))
	}
	return putBound(putBound(b, r.From), r.To)
}

func putBound(b []byte, values []event.Value) []byte {
	b = putLong(b, int64(len(values)))
	for i := range values {
		b = putBytes(putLong(b, values[i].Int()), string(values[i].B))
	}
	return b
}

func (s *scan) loads() (out []event.Load) {
	for range s.count("loads") {
		l := event.Load{Table: s.text(), Dataset: s.text()}
		how := s.fixed(2)
		l.Phase, l.Sweep, l.Ordered = event.LoadPhase(how[0]), how[1]&1 != 0, how[1]&2 != 0
		if l.Phase > event.TableDropped || how[1] > 3 {
			s.fail("load")
		}
		l.Since = s.position()
		l.Range = s.keyRange()
		out = append(out, l)
	}
	return out
}

func (s *scan) keyRange() *event.KeyRange {
	what := s.fixed(1)[0]
	if what == 0 {
		return nil
	}
	r := &event.KeyRange{Keep: what == 2}
	for range s.count("key columns") {
		c := event.KeyColumn{Name: s.text()}
		kind, err := schema.ParseKind(s.text())
		if c.Kind, c.Order = kind, event.KeyOrder(s.fixed(1)[0]); err != nil || c.Order > event.OrderForeign {
			s.fail("key column")
		}
		r.Columns = append(r.Columns, c)
	}
	r.From, r.To = s.bound(r.Columns), s.bound(r.Columns)
	if what > 2 {
		s.fail("range")
	}
	return r
}

func (s *scan) bound(columns []event.KeyColumn) (out []event.Value) {
	n := s.count("bound")
	if n > int64(len(columns)) {
		s.fail("bound")
		return nil
	}
	for i := range n {
		v := event.Signed(s.long())
		if text := s.bytes(); !columns[i].Kind.Numeric() {
			v = event.Raw(append([]byte{}, text...))
		}
		out = append(out, v)
	}
	return out
}

// count reads a number of things, each of which takes a byte at least.
func (s *scan) count(what string) int64 {
	n := s.long()
	if n < 0 || n > int64(len(s.b)) {
		s.fail(what)
		return 0
	}
	return n
}
