package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Version is a table as an org's log has had it since a moment.
type Version struct {
	At    time.Time // when the log had it
	Table *schema.Table
}

// Archive is where table versions are kept: a state.State.
type Archive interface {
	// VersionsRead gives the offset up to which each topic has been read, by its name.
	VersionsRead(ctx context.Context) (map[string]log.Offset, error)
	// KeepVersions notes how tables have changed by versions of a topic, in its order, and that
	// it has been read up to next, if it had been up to read. If not, another hub was here, and
	// nothing is noted. It gives the offset up to which it has been read now.
	KeepVersions(ctx context.Context, topic string, read, next log.Offset, versions []Version) (log.Offset, error)
}

// ArchivistOptions says what an Archivist works with. All but Every and Logger are required.
type ArchivistOptions struct {
	Archive Archive
	Watch   func() *Snapshot
	// Topic gives an org's topic of table versions.
	Topic func(org string) log.Partition
	// Fetcher opens a topic; what it gives is used by one goroutine.
	Fetcher func(log.Partition) log.Fetcher
	// Every is the pause between two looks. Default 10s.
	Every  time.Duration
	Logger *slog.Logger
}

// Archivist has noted how the tables of registered sources change.
type Archivist struct {
	o    ArchivistOptions
	open map[string]log.Fetcher // by org
	next map[string]log.Offset  // by topic; nil until it has been asked for
}

// NewArchivist checks the options. It starts nothing.
func NewArchivist(o ArchivistOptions) (*Archivist, error) {
	if o.Archive == nil || o.Watch == nil || o.Topic == nil || o.Fetcher == nil {
		return nil, errors.New("archivist options: Archive, Watch, Topic and Fetcher must be set")
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Archivist{o: o, open: map[string]log.Fetcher{}}, nil
}

// Run looks until ctx ends.
func (a *Archivist) Run(ctx context.Context) {
	Repeat(ctx, a.o.Every, a.o.Logger, "table versions", a.Look)
}

// maxVersions bounds those that are held at once, beyond the end of a fetch.
const maxVersions = 500

// Look has read the topics of all orgs with registered sources to their present ends. One that
// can't be read doesn't keep the others waiting.
func (a *Archivist) Look(ctx context.Context) error {
	if a.next == nil {
		next, err := a.o.Archive.VersionsRead(ctx)
		if err != nil {
			return err
		}
		a.next = next
	}
	orgs := map[string]bool{}
	for _, x := range a.o.Watch().Sources {
		if len(x.Feeds) > 0 {
			orgs[x.Org.Code] = true
		}
	}
	var all []error
	for org := range orgs {
		if err := a.read(ctx, org); err != nil && !errors.Is(err, log.ErrUnknownTopic) {
			all = append(all, fmt.Errorf("table versions of %s: %w", org, err))
		}
	}
	return errors.Join(all...)
}

// read takes an org's topic up from where it was left. One that ends before that has been made
// again, and is read from its beginning.
func (a *Archivist) read(ctx context.Context, org string) error {
	p := a.o.Topic(org)
	f := a.open[org]
	if f == nil {
		f = a.o.Fetcher(p)
		a.open[org] = f
	}
	first, end, err := f.Bounds(ctx)
	if err != nil {
		return err
	}
	from := a.next[p.Topic]
	if from > end {
		from = first
	}
	for from = max(from, first); from < end && ctx.Err() == nil; {
		versions, next, err := a.fetch(ctx, f, org, from, end)
		if err != nil {
			return err
		}
		if from, err = a.o.Archive.KeepVersions(ctx, p.Topic, a.next[p.Topic], next, versions); err != nil {
			return err
		}
		a.next[p.Topic] = from
	}
	return nil
}

// fetch gives what stands from one offset on, and where to go on.
func (a *Archivist) fetch(ctx context.Context, f log.Fetcher, org string, from, end log.Offset) (out []Version, next log.Offset, err error) {
	next = from
	for next < end && len(out) < maxVersions {
		batches, err := f.Fetch(ctx, next, time.Second)
		if err != nil {
			return nil, from, err
		}
		for i := range batches {
			b := &batches[i]
			if !b.Control {
				if err := b.Each(func(o log.Offset, r *log.Record) error {
					if o >= next {
						out = a.take(out, org, b.Appended, o, r)
					}
					return nil
				}); err != nil {
					return nil, from, err
				}
			}
			next = b.Last + 1
		}
		if len(batches) == 0 {
			break
		}
	}
	return out, next, nil
}

// take adds a record's version. What isn't one, or speaks for another org, is left out: who may
// write to one org's topic must not stop the hub, nor speak for another.
func (a *Archivist) take(out []Version, org string, at time.Time, o log.Offset, r *log.Record) []Version {
	t, err := envelope.UnmarshalSchema(r.Value)
	if err == nil && !strings.HasPrefix(t.Source, org+"-") {
		err = fmt.Errorf("a table of %.100q: %w", t.Source, envelope.ErrMalformed)
	}
	if err != nil {
		a.o.Logger.Warn("table version left out", "org", org, "offset", o, "err", err)
		return out
	}
	return append(out, Version{At: at, Table: t})
}
