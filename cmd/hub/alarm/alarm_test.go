package alarm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/status"
)

// world is a province with two districts, three sources each, two agents and two stores.
type world struct {
	t        *testing.T
	now      time.Time
	records  []status.Record
	readings []status.Reading
	away     map[string]error
	retired  string // a source
	approved []catalog.Registered
	troubles map[string][]postgres.Trouble
	orgs     []string // of the city's store; nil for all
	w        *watch.Watch
}

type shop struct {
	w    *world
	name string
}

func (s shop) Complete(context.Context) ([]postgres.Complete, error) { return nil, s.w.away[s.name] }
func (s shop) Troubles(context.Context) ([]postgres.Trouble, error) {
	return s.w.troubles[s.name], s.w.away[s.name]
}

func (w *world) Newest() (all []*status.Record) {
	for _, r := range w.records {
		all = append(all, &r)
	}
	return all
}
func (w *world) Readings() []status.Reading { return w.readings }
func (w *world) Orgs(context.Context, []string) ([]catalog.Org, error) {
	return []catalog.Org{{Code: "33", Path: "33/"}, {Code: "330106", Parent: "33", Path: "33/330106/"}, {Code: "330108", Parent: "33", Path: "33/330108/"}}, nil
}
func (w *world) Registered(context.Context) ([]catalog.Registered, error) {
	if w.retired == "" {
		return w.approved, nil
	}
	return []catalog.Registered{{Source: w.retired, Org: "330106", Standing: catalog.Authoritative, Table: "a.b", Dataset: "b", Retired: true}}, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Unix(1_800_000_000, 0), away: map[string]error{}, troubles: map[string][]postgres.Trouble{}}
	for _, org := range []string{"330106", "330108"} {
		w.readings = append(w.readings, status.Reading{Topic: "tributary." + org + ".status", Org: org, CaughtUp: true})
		for _, name := range []string{"a", "b", "c"} {
			id := org + "-" + name
			at := event.Position{Epoch: 1, Place: event.Place{Offset: 5}}
			w.records = append(w.records, status.Record{Kind: status.OfSource, Org: org, Source: id, Program: "agent-" + org, State: "streaming", Position: at, Written: w.now, Within: 10})
			for _, store := range []string{"city", "province"} {
				w.records = append(w.records, status.Record{Kind: status.OfStore, Org: org, Source: id, Store: store, Program: "w-" + store, State: "applying", Position: at, Written: w.now, Within: 10})
			}
		}
		for _, store := range []string{"city", "province"} {
			w.records = append(w.records, status.Record{Kind: status.OfWorker, Org: org, Store: store, Program: "w-" + store, State: "applying", Written: w.now, Within: 10})
		}
	}
	w.again()
	return w
}

// again starts to watch anew.
func (w *world) again() {
	w.t.Helper()
	var err error
	if w.w, err = watch.New(watch.Options{Board: w, Register: w, Stores: []watch.Store{{Name: "city", Viewer: shop{w, "city"}, Orgs: w.orgs}, {Name: "province", Viewer: shop{w, "province"}}}, Now: func() time.Time { return w.now }}); err != nil {
		w.t.Fatal(err)
	}
}

// more gives an org's agent further sources.
func (w *world) more(org string, n int) {
	for i := range n {
		w.records = append(w.records, status.Record{Kind: status.OfSource, Org: org, Source: fmt.Sprintf("%s-more%d", org, i), Program: "agent-" + org, State: "streaming", Written: w.now, Within: 10})
	}
}

// change does something to all records that fit.
func (w *world) change(fits func(*status.Record) bool, f func(*status.Record)) {
	n := 0
	for i := range w.records {
		if fits(&w.records[i]) {
			f(&w.records[i])
			n++
		}
	}
	if n == 0 {
		w.t.Error("no record fits")
	}
}

func of(kind status.Kind, part string) func(*status.Record) bool {
	return func(r *status.Record) bool {
		return r.Kind == kind && strings.Contains(r.Org+" "+r.Source+" "+r.Store+" "+r.Program, part)
	}
}

func silent(r *status.Record) { r.Written = r.Written.Add(-time.Minute) }

// unread has sources' servers be away for two minutes.
func (w *world) unread(part string) {
	w.change(of(status.OfSource, part), func(r *status.Record) { r.State, r.Code = "retrying", "SOURCE_UNREACHABLE" })
	w.look()
	w.now = w.now.Add(2 * time.Minute)
	w.change(of(status.OfSource, ""), func(r *status.Record) { r.Written = w.now })
	w.change(of(status.OfStore, ""), func(r *status.Record) { r.Written = w.now })
	w.change(of(status.OfWorker, ""), func(r *status.Record) { r.Written = w.now })
}

// on has sources' databases on a server.
func (w *world) on(server string, sources ...string) {
	for _, id := range sources {
		w.change(of(status.OfSource, id), func(r *status.Record) { r.Server = server })
	}
}

func (w *world) look() *watch.Snapshot {
	w.w.Ask(w.t.Context())
	w.w.Look()
	return w.w.Snapshot()
}

// TestOneAlarmPerCause: whatever breaks is one alarm; what stands behind it is listed there
// and has none of its own.
func TestOneAlarmPerCause(t *testing.T) {
	left, week := 3600.0, 7*24*3600.0
	for name, tt := range map[string]struct {
		breaks func(*world)
		want   string // kind, object, number of sources behind
	}{
		"nothing":                 {func(*world) {}, ""},
		"an agent's host is dead": {func(w *world) { w.change(of(status.OfSource, "330106"), silent) }, "silence agent 330106 agent-330106 3"},
		"a source of a living agent": {func(w *world) { w.change(of(status.OfSource, "330106-a"), silent) },
			"silence source 330106-a 0"},
		"an agent's host is back in part": {func(w *world) {
			w.more("330106", 6)
			w.change(of(status.OfSource, "330106"), silent)
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) { r.Written = w.now })
		}, "silence agent 330106 agent-330106 8"},
		"an agent of many is silent about some": {func(w *world) {
			w.more("330106", 6)
			w.change(of(status.OfSource, "330106-b"), silent)
			w.change(of(status.OfSource, "330106-c"), silent)
		}, "silence source 330106-b 0; silence source 330106-c 0"},
		"a store can't be read": {func(w *world) {
			w.away["city"] = errors.New("connection refused")
			w.change(of(status.OfStore, "city"), silent)
			w.change(of(status.OfWorker, "city"), silent)
		}, "silence store city 6"},
		"a store of one district can't be read": {func(w *world) {
			w.records = slices.DeleteFunc(w.records, func(r status.Record) bool { return r.Store == "city" && r.Org == "330108" })
			w.orgs = []string{"330106"}
			w.again()
			w.away["city"] = errors.New("connection refused")
		}, "silence store city 3"},
		"all workers of a store are dead": {func(w *world) {
			w.change(of(status.OfStore, "city"), silent)
			w.change(of(status.OfWorker, "city"), silent)
		}, "silence store city 6"},
		"workers can't reach their store": {func(w *world) {
			w.change(of(status.OfWorker, "city"), func(r *status.Record) {
				r.State, r.Code, r.Error = "retrying", "STORE_AWAY", "connection refused"
			})
		}, "silence store city 6"},
		"one worker is dead": {func(w *world) {
			w.change(func(r *status.Record) bool {
				return r.Kind != status.OfSource && r.Org == "330106" && r.Store == "city"
			}, silent)
		}, "silence worker city 330106 w-city 3"},
		"a worker that another has replaced": {func(w *world) {
			w.change(func(r *status.Record) bool {
				return r.Kind == status.OfWorker && r.Org == "330106" && r.Store == "city"
			}, silent)
		}, ""},
		"the log is dead": {func(w *world) {
			for i := range w.readings {
				w.readings[i].Error = "connection refused"
			}
			w.change(func(*status.Record) bool { return true }, silent)
		}, "silence log 6"},
		"a topic can't be read": {func(w *world) {
			w.readings[0].Error = "not authorised"
			w.change(of(status.OfSource, "330106"), silent)
			w.change(of(status.OfStore, "330106"), silent)
		}, "silence log 330106 3"},
		"a gap": {func(w *world) {
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) { r.State, r.Code, r.NeedsPerson = "gap", "SLOT_LOST", true })
			w.change(of(status.OfStore, "330106-a"), func(r *status.Record) { r.State, r.Code = "gap", "SLOT_LOST" })
		}, "gap source 330106-a 0"},
		"a fuse": {func(w *world) {
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) { r.State, r.Code = "gap", "FUSE_BLOWN" })
		}, "fuse source 330106-a 0"},
		"it waits for a person": {func(w *world) {
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) { r.State, r.Code, r.NeedsPerson = "retrying", "PG_ACCESS", true })
		}, "halt source 330106-a 0"},
		"a table has stopped": {func(w *world) {
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) { r.Stopped = []status.Table{{Table: "x.y", Code: "TABLE_NO_KEY"}} })
		}, "halt source 330106-a 0"},
		"late": {func(w *world) {
			w.change(of(status.OfStore, "330106-a city"), func(r *status.Record) { r.Lag.SourceStore = &status.Figures{P99: 90, Count: 1} })
		}, "lag source 330106-a 0"},
		"a slow store": {func(w *world) {
			w.change(of(status.OfStore, "city"), func(r *status.Record) { r.Lag.SourceStore = &status.Figures{P99: 90, Count: 1} })
		}, "lag store city 6"},
		"half of a store's sources": {func(w *world) {
			w.change(of(status.OfStore, "330106"), func(r *status.Record) {
				if r.Store == "city" {
					r.Lag.SourceStore = &status.Figures{P99: 90, Count: 1}
				}
			})
		}, "lag source 330106-a 0; lag source 330106-b 0; lag source 330106-c 0"},
		"a source's server is away": {func(w *world) { w.unread("330106-a") }, "lag source 330106-a 0"},
		"a source can't be read until somebody does something": {func(w *world) {
			w.unread("330106-a")
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) { r.Code, r.NeedsPerson = "PG_ACCESS", true })
		}, "halt source 330106-a 0"},
		"most sources' servers are away": {func(w *world) { w.unread("330106"); w.unread("330108-b") },
			"lag source 330106-a 0; lag source 330106-b 0; lag source 330106-c 0; lag source 330108-b 0"},
		"all sources' servers are away": {func(w *world) { w.unread("3301") },
			"lag source 330106-a 0; lag source 330106-b 0; lag source 330106-c 0; lag source 330108-a 0; lag source 330108-b 0; lag source 330108-c 0"},
		"two sources' server is away": {func(w *world) {
			w.on("10.1.0.5:3306", "330106-a", "330106-b", "330108-a") // another org has its own of that address
			w.on("10.1.0.6:3306", "330106-c")
			w.unread("330106")
			w.unread("330108-a")
		}, "lag server 330106 10.1.0.5:3306 2; lag source 330106-c 0; lag source 330108-a 0"},
		"one of a server's sources can't be read": {func(w *world) {
			w.on("10.1.0.5:3306", "330106-a", "330106-b")
			w.unread("330106-a")
		}, "lag source 330106-a 0"},
		"a server is away, and one of its sources isn't late yet": {func(w *world) {
			w.on("10.1.0.5:3306", "330106-a", "330106-b", "330106-c")
			w.unread("330106-a")
			w.change(of(status.OfSource, "330106-b"), func(r *status.Record) { r.State, r.Code = "retrying", "SOURCE_UNREACHABLE" })
		}, "lag server 330106 10.1.0.5:3306 2"},
		"several agents, each with its own server on loopback": {func(w *world) {
			w.on("127.0.0.1:3306", "330106-a", "330106-b")
			w.on("localhost:3306", "330106-c")
			w.change(of(status.OfSource, "330106-b"), func(r *status.Record) { r.Program = "another" })
			w.unread("330106")
		}, "lag source 330106-a 0; lag source 330106-b 0; lag source 330106-c 0"},
		"an agent's own server": {func(w *world) {
			w.on("[::1]:5432", "330106-a", "330106-b")
			w.unread("330106")
		}, "lag server 330106 [::1]:5432 agent-330106 2; lag source 330106-c 0"},
		"a server's sources, one in a gap and one that waits for a person": {func(w *world) {
			w.on("10.1.0.5:3306", "330106-a", "330106-b", "330106-c")
			w.unread("330106")
			w.change(of(status.OfSource, "330106-b"), func(r *status.Record) { r.State, r.Code = "gap", "SLOT_LOST" })
			w.change(of(status.OfSource, "330106-c"), func(r *status.Record) { r.Code, r.NeedsPerson = "PG_ACCESS", true })
		}, "gap source 330106-b 0; halt source 330106-c 0; lag source 330106-a 0"},
		"late in a gap": {func(w *world) {
			w.change(of(status.OfStore, "330106-a"), func(r *status.Record) {
				r.State, r.Code, r.Lag.SourceStore = "gap", "ROW_COUNT", &status.Figures{P99: 90, Count: 1}
			})
		}, "gap source 330106-a 0"},
		"quarantine": {func(w *world) { w.troubles["city"] = []postgres.Trouble{{Source: "330108-c", Keys: 7}} }, "quarantine source 330108-c 0"},
		"retention": {func(w *world) {
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) { r.LogLeft = &left })
		}, "retention source 330106-a 0"},
		"retention after a person has stopped it": {func(w *world) {
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) {
				r.State, r.LogLeft, r.Written = "stopped", &week, w.now.Add(-7*24*time.Hour+time.Hour)
			})
		}, "retention source 330106-a 0"},
		"retention of an agent that is away, as over a holiday": {func(w *world) {
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) {
				r.LogLeft, r.Written = &week, w.now.Add(-7*24*time.Hour+time.Hour)
			})
		}, "silence source 330106-a 0; retention source 330106-a 0"},
		"retention of many sources of an agent": {func(w *world) {
			w.more("330106", 6)
			w.change(of(status.OfSource, "330106-more"), func(r *status.Record) { r.LogLeft = &left })
		}, "retention agent 330106 agent-330106 6"},
		"retention that nobody knows, since the states can't be read": {func(w *world) {
			w.readings[0].Error = "not authorised"
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) { r.LogLeft = &left; silent(r) })
		}, "silence log 330106 3"},
		"disk": {func(w *world) {
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) { r.Warnings = []status.Warning{{Code: "SLOT_HOLDS_WAL", Text: "11 GiB"}} })
		}, "disk source 330106-a 0"},
		"stopped by a person": {func(w *world) {
			w.change(of(status.OfSource, "330106"), func(r *status.Record) { r.State = "stopped"; silent(r) })
		}, ""},
		"retired": {func(w *world) {
			w.retired = "330106-a"
			w.change(of(status.OfSource, "330106-a"), func(r *status.Record) { r.State = "gap"; silent(r) })
			w.change(of(status.OfStore, "330106-a"), func(r *status.Record) { r.State = "gap" })
		}, ""},
		"spoken for another": {func(w *world) {
			w.readings[0].Forged, w.readings[0].ForgedFor = w.now.Add(-time.Minute), "330108 330108-b"
			w.readings[1].Forged = w.now.Add(-2 * time.Hour)
		}, "forgery log 330106 0"},
		"two causes": {func(w *world) {
			w.change(of(status.OfSource, "330106"), silent)
			w.change(of(status.OfSource, "330108-b"), func(r *status.Record) { r.State, r.Code = "gap", "SLOT_LOST" })
		}, "gap source 330108-b 0; silence agent 330106 agent-330106 3"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.breaks(w)
			var got []string
			for _, a := range Find(w.look(), nil, Rules{}) {
				got = append(got, fmt.Sprintf("%s %s %d", a.Kind, a.Object, len(a.Sources)))
				if !slices.Contains(Kinds, a.Kind) || strings.Contains(a.Object, "330106") && a.Path != "33/330106/" {
					t.Errorf("%+v", a)
				}
			}
			if text := strings.Join(got, "; "); text != tt.want {
				t.Errorf("%q, want %q", text, tt.want)
			}
		})
	}
	w := newWorld(t)
	got := Find(w.look(), []Agent{{ID: "soon", Path: "33/", Expires: w.now.AddDate(0, 0, 13)}, {ID: "later", Expires: w.now.AddDate(0, 0, 15)}}, Rules{})
	if len(got) != 1 || got[0].Kind != Certificate || got[0].Object != "agent soon" {
		t.Errorf("%+v", got)
	}
	got = Find(w.look(), []Agent{{ID: "330106.1", Org: "330106", Path: "33/330106/", Expires: w.now.AddDate(1, 0, 0), Forged: "POST /agent/status: org 330108"}}, Rules{})
	if len(got) != 1 || got[0].Kind != Forgery || got[0].Object != "agent 330106.1" || got[0].Detail == "" {
		t.Errorf("%+v", got)
	}
	for _, k := range Kinds {
		for _, lang := range []language.Language{language.English, language.Chinese} {
			if x := Words(k, lang); x.Name == "" || x.What == "" || x.Do == "" || x.Who == "" {
				t.Errorf("%s isn't explained", k)
			}
		}
	}
}

// TestUnheard: a source that was approved and never reports is an alarm after a day, with words
// of its own, one for an agent of which nothing has come; the first report ends it, and so does
// whatever else explains it.
func TestUnheard(t *testing.T) {
	w := newWorld(t)
	approve := func(name, agent string) {
		w.approved = append(w.approved, catalog.Registered{Source: "330106-" + name, Org: "330106", Agent: agent, Standing: catalog.Authoritative, Table: "a.b", Dataset: name, Approved: w.now})
	}
	found := func(want string) {
		t.Helper()
		var got []string
		for i := range w.records {
			w.records[i].Written = w.now
		}
		for _, a := range Find(w.look(), nil, Rules{}) {
			got = append(got, fmt.Sprintf("%s %s %s %d", a.Kind, a.Object, a.Code, len(a.Sources)))
		}
		if text := strings.Join(got, ";"); text != want {
			t.Errorf("%q, want %q", text, want)
		}
	}
	report := func(name string) {
		w.records = append(w.records, status.Record{Kind: status.OfSource, Org: "330106", Source: "330106-" + name, Program: "agent-330106", State: "streaming", Written: w.now, Within: 10})
	}
	approve("a", "330106.1") // which reports
	approve("late", "330106.1")
	approve("x", "330106.2")
	approve("y", "330106.2")
	w.now = w.now.Add(24 * time.Hour)
	found("")
	w.now = w.now.Add(time.Second)
	const late = "silence source 330106-late SOURCE_UNHEARD 0"
	found("silence agent 330106.2 SOURCE_UNHEARD 2;" + late)
	for _, x := range w.look().Sources {
		if x.Overdue != (x.Tone == watch.Bad) || x.Overdue && x.State != watch.Unheard {
			t.Errorf("%s: %s %s", x.ID, x.Tone, x.State)
		}
	}
	report("x")
	found(late + ";silence source 330106-y SOURCE_UNHEARD 0")
	report("y")
	w.readings[0].Error = "topic not found"
	found("silence log 330106  6") // nobody knows
	w.readings[0].Error = ""
	report("late")
	found("")
	for _, lang := range []language.Language{language.English, language.Chinese} {
		if own := WordsOf(Lag, "SOURCE_UNREACHABLE", lang); own == Words(Lag, lang) || own.Name == "" || own.What == "" || own.Do == "" || own.Who == "" {
			t.Errorf("what isn't read: %+v", own)
		}
		words := WordsOf(Silence, unheardCode, lang)
		m := Message{Kind: Silence, Code: unheardCode, Object: "source 330106-late", At: w.now}
		if words.Name == Words(Silence, lang).Name || words.Who == "" || !strings.Contains(m.Text(lang), words.What) || !strings.Contains(m.Text(lang), words.Do) {
			t.Errorf("%+v: %s", words, m.Text(lang))
		}
	}
}

// TestNothingRegistered: an org whose topics nobody has made yet is no silence while nothing is
// registered for it; one with sources is.
func TestNothingRegistered(t *testing.T) {
	w := newWorld(t)
	w.records = slices.DeleteFunc(w.records, func(r status.Record) bool { return r.Org == "330108" })
	w.readings[1] = status.Reading{Topic: "tributary.330108.status", Org: "330108", Error: "topic not found", Missing: true}
	if s := w.look(); !s.Ready || len(s.Unread) != 0 || len(Find(s, nil, Rules{})) != 0 {
		t.Errorf("%v, %+v, %+v", s.Ready, s.Unread, Find(s, nil, Rules{}))
	}
	w.approved = []catalog.Registered{{Source: "330108-a", Org: "330108", Agent: "330108.1", Standing: catalog.Authoritative, Table: "a.b", Dataset: "b", Approved: w.now}}
	all := Find(w.look(), nil, Rules{})
	if len(all) != 1 || all[0].Kind != Silence || all[0].Object != "log 330108" {
		t.Errorf("%+v", all)
	}
}
