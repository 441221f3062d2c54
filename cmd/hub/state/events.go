package state

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
)

// events has what happened to sources, beside what the audit and the alarms have. The
// database refuses to change an event, and to remove one that is younger than 90 days.
const events = `
CREATE TABLE tributary.hub_face (source text COLLATE "C" PRIMARY KEY, face jsonb NOT NULL);
CREATE TABLE tributary.hub_event (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, source text COLLATE "C" NOT NULL,
  kind text NOT NULL, word text NOT NULL, was text NOT NULL, detail text NOT NULL);
CREATE INDEX ON tributary.hub_event (source, at);
CREATE INDEX ON tributary.hub_event (at);
CREATE FUNCTION tributary.hub_event_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'DELETE' THEN IF OLD.at < now() - interval '90 days' THEN RETURN OLD; END IF; END IF;
  RAISE EXCEPTION 'tributary.hub_event is append-only' USING ERRCODE = 'restrict_violation'; END $$;
CREATE TRIGGER hub_event_stays BEFORE UPDATE OR DELETE ON tributary.hub_event FOR EACH ROW EXECUTE PROCEDURE tributary.hub_event_stays();
CREATE TRIGGER hub_event_is_kept BEFORE TRUNCATE ON tributary.hub_event FOR EACH STATEMENT EXECUTE PROCEDURE tributary.hub_event_stays();
CREATE INDEX ON tributary.hub_audit (object, at);
CREATE INDEX ON tributary.hub_alarm (object);
CREATE INDEX ON tributary.hub_alarm USING gin (sources);
`

// The kinds of events. Of OfAudit the word is the action, of OfAlarm and AlarmOver the
// alarm's kind, of those of tables the table, of StateChanged the state.
const (
	Seen         = "seen"    // the source for the first time
	StateChanged = "state"   // from was to word
	NewEpoch     = "epoch"   // continuity wasn't proved: word is the new epoch
	Restarted    = "restart" // the agent has counted anew
	AgentChanged = "agent"   // another agent, or another version of it: word
	TableStopped = "stopped"
	TableResumed = "resumed"
	TableAltered = "altered" // the detail says which columns, in schema.Differences' signs
	OfAudit      = "audit"
	OfAlarm      = "alarm"
	AlarmOver    = "over"
)

// EventKinds are all of them.
var EventKinds = []string{Seen, StateChanged, NewEpoch, Restarted, AgentChanged, TableStopped, TableResumed, TableAltered, OfAudit, OfAlarm, AlarmOver}

// Event is something that happened to a source.
type Event struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	// Word and Was are what the kind says they are; Detail is in the program's words.
	Word   string `json:"word"`
	Was    string `json:"was,omitempty"`
	Detail string `json:"detail,omitempty"`
	// By is the person who did it, Alarm the alarm's number, 0 for none.
	By    string `json:"by,omitempty"`
	Alarm int64  `json:"alarm,omitempty"`
	// Place is the event's in the order of all, to ask for those before it.
	Place string `json:"place"`
}

// Bounds of what is kept of sources.
const (
	eventsKept   = 90 * 24 * time.Hour
	eventsPerDay = 500 // of one source; what comes beyond is not noted
	maxStopped   = 100 // tables of a face
)

// face is what is kept of a watch.Face.
type face struct {
	State   string            `json:"state"`
	Code    string            `json:"code"`
	Epoch   uint32            `json:"epoch"`
	Agent   string            `json:"agent"`
	Stopped map[string]string `json:"stopped"`
}

// KeepFaces implements watch.Chronicle. What is there already, because another hub has seen it
// first, is no event again.
func (s *State) KeepFaces(ctx context.Context, faces []watch.Face) error {
	now := s.o.Now()
	return s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('tributary events', 0))`); err != nil {
			return err
		}
		var ids []string
		for _, f := range faces {
			ids = append(ids, f.Source)
		}
		rows, err := tx.Query(ctx, `SELECT source, face FROM tributary.hub_face WHERE source = ANY($1)`, ids)
		if err != nil {
			return err
		}
		known, id, f := map[string]face{}, "", face{}
		if _, err := pgx.ForEachRow(rows, []any{&id, &f}, func() error { known[id] = f; f = face{}; return nil }); err != nil {
			return err
		}
		var kept struct{ sources, faces []string }
		var told struct{ sources, kinds, words, was, details []string }
		for i := range faces {
			now, was := faceOf(&faces[i]), (*face)(nil)
			if f, ok := known[faces[i].Source]; ok {
				was = &f
			}
			happened := changes(was, &now, &faces[i])
			if len(happened) == 0 {
				continue
			}
			b, err := json.Marshal(now)
			if err != nil {
				return err
			}
			kept.sources, kept.faces = append(kept.sources, faces[i].Source), append(kept.faces, string(b))
			for _, e := range happened {
				told.sources, told.kinds, told.words = append(told.sources, faces[i].Source), append(told.kinds, e.Kind), append(told.words, e.Word)
				told.was, told.details = append(told.was, e.Was), append(told.details, e.Detail)
			}
		}
		// In one statement each: a hub that is new has thousands of sources to tell.
		var b pgx.Batch
		b.Queue(`INSERT INTO tributary.hub_face (source, face) SELECT source, face::jsonb FROM unnest($1::text[], $2::text[]) f(source, face) ON CONFLICT (source) DO UPDATE SET face = excluded.face`, kept.sources, kept.faces)
		b.Queue(`INSERT INTO tributary.hub_event (at, source, kind, word, was, detail)
			SELECT $1, e.source, e.kind, e.word, e.was, e.detail FROM (SELECT *, row_number() OVER (PARTITION BY source ORDER BY n) AS nth
				FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY u(source, kind, word, was, detail, n)) e
			WHERE (SELECT count(*) FROM tributary.hub_event h WHERE h.source = e.source AND h.at > $7) + e.nth <= $8
				AND NOT (e.kind = 'restart' AND EXISTS (SELECT FROM tributary.hub_event h WHERE h.source = e.source AND h.kind = 'restart' AND h.at > $9)) ORDER BY e.n`,
			now, told.sources, told.kinds, told.words, told.was, told.details, now.AddDate(0, 0, -1), eventsPerDay, now.Add(-time.Minute))
		b.Queue(`DELETE FROM tributary.hub_event WHERE at < $1`, now.Add(-eventsKept-time.Hour))
		return tx.SendBatch(ctx, &b).Close()
	})
}

func faceOf(f *watch.Face) face {
	out := face{State: f.State, Code: cutTo(f.Code, 100), Epoch: f.Epoch, Agent: cutTo(strings.TrimSpace(f.Program+" "+f.Version), 200), Stopped: map[string]string{}}
	for _, t := range f.Tables()[:min(len(f.Stopped), maxStopped)] {
		out.Stopped[cutTo(t, 200)] = cutTo(f.Stopped[t], 100)
	}
	return out
}

// changes says what happened from one face to the next; was is nil if there was none.
func changes(was, now *face, f *watch.Face) (out []Event) {
	add := func(kind, word, before, detail string) {
		out = append(out, Event{Kind: kind, Word: word, Was: before, Detail: cutTo(detail, 1000)})
	}
	detail := strings.TrimSpace(f.Code + " " + f.Detail)
	if was == nil {
		add(Seen, now.State, "", detail)
		was = &face{State: now.State, Code: now.Code, Epoch: now.Epoch, Agent: now.Agent}
	}
	if f.Restarted {
		add(Restarted, now.Agent, "", "")
	}
	if now.Agent != was.Agent && now.Agent != "" {
		add(AgentChanged, now.Agent, was.Agent, "")
	}
	if now.Epoch != was.Epoch && now.Epoch != 0 {
		add(NewEpoch, strconv.FormatUint(uint64(now.Epoch), 10), strconv.FormatUint(uint64(was.Epoch), 10), "")
	}
	for _, t := range slices.Sorted(maps.Keys(now.Stopped)) {
		if _, ok := was.Stopped[t]; !ok {
			add(TableStopped, t, "", now.Stopped[t])
		}
	}
	for _, t := range slices.Sorted(maps.Keys(was.Stopped)) {
		if _, ok := now.Stopped[t]; !ok {
			add(TableResumed, t, "", "")
		}
	}
	if now.State != was.State || now.Code != was.Code {
		add(StateChanged, now.State, was.State, detail)
	}
	return out
}

// Timeline gives what happened to a source, as far as it is about a part of the tree at the
// scopes, the newest first: at most most events before the one at a place, from the newest
// one without a place.
func (s *State) Timeline(ctx context.Context, scopes []string, source, before string, most int) ([]Event, error) {
	until, place := s.o.Now().Add(time.Hour), "z"
	if before != "" {
		micros, rest, ok := strings.Cut(before, "-")
		at, err := strconv.ParseInt(micros, 10, 64)
		if err != nil || !ok {
			return nil, refusal.New(refusal.Invalid, "INPUT_INVALID", "before %.40q", before)
		}
		until, place = time.UnixMicro(at), rest
	}
	objects := []string{source}
	for _, k := range alarm.Kinds {
		objects = append(objects, string(k)+" source "+source)
	}
	found, err := list[Event](ctx, s, `SELECT at, kind, word, was, detail, by, alarm, place FROM (`+strings.Join([]string{
		part("e.at", "'e'", "e.id", "e.kind, e.word, e.was, e.detail, '' AS by, 0::bigint AS alarm", "tributary.hub_event e WHERE e.source = $2"),
		part("o.at", "'a'", "o.id", "'audit', o.action, '', o.detail, o.actor, 0", "tributary.hub_audit o WHERE o.object = ANY($3) AND o.outcome = 'done' AND "+inScope(1)),
		part("o.opened", "'m'", "o.id", "'alarm', o.kind, '', concat_ws(' ', nullif(o.code, ''), o.detail), '', o.id", "tributary.hub_alarm o WHERE (o.object = $4 OR o.sources @> ARRAY[$2::text]) AND "+inScope(1)),
		part("o.closed", "'n'", "o.id", "'over', o.kind, '', '', '', o.id", "tributary.hub_alarm o WHERE (o.object = $4 OR o.sources @> ARRAY[$2::text]) AND "+inScope(1)),
	}, " UNION ALL ")+`) x ORDER BY at DESC, place DESC LIMIT $7`, scopes, source, objects, "source "+source, until, place, most)
	for i := range found {
		found[i].Place = fmt.Sprintf("%d-%s", found[i].At.UnixMicro(), found[i].Place)
	}
	return found, err
}

// part is a question for the newest of one kind of events before the time and place of the
// parameters 5 and 6.
func part(at, letter, id, columns, from string) string {
	place := letter + ` || lpad(` + id + `::text, 15, '0')`
	return `(SELECT ` + at + ` AS at, ` + columns + `, (` + place + `) COLLATE "C" AS place FROM ` + from + ` AND ` + at + ` <= $5 AND (` + at + ` < $5 OR (` + place + `) COLLATE "C" < $6) ORDER BY ` + at + ` DESC, ` + id + ` DESC LIMIT $7)`
}
