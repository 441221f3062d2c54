package schemas_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
)

// topics is a log in memory.
type topics struct {
	mu     sync.Mutex
	values map[string][][]byte
	puts   int
	err    error // of the next Put, which still takes effect
}

func (l *topics) ReadFrom(_ context.Context, p log.Partition, from log.Offset, f func(log.Offset, *log.Record) error) (log.Offset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.values[p.Topic]
	for o := int(from); o < len(all); o++ {
		if err := f(log.Offset(o), &log.Record{Value: all[o]}); err != nil {
			return 0, err
		}
	}
	return log.Offset(len(all)), nil
}

func (l *topics) Put(_ context.Context, p log.Partition, _, value []byte) (log.Offset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.puts++
	l.values[p.Topic] = append(l.values[p.Topic], value)
	err := l.err
	l.err = nil
	return log.Offset(len(l.values[p.Topic]) - 1), err
}

func newTopics() *topics { return &topics{values: map[string][][]byte{}} }

func table(source, name string, columns ...string) *schema.Table {
	t := &schema.Table{Source: source, Dataset: name, Database: "xueji", Name: name, Key: []int{0}}
	for _, c := range append([]string{"id"}, columns...) {
		t.Columns = append(t.Columns, schema.Column{Name: c, Type: schema.Type{Kind: schema.Int64}})
	}
	return t
}

func publish(t *testing.T, c *schemas.Catalogue, topic string, s *schema.Table) uint32 {
	t.Helper()
	id, err := c.Publisher(topic).ID(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

const org, otherOrg = "tributary.330106.", "tributary.330200."

func TestPublishOnce(t *testing.T) {
	l := newTopics()
	c := schemas.New(l)
	first := publish(t, c, org+"schemas", table("a", "student"))
	if again := publish(t, c, org+"schemas", table("a", "student")); again != first || l.puts != 1 {
		t.Errorf("ids %d and %d after %d puts", first, again, l.puts)
	}
	if later := publish(t, schemas.New(l), org+"schemas", table("a", "student")); later != first || l.puts != 1 {
		t.Errorf("a new process got id %d after %d puts, want %d", later, l.puts, first)
	}
	for name, s := range map[string]*schema.Table{
		"a column more":  table("a", "student", "name"),
		"another source": table("b", "student"),
		"another table":  table("a", "teacher"),
	} {
		if id := publish(t, c, org+"schemas", s); id == first {
			t.Errorf("%s has the same id %d", name, id)
		}
	}
}

// TestVersionComesBack: a table that has its old columns again is published again, under an
// id of its own that means the same version.
func TestVersionComesBack(t *testing.T) {
	l := newTopics()
	c := schemas.New(l)
	old, wide := table("a", "student"), table("a", "student", "name")
	ids := []uint32{publish(t, c, org+"schemas", old), publish(t, c, org+"schemas", wide), publish(t, c, org+"schemas", old)}
	if again := publish(t, c, org+"schemas", old); l.puts != 3 || ids[2] != 2 || again != 2 {
		t.Errorf("ids %v and %d after %d puts", ids, again, l.puts)
	}
	for what, c := range map[string]*schemas.Catalogue{"the same process": c, "another": schemas.New(l)} {
		first, err := c.Table(t.Context(), org+"changes", ids[0])
		if err != nil {
			t.Fatal(err)
		}
		if back, err := c.Table(t.Context(), org+"changes", ids[2]); err != nil || back != first {
			t.Errorf("%s: ids %d and %d are two versions: %v", what, ids[0], ids[2], err)
		}
		if id := publish(t, c, org+"schemas", old); id != ids[2] || l.puts != 3 {
			t.Errorf("%s: id %d after %d puts", what, id, l.puts)
		}
	}
}

func TestAttack27VersionPublishedTwice(t *testing.T) {
	l := newTopics()
	writer := schemas.New(l)
	l.err = log.ErrUnavailable // the record stands, the answer is lost
	if _, err := writer.Publisher(org+"schemas").ID(t.Context(), table("a", "student")); !errors.Is(err, log.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	publish(t, writer, org+"schemas", table("a", "student"))
	_, value, err := envelope.MarshalSchema(table("a", "student"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.Put(t.Context(), log.Partition{Topic: org + "schemas"}, nil, value) // by another agent
	if err != nil {
		t.Fatal(err)
	}
	reader := schemas.New(l)
	first, err := reader.Table(t.Context(), org+"changes", 0)
	if err != nil {
		t.Fatal(err)
	}
	same, err := reader.Table(t.Context(), org+"changes", uint32(second))
	if err != nil || same != first {
		t.Errorf("ids 0 and %d are two versions: %p, %p, %v", second, first, same, err)
	}
}

func TestAttack26IDsAreLocalToATopic(t *testing.T) {
	l := newTopics()
	c := schemas.New(l)
	a := publish(t, c, org+"schemas", table("a", "student"))
	b := publish(t, c, otherOrg+"schemas", table("b", "score"))
	if a != b {
		t.Fatalf("ids %d and %d, wanted one number in two topics", a, b)
	}
	for _, c := range []*schemas.Catalogue{c, schemas.New(l)} {
		for topic, want := range map[string]string{org + "changes": "student", otherOrg + "changes": "score"} {
			if got, err := c.Table(t.Context(), topic, a); err != nil || got.Name != want {
				t.Errorf("id %d of %s is %v, %v; want table %s", a, topic, got, err, want)
			}
		}
	}
}

func TestUnknownAndBrokenSchemas(t *testing.T) {
	l := newTopics()
	c := schemas.New(l)
	if _, err := c.Table(t.Context(), org+"changes", 0); !errors.Is(err, envelope.ErrMalformed) {
		t.Errorf("an id that was never published: %v, want ErrMalformed", err)
	}
	id := publish(t, schemas.New(l), org+"schemas", table("a", "student"))
	if got, err := c.Table(t.Context(), org+"changes", id); err != nil || got.Name != "student" {
		t.Errorf("published since the last read: %v, %v", got, err)
	}
	if _, err := l.Put(t.Context(), log.Partition{Topic: org + "schemas"}, nil, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Table(t.Context(), org+"changes", 1); !errors.Is(err, envelope.ErrMalformed) {
		t.Errorf("a broken record: %v, want ErrMalformed", err)
	}
	if _, err := c.Table(t.Context(), org+"changes", id); err != nil {
		t.Errorf("what stands before it: %v", err)
	}
}

// TestColumns: what tables of a source have ever had, whoever published it, and nothing else.
func TestColumns(t *testing.T) {
	l := newTopics()
	publish(t, schemas.New(l), "tributary.1.schemas", table("s", "t", "a", "b"))
	c := schemas.New(l)
	for _, v := range []*schema.Table{table("s", "t", "b", "c"), table("s", "u"), table("other", "t", "z")} {
		publish(t, c, "tributary.1.schemas", v)
	}
	got, err := schemas.New(l).Publisher("tributary.1.schemas").Columns(t.Context(), "s")
	for _, columns := range got {
		slices.Sort(columns)
	}
	if want := map[string][]string{"xueji.t": {"a", "b", "c", "id"}, "xueji.u": {"id"}}; err != nil || !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if none, err := c.Publisher("tributary.2.schemas").Columns(t.Context(), "s"); err != nil || len(none) != 0 {
		t.Errorf("of another topic: %v, %v", none, err)
	}
}
