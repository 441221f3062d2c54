// Package schemas publishes table versions to an org's .schemas topic and finds
// them again. A version's id is its offset there, so ids need no coordinator. It
// decides what is the same version; it knows no database.
package schemas

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Topic is the part of a log's client that this package uses.
type Topic interface {
	// ReadFrom calls f for each record from an offset on, up to the present end,
	// which it returns.
	ReadFrom(ctx context.Context, p log.Partition, from log.Offset, f func(log.Offset, *log.Record) error) (log.Offset, error)
	// Put appends one record and returns its offset once it is durable.
	Put(ctx context.Context, p log.Partition, key, value []byte) (log.Offset, error)
}

// Catalogue knows the versions of many orgs. It is safe for concurrent use.
type Catalogue struct {
	log Topic

	mu     sync.Mutex
	topics map[string]*known
}

// known is one topic, as far as it has been read.
type known struct {
	next    log.Offset
	byID    map[uint32]*schema.Table
	version map[string]*schema.Table // by source, table and hash: the one pointer per version
	id      map[string]uint32        // the latest id of each
	newest  map[string]string        // by source and table: the version that stands last
}

// New makes an empty catalogue; topics are read when they are asked for.
func New(l Topic) *Catalogue { return &Catalogue{log: l, topics: map[string]*known{}} }

func (c *Catalogue) topic(name string) *known {
	k := c.topics[name]
	if k == nil {
		k = &known{byID: map[uint32]*schema.Table{}, version: map[string]*schema.Table{}, id: map[string]uint32{}, newest: map[string]string{}}
		c.topics[name] = k
	}
	return k
}

func tableOf(t *schema.Table) string { return t.Source + "\x00" + t.ID() }

func identity(t *schema.Table) string { return tableOf(t) + "\x00" + string(t.Version()) }

func (k *known) read(ctx context.Context, l Topic, name string) error {
	next, err := l.ReadFrom(ctx, log.Partition{Topic: name}, k.next, func(o log.Offset, r *log.Record) error {
		t, err := envelope.UnmarshalSchema(r.Value)
		if err != nil {
			return fmt.Errorf("%s, offset %d: %w", name, o, err)
		}
		k.add(t, uint32(o))
		return nil
	})
	if err == nil {
		k.next = next
	}
	return err
}

func (k *known) add(t *schema.Table, id uint32) {
	key := identity(t)
	if first := k.version[key]; first != nil {
		t = first
	} else {
		k.version[key] = t
	}
	k.byID[id], k.id[key], k.newest[tableOf(t)] = t, id, key
}

// Table returns the version that a row record of a .changes topic names. Equal
// versions are the same pointer. An id that doesn't exist is an error.
func (c *Catalogue) Table(ctx context.Context, changes string, id uint32) (*schema.Table, error) {
	name := strings.TrimSuffix(changes, ".changes") + ".schemas"
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.topic(name)
	if t := k.byID[id]; t != nil {
		return t, nil
	}
	if err := k.read(ctx, c.log, name); err != nil {
		return nil, err
	}
	if t := k.byID[id]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("schema id %d isn't in %s: %w", id, name, envelope.ErrMalformed)
}

// Publisher publishes to one topic.
type Publisher struct {
	c    *Catalogue
	name string
}

// Publisher gives the publishing side of a .schemas topic.
func (c *Catalogue) Publisher(topic string) *Publisher { return &Publisher{c: c, name: topic} }

// ID returns the id of a version, and publishes it first if it isn't the newest of its
// table: so the topic says which versions a table has had, in order, also of one that
// came back. Two agents may publish one version twice; both ids then mean the same.
func (p *Publisher) ID(ctx context.Context, t *schema.Table) (uint32, error) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	k := p.c.topic(p.name)
	key := identity(t)
	if k.newest[tableOf(t)] == key {
		return k.id[key], nil
	}
	if err := k.read(ctx, p.c.log, p.name); err != nil {
		return 0, err
	}
	if k.newest[tableOf(t)] == key {
		return k.id[key], nil
	}
	name, value, err := envelope.MarshalSchema(t)
	if err != nil {
		return 0, err
	}
	o, err := p.c.log.Put(ctx, log.Partition{Topic: p.name}, name, value)
	if err != nil {
		return 0, err
	}
	k.add(t, uint32(o))
	return uint32(o), nil
}

// Columns gives all columns that versions of a source's tables have had in the topic, by
// schema.Table.ID, in no order.
func (p *Publisher) Columns(ctx context.Context, source string) (map[string][]string, error) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	k := p.c.topic(p.name)
	if err := k.read(ctx, p.c.log, p.name); err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, t := range k.version {
		if t.Source != source {
			continue
		}
		for i := range t.Columns {
			if name := t.Columns[i].Name; !slices.Contains(out[t.ID()], name) {
				out[t.ID()] = append(out[t.ID()], name)
			}
		}
	}
	return out, nil
}
