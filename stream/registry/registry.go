// Package registry answers the read calls of the Confluent Schema Registry from
// the orgs' .schemas topics, so that clients of other hands decode our records.
// It decides what is a subject and a version; it publishes nothing.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/log"
)

// reader is the part of a log's client that this package uses.
type reader interface {
	// ReadFrom calls f for each record from an offset on, up to the present end,
	// which it returns.
	ReadFrom(ctx context.Context, p log.Partition, from log.Offset, f func(log.Offset, *log.Record) error) (log.Offset, error)
}

// Org is one org whose versions are served, under the base path /Code.
type Org struct {
	Code    string // e.g. 330106
	Changes string // name of its topic of rows
	Schemas string // name of its topic of table versions
}

// Registry knows the versions of its orgs. It reads a topic when it is asked for
// something that may have been published since. It is safe for concurrent use.
type Registry struct {
	log    reader
	logger *slog.Logger
	orgs   map[string]*topic
}

// New makes a registry; nothing is read before the first request.
func New(l reader, orgs []Org, logger *slog.Logger) (*Registry, error) {
	r := &Registry{log: l, logger: logger, orgs: map[string]*topic{}}
	for _, o := range orgs {
		if o.Code == "" || o.Changes == "" || o.Schemas == "" {
			return nil, fmt.Errorf("registry: org %q needs a code and its topics", o.Code)
		}
		t := &topic{org: o}
		t.forget()
		r.orgs[o.Code] = t
	}
	if len(r.orgs) == 0 {
		return nil, errors.New("registry: no org")
	}
	return r, nil
}

// topic is one .schemas topic, as far as it has been read.
type topic struct {
	org Org

	mu       sync.Mutex
	next     log.Offset
	byID     map[uint32]*version
	same     map[string]*version // by source, table and hash
	subjects map[string][]*version
}

// version is a table version: one Avro schema, under the first id it was
// published with. Others may name it, too.
type version struct {
	id     uint32
	schema string
	// places are the version's numbers, from 1, in each of its subjects.
	places []place
}

// place is a version's number within a subject.
type place struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

func (t *topic) forget() {
	t.next = 0
	t.byID, t.same, t.subjects = map[uint32]*version{}, map[string]*version{}, map[string][]*version{}
}

// refresh reads what has been published since. A record that can't be read is set
// aside; its id doesn't exist.
func (t *topic) refresh(ctx context.Context, l reader, logger *slog.Logger) error {
	read := func() (log.Offset, error) {
		return l.ReadFrom(ctx, log.Partition{Topic: t.org.Schemas}, t.next, func(o log.Offset, r *log.Record) error {
			rec, err := envelope.ReadSchema(r.Value)
			if err != nil {
				logger.Error("schema record set aside", "topic", t.org.Schemas, "offset", o, "err", err)
			} else {
				t.add(uint32(o), rec)
			}
			t.next = o + 1
			return nil
		})
	}
	end, err := read()
	if err == nil && end < t.next { // another topic under the same name
		t.forget()
		end, err = read()
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", t.org.Schemas, err)
	}
	t.next = max(t.next, end)
	return nil
}

// add takes up a record. A version that was published twice keeps its first id.
func (t *topic) add(id uint32, r *envelope.SchemaRecord) {
	key := r.Table.Source + "\x00" + r.Table.ID() + "\x00" + string(r.Version)
	v := t.same[key]
	if v == nil {
		v = &version{id: id, schema: string(r.Avro)}
		t.same[key] = v
		for _, s := range [...]string{t.org.Changes + "-value", t.org.Changes + "-" + envelope.RecordName(r.Table)} {
			t.subjects[s] = append(t.subjects[s], v)
			v.places = append(v.places, place{Subject: s, Version: len(t.subjects[s])})
		}
	}
	t.byID[id] = v
}

// get finds the version that an id names, reading the topic only if it isn't known yet.
func (r *Registry) get(ctx context.Context, t *topic, id uint32) (*version, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.byID[id]; v != nil {
		return v, nil
	}
	if err := t.refresh(ctx, r.log, r.logger); err != nil {
		return nil, err
	}
	return t.byID[id], nil
}

// versions gives the versions of a subject, none if there is no such subject.
func (r *Registry) versions(ctx context.Context, t *topic, subject string) ([]*version, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx, r.log, r.logger); err != nil {
		return nil, err
	}
	return slices.Clone(t.subjects[subject]), nil
}

// names gives the subjects of an org in order.
func (r *Registry) names(ctx context.Context, t *topic) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx, r.log, r.logger); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(t.subjects))
	for s := range t.subjects {
		names = append(names, s)
	}
	slices.Sort(names)
	return names, nil
}

// newest gives the highest id that the topic had when it was last read.
func (t *topic) newest() uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var top uint32
	for id := range t.byID {
		top = max(top, id)
	}
	return top
}
