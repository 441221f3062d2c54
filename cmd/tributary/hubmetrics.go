package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
)

var (
	hubTone     = metric("hub_source_tone", "How a source is: 0 well, 1 stopped, 2 to look at, 3 in trouble.", "source", "org")
	hubRate     = metric("hub_source_rows_per_second", "Rows per second that come into the log.", "source", "org")
	hubLogged   = metric("hub_source_log_lag_seconds", "From the commit at the source to its place in the log, the 99th percentile of the last minute. Absent if it had no transaction.", "source", "org")
	hubLeft     = metric("hub_source_log_left_seconds", "Until something of the source's log that has not been read is lost. Absent if no bound is known.", "source", "org")
	hubHeld     = metric("hub_source_log_held_bytes", "WAL that the source's server keeps for its slot.", "source", "org")
	hubLag      = metric("hub_store_lag_seconds", "From the commit at the source to that in the store. Absent while it isn't known.", "source", "org", "store")
	hubApplied  = metric("hub_store_log_lag_seconds", "From the place in the log to the commit in the store, the 99th percentile of the last minute. Absent if it had no transaction.", "source", "org", "store")
	hubStoring  = metric("hub_store_rows_per_second", "Rows per second that come into the store. Absent while none do.", "source", "org", "store")
	hubBehind   = metric("hub_store_behind_rows", "Rows that the log has and the store hasn't. Absent while it isn't known.", "source", "org", "store")
	hubBytes    = metric("hub_store_behind_bytes", "About how many bytes these rows are in the log before compression. Absent while there are none, or it isn't known.", "source", "org", "store")
	hubCatchUp  = metric("hub_store_catch_up_seconds", "When the store will have caught up at the present rates. Absent while nothing is behind, or it doesn't catch up.", "source", "org", "store")
	hubWaiting  = metric("hub_store_held_rows", "Rows of halted tables that wait in the store. Absent while there are none.", "source", "org", "store")
	hubOdd      = metric("hub_store_anomalies", "Rows of the last 24 hours that came otherwise than they should. Absent while there are none.", "source", "org", "store")
	hubKeys     = metric("hub_store_quarantined_keys", "Keys of a source in quarantine.", "source", "org", "store")
	hubComplete = metric("hub_complete_until_timestamp_seconds", "The moment up to which every approved source of a dataset has been applied. Absent while one has never come that far.", "dataset", "store")
	hubStore    = metric("hub_store_up", "1 if the hub can read the store.", "store")
	hubUnread   = metric("hub_unread_topics", "Topics of states that can't be read.")
	hubAlarms   = metric("hub_alarms", "Open alarms by kind, at most 500 in all.", "kind")
	hubLooked   = metric("hub_looked_timestamp_seconds", "When the hub has last put its states together.")
)

// openAlarms counts the open alarms by kind.
type openAlarms func(ctx context.Context) (map[alarm.Kind]int, error)

// hubMetrics are every source-level figure of the hub's pages, of lags by stage the 99th
// percentile. What most sources have none of is absent, so that 10,000 of them stay below 10 MB.
func hubMetrics(look func() *watch.Snapshot, alarms openAlarms) collector {
	return func(out chan<- prometheus.Metric) {
		s := look()
		if s.At.IsZero() {
			return
		}
		gauge(out, hubLooked, float64(s.At.UnixMilli())/1000)
		gauge(out, hubUnread, float64(len(s.Unread)))
		for _, x := range s.Sources {
			ofSource(out, s, x)
		}
		for i, name := range s.Stores {
			up := 1.0
			if s.StoreErrors[i] != "" {
				up = 0
			}
			gauge(out, hubStore, up, name)
		}
		for _, top := range s.Tops([]string{""}) {
			for _, c := range s.Complete(top.Code) {
				if c.Until != nil {
					gauge(out, hubComplete, float64(c.Until.UnixMilli())/1000, c.Dataset, c.Store)
				}
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		open, err := alarms(ctx)
		if err != nil { // absent: what isn't known isn't 0
			return
		}
		for _, k := range alarm.Kinds {
			gauge(out, hubAlarms, float64(open[k]), string(k))
		}
	}
}

func ofSource(out chan<- prometheus.Metric, s *watch.Snapshot, x *watch.Source) {
	org := x.Org.Code
	gauge(out, hubTone, float64(x.Tone), x.ID, org)
	gauge(out, hubRate, x.Rate, x.ID, org)
	if x.Log != nil {
		if l := x.Log.Lag.SourceLog; l != nil {
			gauge(out, hubLogged, l.P99, x.ID, org)
		}
		if x.Left >= 0 {
			gauge(out, hubLeft, x.Left, x.ID, org)
		}
		if x.Log.LogHeld > 0 {
			gauge(out, hubHeld, float64(x.Log.LogHeld), x.ID, org)
		}
	}
	for i, f := range x.Flows {
		store := s.Stores[i]
		if f.Apart {
			continue
		}
		if f.Record != nil {
			if l := f.Record.Lag.LogStore; l != nil {
				gauge(out, hubApplied, l.P99, x.ID, org, store)
			}
		}
		if f.Lag >= 0 {
			gauge(out, hubLag, f.Lag, x.ID, org, store)
		}
		if f.Behind >= 0 {
			gauge(out, hubBehind, float64(f.Behind), x.ID, org, store)
		}
		gauge(out, hubKeys, float64(f.Keys), x.ID, org, store)
		for _, few := range []struct {
			desc  *prometheus.Desc
			value float64
		}{{hubStoring, f.Rate}, {hubBytes, float64(f.BehindBytes)}, {hubCatchUp, f.CatchUp}, {hubWaiting, float64(f.Held)}, {hubOdd, float64(f.Anomalies)}} {
			if few.value > 0 {
				gauge(out, few.desc, few.value, x.ID, org, store)
			}
		}
	}
}

// open counts the hub's open alarms.
func (h *hubParts) open(ctx context.Context) (map[alarm.Kind]int, error) {
	all, err := h.state.Alarms(ctx, []string{""})
	if err != nil {
		return nil, err
	}
	out := map[alarm.Kind]int{}
	for _, a := range all {
		if a.Closed == nil {
			out[a.Kind]++
		}
	}
	return out, nil
}
