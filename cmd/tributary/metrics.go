package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/sinks/worker"
)

// metric names what one figure is. Labels come from configuration and from the
// log's source ids only.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tributary_"+name, help, labels, nil)
}

var (
	sourceState   = metric("source_state", "1 for the state that the source is in.", "source", "state")
	sourceTxns    = metric("source_transactions_total", "Transactions written to the log since the start.", "source")
	sourceRows    = metric("source_rows_total", "Rows written to the log since the start.", "source")
	sourceBytes   = metric("source_bytes_total", "Bytes written to the log since the start, before compression.", "source")
	sourceStopped = metric("source_stopped_tables", "Tables that have stopped.", "source")
	sourceLag     = metric("source_log_lag_seconds", "From the last transaction's commit at the source to its place in the log. Absent before the first one. MariaDB gives whole seconds.", "source")
	storeTxns     = metric("store_transactions_total", "Transactions applied since the start.", "source")
	storeRows     = metric("store_rows_total", "Rows applied since the start, before merging.", "source")
	storeSkipped  = metric("store_skipped_rows_total", "Rows missed for stopped tables since the start.", "source")
	storeHalted   = metric("store_halted_tables", "Tables that have stopped in the store.", "source")
	storeWaiting  = metric("store_held_rows", "Rows of stopped tables that the store holds until the table is accepted.", "source")
	storeLeftOut  = metric("store_left_out_columns", "Columns that the store leaves out by the rule of their dataset.", "source")
	storeReread   = metric("store_reread_tables", "Stopped tables of which more rows came than may be held: they need to be read again.", "source")
	storeHeld     = metric("store_quarantined_rows_total", "Rows missed since the start because their key is in quarantine.", "source")
	storeKeys     = metric("store_quarantined_keys", "Keys in quarantine.", "source")
	storeUnequal  = metric("store_unequal_tables", "Tables of which the last verification has found a difference that stands.", "source")
	storeGap      = metric("store_gap", "1 if the source is in the state GAP.", "source")
	storeLag      = metric("store_lag_seconds", "From the last transaction's commit at the source to its commit in the store. Absent before the first one. MariaDB gives whole seconds.", "source")
	storeLogLag   = metric("store_log_lag_seconds", "From the last transaction's place in the log to its commit in the store. Absent before the first one.", "source")
	storeParts    = metric("store_partitions", "Partitions that this worker applies now.")
	partState     = metric("partition_state", "1 for the state that the partition is in: starting, applying, retrying, failed.", "partition", "state")
	setAside      = metric("log_records_set_aside_total", "Records and transactions that didn't count: foreign, fenced, void, known, unknown.", "reason")

	loadRows   = metric("source_load_rows_total", "Rows handed out by loads of tables.", "source")
	loadTables = metric("source_load_tables", "Tables by the phase of their load or verification: queued, loading, verifying, waiting (for the quiet hours), paused, loaded, verified, failed, canceled.", "source", "phase")

	loadEstimate = metric("source_load_estimated_rows", "Rows of the tables that are being loaded, by the server's own statistics; those without any count as 0.", "source")
	loadSpeed    = metric("source_load_rows_per_second", "Rows per second that loads have handed out in the last half minute.", "source")
	loadLeft     = metric("source_load_left_seconds", "How long the rest of the loads takes at that speed. Absent if that can't be told.", "source")

	roomLeft   = metric("source_log_left_seconds", "Until something of the source's log that has not been read is lost, at the present rate. Absent if no bound is known.", "source")
	roomSafe   = metric("source_log_safe_timestamp_seconds", "Until when the source may go unread, paused or not, before something is lost or its fuse blows, at the present rate. Absent if no bound is known.", "source")
	roomHeld   = metric("source_log_held_bytes", "WAL that a PostgreSQL server keeps for the source's slot.", "source")
	roomBehind = metric("source_log_behind_bytes", "The source's log behind the place up to which it was read.", "source")
	roomWarn   = metric("source_log_warning", "1 for each warning about the source's log: SOURCE_LOG_SHORT, SLOT_HOLDS_WAL, FUSE_BLOWN.", "source", "code")
	roomLooked = metric("source_log_looked_timestamp_seconds", "When the source's server was last asked what it keeps of its log.", "source")

	statusDropped  = metric("status_records_dropped_total", "Status records that the hub doesn't hold: malformed, or beyond its memory.")
	statusFailures = metric("status_write_failures_total", "Writes of status records that the log didn't take. Data flows on.")
)

// collector gives figures at the moment they are asked for.
type collector func(chan<- prometheus.Metric)

// Describe implements prometheus.Collector: the figures depend on the sources.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) { c(out) }

func counter(out chan<- prometheus.Metric, d *prometheus.Desc, v int64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// lag gives a metric of the time between two moments, if both are known.
func lag(out chan<- prometheus.Metric, d *prometheus.Desc, from, to time.Time, source string) {
	if !from.IsZero() && !to.IsZero() {
		gauge(out, d, max(0, to.Sub(from).Seconds()), source)
	}
}

// agentMetrics are the figures of an agent's sources.
func agentMetrics(statuses func() []pipeline.Status) collector {
	return func(out chan<- prometheus.Metric) {
		for _, s := range statuses() {
			gauge(out, sourceState, 1, s.Source, string(s.State))
			counter(out, sourceTxns, s.Txns, s.Source)
			counter(out, sourceRows, s.Rows, s.Source)
			counter(out, sourceBytes, s.Bytes, s.Source)
			gauge(out, sourceStopped, float64(len(s.Stopped)), s.Source)
			lag(out, sourceLag, s.Committed, s.Logged, s.Source)
		}
	}
}

// workerMetrics are the figures of what a worker applies.
func workerMetrics(status func() (map[string]worker.SourceStatus, worker.Counts)) collector {
	return func(out chan<- prometheus.Metric) {
		sources, counts := status()
		for id, s := range sources {
			counter(out, storeTxns, s.Txns, id)
			counter(out, storeRows, s.Rows, id)
			counter(out, storeSkipped, s.Skipped, id)
			held, reread := int64(0), 0
			for _, h := range s.Halts {
				held += h.Rows
				if h.Reread {
					reread++
				}
			}
			left := 0
			for _, columns := range s.LeftOut {
				left += len(columns)
			}
			gauge(out, storeLeftOut, float64(left), id)
			gauge(out, storeHalted, float64(len(s.Halts)), id)
			gauge(out, storeWaiting, float64(held), id)
			gauge(out, storeReread, float64(reread), id)
			counter(out, storeHeld, s.Quarantined, id)
			gauge(out, storeKeys, float64(s.Keys), id)
			gauge(out, storeUnequal, float64(len(s.Unequal)), id)
			gap := 0.0
			if s.Gap != "" {
				gap = 1
			}
			gauge(out, storeGap, gap, id)
			lag(out, storeLag, s.Committed, s.At, id)
			lag(out, storeLogLag, s.Logged, s.At, id)
		}
		for reason, n := range map[string]int64{"foreign": counts.Foreign, "fenced": counts.Fenced, "void": counts.Void, "known": counts.Known, "unknown": counts.Unknown} {
			counter(out, setAside, n, reason)
		}
	}
}

// partitionMetrics are the figures of a worker's partitions.
func partitionMetrics(w *worker.Worker) collector {
	return func(out chan<- prometheus.Metric) {
		gauge(out, storeParts, float64(len(w.Held())))
		for _, p := range w.Partitions() {
			gauge(out, partState, 1, p.Partition.String(), string(p.State))
		}
	}
}
