package envelope

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

func (d *Decoder) plan(t *schema.Table) *plan {
	p := d.plans[t]
	if p == nil {
		if d.plans == nil {
			d.plans = map[*schema.Table]*plan{}
		}
		p = newPlan(t)
		d.plans[t] = p
	}
	return p
}

// json reads a value of the JSON form into the row, whose table is set.
func (d *Decoder) json(value []byte, row *event.Row, stamp *Stamp) error {
	t := row.Table
	p := d.plan(t)
	if p.err != nil {
		return p.err
	}
	s := jsonScan{b: value, arena: &d.arena}
	s.want(`{"before":`)
	row.Before = s.image(p, t, row.Before)
	s.want(`,"after":`)
	row.After = s.image(p, t, row.After)
	row.Anomalies = s.anomalies(p, row.Anomalies[:0])
	s.want(`,"op":"`)
	if len(s.b) > 0 && bytes.IndexByte([]byte("curd"), s.b[0]) >= 0 {
		row.Op, s.b = event.Op(s.b[0]), s.b[1:]
	} else {
		s.fail("op")
	}
	s.want(`"`)
	d.stamp(&s, p, t)
	order := s.int()
	s.want("}}")
	if s.err == nil && len(s.b) != 0 {
		s.fail("bytes after the record")
	}
	if s.err == nil && (order < 0 || order > math.MaxInt) {
		s.fail("total_order")
	}
	if s.err != nil {
		return s.err
	}
	if stamp != nil {
		*stamp = d.blockIs
		stamp.Order = int(order)
	}
	return nil
}

// image reads an image into dst, reusing its memory. It returns nil for null. A
// column that isn't there is absent.
func (s *jsonScan) image(p *plan, t *schema.Table, dst []event.Value) []event.Value {
	if s.has("null") {
		return nil
	}
	s.want("{")
	dst = dst[:0]
	first := true
	for i := range t.Columns {
		rest := s.b
		if !first && len(rest) > 0 && rest[0] == ',' {
			rest = rest[1:]
		} else if !first {
			dst = append(dst, event.Value{})
			continue
		}
		if !bytes.HasPrefix(rest, p.names[i]) {
			dst = append(dst, event.Value{})
			continue
		}
		first = false
		s.b = rest[len(p.names[i]):]
		dst = append(dst, s.value(t.Columns[i].Type.Kind))
	}
	s.want("}") // a name that the table doesn't have, or out of order, stands here
	return dst
}

func (s *jsonScan) anomalies(p *plan, dst []event.Anomaly) []event.Anomaly {
	if !s.has(`,"anomalies":[`) {
		return dst
	}
	for s.err == nil {
		s.want(`{"column":`)
		a := event.Anomaly{Column: -1}
		for i, name := range p.names {
			if quoted := name[:len(name)-1]; bytes.HasPrefix(s.b, quoted) {
				a.Column, s.b = i, s.b[len(quoted):]
				break
			}
		}
		if a.Column < 0 {
			s.fail("anomaly's column")
		}
		s.want(`,"raw":`)
		a.Raw = s.text()
		s.want(`,"before":`)
		a.Before = s.bool()
		s.want("}")
		dst = append(dst, a)
		if s.has("]") {
			break
		}
		s.want(",")
	}
	return dst
}

// stamp reads what putJSONStamp writes. Rows of one transaction repeat it, so it
// is compared with the last one first.
func (d *Decoder) stamp(s *jsonScan, p *plan, t *schema.Table) {
	if d.blockTab == t && bytes.HasPrefix(s.b, d.block) {
		s.b = s.b[len(d.block):]
		return
	}
	in := s.b
	got := s.stamp()
	if s.err != nil {
		return
	}
	in = in[:len(in)-len(s.b)]
	d.blockTab = nil
	var err error
	if d.block, err = putJSONStamp(d.block[:0], &got, t, p); err != nil || !bytes.Equal(in, d.block) {
		s.fail(fmt.Sprintf("stamp of table version %s", p.version)) // its names, its version, or not canonical
		return
	}
	d.blockTab, d.blockIs = t, got
}

// stamp reads the members that say something of their own; the caller holds the
// others to them.
func (s *jsonScan) stamp() (st Stamp) {
	s.want(`,"source":{"connector":`)
	st.Source.Engine = event.Engine(s.text())
	s.want(`,"name":`)
	st.Source.ID = s.text()
	s.want(`,"ts_ms":`)
	s.int()
	for _, name := range [...]string{`,"db":`, `,"schema":`, `,"table":`} {
		s.want(name)
		s.raw()
	}
	s.want(`,"server_id":`)
	st.Txn.ServerID = uint32(s.uint())
	s.want(`,"file":`)
	st.Txn.File = s.text()
	s.want(`,"pos":`)
	s.uint()
	s.want(`,"org":`)
	st.Source.Org = s.text()
	s.want(`,"agent":`)
	st.Source.Agent = s.text()
	s.want(`,"position":`)
	pos, err := event.ParsePosition(s.text())
	if err != nil {
		s.fail("position")
	}
	st.Txn.Position = pos
	s.want(`,"schema_version":`)
	s.raw()
	s.want(`,"policy_version":`)
	st.Policy = s.text()
	s.want(`,"ts_us":`)
	st.Txn.Committed = time.UnixMicro(s.int()).UTC()
	s.want(`,"captured_us":`)
	st.Txn.Captured = time.UnixMicro(s.int()).UTC()
	s.want(`,"precision":`)
	st.Txn.Precision = event.Precision(s.uint())
	s.want(`},"ts_ms":`)
	s.int()
	s.want(`,"transaction":{"id":`)
	st.Txn.ID = s.text()
	s.want(`,"total_order":`)
	return st
}
