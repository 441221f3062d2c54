package watch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/log"
)

// versionsTopic is a topic of table versions, one batch per record.
type versionsTopic struct {
	records [][]byte
	err     error
}

func (v *versionsTopic) Bounds(context.Context) (first, end log.Offset, err error) {
	return 0, log.Offset(len(v.records)), v.err
}

func (v *versionsTopic) Fetch(_ context.Context, from log.Offset, _ time.Duration) (out []log.Batch, _ error) {
	var r log.Records
	r.Add(nil, v.records[from])
	return append(out, log.Batch{Base: from, Last: from, Appended: time.Unix(1_800_000_000+int64(from), 0), Count: 1, Data: r.Data()}), nil
}

func (v *versionsTopic) put(t *testing.T, source string, columns ...string) {
	t.Helper()
	table := &schema.Table{Source: source, Dataset: "d", Database: "x", Name: "y", Key: []int{0}}
	for _, c := range columns {
		table.Columns = append(table.Columns, schema.Column{Name: c, Type: schema.Type{Kind: schema.Int64}})
	}
	_, value, err := envelope.MarshalSchema(table)
	if err != nil {
		t.Fatal(err)
	}
	v.records = append(v.records, value)
}

// archive notes in words what it is told.
type archive struct {
	read map[string]log.Offset
	told string
}

func (a *archive) VersionsRead(context.Context) (map[string]log.Offset, error) {
	out := map[string]log.Offset{}
	for topic, next := range a.read {
		out[topic] = next
	}
	return out, nil
}

func (a *archive) KeepVersions(_ context.Context, topic string, read, next log.Offset, versions []Version) (log.Offset, error) {
	if a.read[topic] != read {
		return a.read[topic], nil
	}
	for _, v := range versions {
		a.told += fmt.Sprintf("%s %d at %d;", v.Table.Source, len(v.Table.Columns), v.At.Unix()-1_800_000_000)
	}
	a.read[topic] = next
	return next, nil
}

// TestArchivist: each version is told once with its time, from where any hub left it; what is
// malformed or speaks for another org is left out, a topic that was made again is read from its
// beginning, and one that can't be read keeps no other waiting.
func TestArchivist(t *testing.T) {
	w, kept := newWorld(t), &archive{read: map[string]log.Offset{}}
	w.feed("330106", "a", "student", catalog.Authoritative)
	w.feed("330108", "b", "student", catalog.Check)
	w.look(t)
	topics := map[string]*versionsTopic{"330106": {}, "330108": {err: log.ErrUnknownTopic}}
	begin := func() *Archivist {
		t.Helper()
		a, err := NewArchivist(ArchivistOptions{Archive: kept, Watch: func() *Snapshot { return w.w.Snapshot() },
			Topic: func(org string) log.Partition { return log.Partition{Topic: org} }, Fetcher: func(p log.Partition) log.Fetcher { return topics[p.Topic] }})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	look := func(what string, a *Archivist, want string, wrong error) {
		t.Helper()
		kept.told = ""
		if err := a.Look(t.Context()); !errors.Is(err, wrong) || (err == nil) != (wrong == nil) {
			t.Errorf("%s: %v, want %v", what, err, wrong)
		}
		if kept.told != want {
			t.Errorf("%s: %q, want %q", what, kept.told, want)
		}
	}
	a, x := begin(), topics["330106"]
	look("nothing there", a, "", nil)
	x.put(t, "330106-a", "id")
	x.put(t, "330108-b", "id") // forged
	x.records = append(x.records, []byte("{"))
	x.put(t, "330106-a", "id", "n")
	look("the first ones", a, "330106-a 1 at 0;330106-a 2 at 3;", nil)
	look("once", a, "", nil)
	another := begin()
	look("once for all hubs", another, "", nil)
	x.put(t, "330106-a", "id", "n", "m")
	look("another hub", another, "330106-a 3 at 4;", nil)
	look("this one, too late", a, "", nil)
	x.put(t, "330106-a", "id")
	look("which goes on there", a, "330106-a 1 at 5;", nil)
	topics["330108"].err = log.ErrUnavailable
	x.put(t, "330106-a", "id", "n")
	look("another topic is away", a, "330106-a 2 at 6;", log.ErrUnavailable)
	x.records = nil
	x.put(t, "330106-a", "id")
	topics["330108"].err = nil
	look("made again", a, "330106-a 1 at 0;", nil)
	for range maxVersions + 1 {
		x.put(t, "330106-a", "id", "n")
	}
	look("more than are held at once", a, many(), nil)
	if _, err := NewArchivist(ArchivistOptions{}); err == nil {
		t.Error("options without anything are taken")
	}
}

// many is what is told of more versions than are held at once.
func many() (out string) {
	for i := range maxVersions + 1 {
		out += fmt.Sprintf("330106-a 2 at %d;", i+1)
	}
	return out
}
