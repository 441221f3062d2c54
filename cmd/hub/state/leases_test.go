package state

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/test/servers"
)

var errDied = errors.New("the hub has died")

// dying is a hub's book: it dies over a message, before it is sent or after that.
type dying struct {
	*State
	before, after bool
}

// KeepAlarms leaves alarms as they are.
func (d *dying) KeepAlarms(context.Context, []alarm.Alarm) error { return nil }

// TakeMessage implements alarm.Book.
func (d *dying) TakeMessage(ctx context.Context, webhook string) (*alarm.Message, error) {
	m, err := d.State.TakeMessage(ctx, webhook)
	if m != nil && d.before {
		return nil, errors.Join(err, errDied)
	}
	return m, err
}

// Told implements alarm.Book.
func (d *dying) Told(ctx context.Context, webhook string, m *alarm.Message) error {
	if d.after {
		return errDied
	}
	return d.State.Told(ctx, webhook, m)
}

// DueReport has none: shifts are tested by themselves.
func (d *dying) DueReport(context.Context, string, time.Time, time.Time) (*alarm.Report, error) {
	return nil, nil
}

// testLeases: whatever a hub dies over between taking a message or a report and noting that it
// was taken, it is sent in the end, by another hub and once the lease is over; what was noted
// is never sent again.
func testLeases(t *testing.T, db servers.DB) {
	r := settled(t, db)
	var got []string
	robot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, string(b))
	}))
	t.Cleanup(robot.Close)
	hub := func(book *dying) error {
		t.Helper()
		book.State = r.State
		k, err := alarm.NewKeeper(alarm.KeeperOptions{Book: book, Watch: func() *watch.Snapshot { return &watch.Snapshot{Ready: true, At: r.clock()} },
			Webhooks: []alarm.Webhook{{Name: "duty", Form: alarm.JSON, URL: robot.URL}}, Shifts: alarm.Shifts{Zone: time.UTC}})
		ok(t, err)
		return k.Look(t.Context())
	}
	expect := func(what string, n int, err error) {
		t.Helper()
		if len(got) != n || err != nil {
			t.Errorf("%s: %d messages, want %d, %v: %q", what, len(got), n, err, got)
		}
	}
	ok(t, r.KeepAlarms(t.Context(), []alarm.Alarm{{Kind: alarm.Gap, Object: "source 330106-a", Org: "330106", Path: "33/3301/330106/"}}))
	if err := hub(&dying{before: true}); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	expect("before the lease is over", 0, hub(&dying{}))
	r.pass(Lease + time.Second)
	if err := hub(&dying{after: true}); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	expect("it is sent, and dies", 1, nil)
	expect("nobody else has it", 1, hub(&dying{}))
	r.pass(Lease + time.Second)
	expect("twice rather than never", 2, hub(&dying{}))
	r.pass(Lease + time.Second)
	expect("noted", 2, hub(&dying{}))
	ok(t, r.KeepAlarms(t.Context(), nil)) // over
	if err := hub(&dying{before: true}); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	r.pass(Lease + time.Second)
	expect("its end is told, too", 3, hub(&dying{}))
	expect("once", 3, hub(&dying{}))

	from, until := r.clock().Add(-time.Hour), r.clock()
	for i, want := range []bool{true, false} {
		if got, err := r.DueReport(t.Context(), "mail", from, until); err != nil || (got != nil) != want {
			t.Errorf("report %d: %v, %v", i, got, err)
		}
	}
	r.pass(Lease + time.Second)
	again, err := r.DueReport(t.Context(), "mail", from, until)
	if ok(t, err); again == nil {
		t.Error("the report is lost")
	}
	ok(t, r.SentReport(t.Context(), "mail", until))
	r.pass(Lease + time.Second)
	if again, err = r.DueReport(t.Context(), "mail", from, until); err != nil || again != nil {
		t.Errorf("sent twice: %v, %v", again, err)
	}
}
