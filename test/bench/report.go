package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// sample is one repetition of one figure. Zero means not measured.
type sample struct {
	Rows      int                `json:"rows,omitempty"`
	Seconds   float64            `json:"seconds,omitempty"`
	Rate      float64            `json:"rows_per_second,omitempty"`
	Ratios    map[string]float64 `json:"ratios,omitempty"` // to what, measured in the same repetition
	CPU       float64            `json:"cpu_seconds_per_million_rows,omitempty"`
	Server    float64            `json:"server_cpu_seconds_per_million_rows,omitempty"` // the source's
	Broker    float64            `json:"broker_cpu_seconds_per_million_rows,omitempty"`
	Resident  float64            `json:"peak_resident_mb,omitempty"`
	Allocs    float64            `json:"allocations_per_row,omitempty"`
	TxnAllocs float64            `json:"allocations_per_transaction,omitempty"`
	Wire      float64            `json:"log_bytes_per_row,omitempty"`
	P50       float64            `json:"p50_ms,omitempty"` // since the clock in the row
	P99       float64            `json:"p99_ms,omitempty"`
	AfterP50  float64            `json:"p50_after_commit_ms,omitempty"` // since the source answered the commit
	AfterP99  float64            `json:"p99_after_commit_ms,omitempty"`
}

// over adds the ratio of s's rate to another's.
func (s *sample) over(what string, rate float64) {
	if s.Ratios == nil {
		s.Ratios = map[string]float64{}
	}
	if rate > 0 {
		s.Ratios[what] = s.Rate / rate
	}
}

// figure is what is measured, with all its repetitions.
type figure struct {
	Name    string   `json:"name"`
	Median  sample   `json:"median"`
	Samples []sample `json:"samples"`
}

type report struct {
	At          time.Time          `json:"at"`
	Version     string             `json:"commit"`
	Machine     string             `json:"machine"`
	Servers     []string           `json:"servers"`
	Rows        int                `json:"rows"`
	Repeat      int                `json:"repeat"`
	Compression map[string]float64 `json:"compression"` // by zstd at its fastest; above 5 the rows are too alike
	Figures     []*figure          `json:"figures"`
	Notes       []string           `json:"notes"`

	progress io.Writer
	begun    time.Time
}

// step tells people what happens now.
func (r *report) step(format string, args ...any) {
	fmt.Fprintf(r.progress, "%5.0f s  %s\n", time.Since(r.begun).Seconds(), fmt.Sprintf(format, args...))
}

// note keeps a remark of the report, once.
func (r *report) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(r.Notes, n) {
		r.Notes = append(r.Notes, n)
	}
}

// add keeps a repetition of a figure.
func (r *report) add(name string, s sample) {
	i := slices.IndexFunc(r.Figures, func(f *figure) bool { return f.Name == name })
	if i < 0 {
		i, r.Figures = len(r.Figures), append(r.Figures, &figure{Name: name})
	}
	r.Figures[i].Samples = append(r.Figures[i].Samples, s)
	r.step("= %s: %s", name, s)
}

// last is the latest repetition of a figure. One that isn't there is a new one that
// nobody sees.
func (r *report) last(name string) *sample {
	for _, f := range r.Figures {
		if f.Name == name {
			return &f.Samples[len(f.Samples)-1]
		}
	}
	return &sample{}
}

// String gives what a sample holds.
func (s sample) String() string {
	var parts []string
	for _, p := range []struct {
		v      float64
		format string
	}{{s.Rate, "%.0f rows/s"}, {s.P50, "p50 %.1f ms"}, {s.P99, "p99 %.1f ms"}, {s.AfterP50, "after the commit's answer p50 %.1f ms"}, {s.AfterP99, "p99 %.1f ms"},
		{s.CPU, "CPU %.2f s/M rows"}, {s.Server, "the source's server %.2f"}, {s.Broker, "the broker %.2f"}, {s.Resident, "peak %.0f MB"}, {s.Allocs, "%.3f allocations/row"}, {s.TxnAllocs, "%.2f allocations/transaction"}, {s.Wire, "log %.0f B/row"}} {
		if p.v > 0 {
			parts = append(parts, fmt.Sprintf(p.format, p.v))
		}
	}
	for _, to := range slices.Sorted(maps.Keys(s.Ratios)) {
		parts = append(parts, fmt.Sprintf("%.2f × %s", s.Ratios[to], to))
	}
	return strings.Join(parts, ", ")
}

// median takes each column's middle by itself, of the repetitions that have it.
func (f *figure) median() {
	mid := func(get func(*sample) float64) float64 {
		var all []float64
		for i := range f.Samples {
			if v := get(&f.Samples[i]); v != 0 {
				all = append(all, v)
			}
		}
		if len(all) == 0 {
			return 0
		}
		slices.Sort(all)
		return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
	}
	m := &f.Median
	*m = sample{Rows: f.Samples[0].Rows}
	for to, get := range map[*float64]func(*sample) float64{
		&m.Seconds: func(s *sample) float64 { return s.Seconds }, &m.Rate: func(s *sample) float64 { return s.Rate },
		&m.CPU: func(s *sample) float64 { return s.CPU }, &m.Server: func(s *sample) float64 { return s.Server }, &m.Broker: func(s *sample) float64 { return s.Broker }, &m.Resident: func(s *sample) float64 { return s.Resident },
		&m.Allocs: func(s *sample) float64 { return s.Allocs }, &m.TxnAllocs: func(s *sample) float64 { return s.TxnAllocs },
		&m.Wire: func(s *sample) float64 { return s.Wire }, &m.P50: func(s *sample) float64 { return s.P50 }, &m.P99: func(s *sample) float64 { return s.P99 },
		&m.AfterP50: func(s *sample) float64 { return s.AfterP50 }, &m.AfterP99: func(s *sample) float64 { return s.AfterP99 },
	} {
		*to = mid(get)
	}
	for i := range f.Samples {
		for what := range f.Samples[i].Ratios {
			if m.Ratios == nil {
				m.Ratios = map[string]float64{}
			}
			m.Ratios[what] = mid(func(s *sample) float64 { return s.Ratios[what] })
		}
	}
}

// text is the report for people.
func (r *report) text() (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, commit %s\n%s\n%s\n%d rows of 15 columns in transactions of %d; median of %d\nzstd at its fastest compresses", r.At.Format(time.RFC3339), r.Version,
		r.Machine, strings.Join(r.Servers, ", "), r.Rows, transaction, r.Repeat)
	for i, what := range slices.Sorted(maps.Keys(r.Compression)) {
		fmt.Fprintf(&b, "%s %s %.1f:1", map[bool]string{true: ",", false: ""}[i > 0], what, r.Compression[what])
	}
	b.WriteString("\n\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, f := range r.Figures {
		fmt.Fprintf(w, "%s\t%s\n", f.Name, f.Median)
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	b.WriteString("\nHow it is measured\n")
	for _, n := range slices.Concat(method, r.Notes) {
		b.WriteString("- " + n + "\n")
	}
	return b.String(), nil
}

// method says what the figures mean.
var method = []string{
	"Server and programs share the machine: trust ratios. Each is taken within one repetition; each column's median by itself.",
	"A backlog is written first, then the program starts. Capture: from the agent's open record in the log to the last row's, by the topic's end offset, asked every 20 ms; Debezium, which writes none, from its first record on. pg_recvlogical: the whole of its process. Apply: from the moment that the worker has claimed its partition to the batch that completes the rows.",
	"First load: the servers first end what is left from writing, as for the latency; a source whose pages still wait to be written gives them to the disk while it is read. From the agent's open record to the moment that the log, or the store, has all rows, asked every 50 ms; on the way to the store agent and worker run at once. mariadb-dump --single-transaction: the whole of its process; COPY TO STDOUT: to a client that throws it away; the faster of one before and one after. A load to the log is taken twice between them, and the faster one counts, with the larger memory of both; both rates stand among the notes, and the second one is profiled. The broker takes 30,000 small batches before, and loads of as many rows until one costs it nearly what the one before did, two to six, which don't count: until then its compiler works more than it does. While it takes a load it deletes the log of the load before, which has been written to the disk, as retention does: pages of a virtual machine that nobody used before cost more to touch than to fill. The broker has a heap of 1 GB in regions of 8 MB, and the system's own receive buffer. Verification: of the same rows, from the order to the store's result, while a row is updated every 2 ms.",
	"CPU: user and system time of the program's process in that stretch. Peak: VmHWM of the process, over its whole life.",
	"Allocations: go_memstats_mallocs_total of the program's own /metrics, read when the stretch begins and when it ends, divided by the rows (transactions) that the same two answers count. Nothing is subtracted: reading the metrics is in it. The last repetition, which is profiled, doesn't count here, unless it is the only one.",
	"Latency: the servers first end what is left from before (vacuum, checkpoint, purge, sync). The writer puts its clock, in microseconds, into the row and commits at a steady rate over 8 connections; a reader on the same machine asks the store once a millisecond and compares with its own clock. So it includes the source's own commit; \"after the commit's answer\" doesn't.",
	"Compression: how varied the rows are, by blocks of a megabyte of their records' values, as SQL and as each codec writes them. JSON repeats the columns' names.",
	"In the last repetition the first two seconds of each path are profiled: the .pprof files beside this report.",
}

// write puts the report into a folder and prints it.
func (r *report) write(dir string) error {
	for _, f := range r.Figures {
		f.median()
	}
	text, err := r.text()
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	fmt.Fprint(r.progress, "\n"+text)
	return errors.Join(os.WriteFile(filepath.Join(dir, "report.json"), append(b, '\n'), 0o644), os.WriteFile(filepath.Join(dir, "report.txt"), []byte(text), 0o644))
}

// machine describes where the figures come from.
func machine() string {
	cpu, memory := runtime.GOARCH, ""
	if v, ok := procLine("/proc/cpuinfo", "model name"); ok {
		cpu = v
	}
	if v, ok := procLine("/proc/meminfo", "MemTotal"); ok {
		memory = ", memory " + v
	}
	return fmt.Sprintf("%d cores (%s)%s, %s, %s", runtime.NumCPU(), cpu, memory, runtime.GOOS, runtime.Version())
}

// procLine gives the value of the first "name: value" line (proc(5)).
func procLine(file, name string) (string, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}
