package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// testVersions: what a version changes is an event with the time at which the log had it,
// once, whichever hub reads it; a first version is none, nor is one that has only moved
// columns; what is older than events are kept is not told.
func testVersions(t *testing.T, db servers.DB) {
	r := settled(t, db)
	const id, topic = "330106-xueji", "t"
	said := r.clock()
	version := func(ago time.Duration, columns ...string) watch.Version {
		v := watch.Version{At: said.Add(-ago), Table: &schema.Table{Source: id, Dataset: "student", Database: "x", Name: "学生", Key: []int{0}}}
		for _, c := range columns {
			v.Table.Columns = append(v.Table.Columns, schema.Column{Name: c, Type: schema.Type{Kind: schema.Int64}})
		}
		return v
	}
	keep := func(read, next, want log.Offset, versions ...watch.Version) {
		t.Helper()
		got, err := r.KeepVersions(t.Context(), topic, read, next, versions)
		ok(t, err)
		if got != want {
			t.Errorf("it is read to %d, want %d", got, want)
		}
	}
	told := func() (out string) {
		t.Helper()
		all, err := r.Timeline(t.Context(), whole, id, "", 100)
		ok(t, err)
		for _, e := range all {
			out = fmt.Sprintf("%s %s %s %s\n", e.Kind, said.Sub(e.At), e.Word, e.Detail) + out
		}
		return out
	}
	keep(0, 3, 3, version(100*24*time.Hour, "id"), version(99*24*time.Hour, "id", "old"), version(time.Hour, "id", "a", "b"))
	keep(0, 2, 3, version(0, "id")) // another hub, too late
	keep(3, 5, 5, version(time.Minute, "id", "b", "a"), version(-time.Hour, "id", "b"))
	var many []string
	for i := range maxDifferences + 3 {
		many = append(many, fmt.Sprint("c", i))
	}
	r.pass(time.Second)
	keep(5, 6, 6, version(-time.Second, append([]string{"id", "b"}, many...)...))
	want := fmt.Sprintf(`altered 1h0m0s x.学生 + "a" int64; + "b" int64; - "old" int64
altered 0s x.学生 - "a" int64
altered -1s x.学生 + "%s" int64; … +3
`, strings.Join(many[:maxDifferences], `" int64; + "`))
	if got := told(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	keep(6, 1, 1, version(0, "id")) // the topic was made again
	read, err := r.VersionsRead(t.Context())
	ok(t, err)
	if len(read) != 1 || read[topic] != 1 {
		t.Errorf("read are %v", read)
	}
}
