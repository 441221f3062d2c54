// Command bench measures the way from a source to the store on one machine, beside
// the ceilings that its servers set: pg_recvlogical to /dev/null for PostgreSQL, plain
// COPY for the store. It starts real servers and the program's own processes, writes
// the backlog first, and reports every repetition and the median. It asserts nothing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// sample is one repetition of one figure.
type sample struct {
	Rows     int     `json:"rows,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`
	Rate     float64 `json:"rows_per_second,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"` // to the ceiling of the same repetition
	CPU      float64 `json:"cpu_seconds_per_million_rows,omitempty"`
	Resident float64 `json:"resident_mb,omitempty"` // highest
	Wire     float64 `json:"log_bytes_per_row,omitempty"`
	P50      float64 `json:"p50_ms,omitempty"`
	P99      float64 `json:"p99_ms,omitempty"`
}

// figure is what is measured, with all its repetitions.
type figure struct {
	Name    string   `json:"name"`
	Ceiling string   `json:"ceiling,omitempty"` // what Ratio is to
	Median  sample   `json:"median"`
	Samples []sample `json:"samples"`
}

type report struct {
	At       time.Time `json:"at"`
	Version  string    `json:"commit"`
	Machine  string    `json:"machine"`
	Servers  []string  `json:"servers"`
	Rows     int       `json:"rows"`
	Repeat   int       `json:"repeat"`
	Squeeze  float64   `json:"compression"` // of the rows' text, by deflate at its fastest; above 5 they are too alike
	Figures  []*figure `json:"figures"`
	byName   map[string]*figure
	progress io.Writer
}

func (r *report) add(name, ceiling string, s sample) {
	f := r.byName[name]
	if f == nil {
		f = &figure{Name: name, Ceiling: ceiling}
		r.byName[name] = f
		r.Figures = append(r.Figures, f)
	}
	f.Samples = append(f.Samples, s)
	fmt.Fprintf(r.progress, "%s  %s\n", name, s)
}

// String gives what a sample holds.
func (s sample) String() string {
	var parts []string
	for _, p := range []struct {
		v      float64
		format string
	}{{s.Rate / 1000, "%.1f k rows/s"}, {s.Ratio, "ratio %.2f"}, {s.CPU, "CPU %.2f s/M rows"}, {s.Resident, "resident %.0f MB"}, {s.Wire, "log %.0f B/row"},
		{s.P50, "p50 %.1f ms"}, {s.P99, "p99 %.1f ms"}} {
		if p.v > 0 {
			parts = append(parts, fmt.Sprintf(p.format, p.v))
		}
	}
	return strings.Join(parts, ", ")
}

// median takes each column's middle by itself.
func (f *figure) median() {
	mid := func(get func(*sample) *float64) {
		var all []float64
		for i := range f.Samples {
			all = append(all, *get(&f.Samples[i]))
		}
		slices.Sort(all)
		*get(&f.Median) = all[len(all)/2]
	}
	f.Median.Rows = f.Samples[0].Rows
	for _, get := range []func(*sample) *float64{
		func(s *sample) *float64 { return &s.Seconds }, func(s *sample) *float64 { return &s.Rate }, func(s *sample) *float64 { return &s.Ratio },
		func(s *sample) *float64 { return &s.CPU }, func(s *sample) *float64 { return &s.Resident }, func(s *sample) *float64 { return &s.Wire },
		func(s *sample) *float64 { return &s.P50 }, func(s *sample) *float64 { return &s.P99 }} {
		mid(get)
	}
}

func (r *report) write(dir string) error {
	for _, f := range r.Figures {
		f.median()
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s, commit %s\n%s\n%s\n%d rows of 15 columns in transactions of 1,000; median of %d; their text compresses %.1f:1\n\n",
		r.At.Format(time.RFC3339), r.Version, r.Machine, strings.Join(r.Servers, ", "), r.Rows, r.Repeat, r.Squeeze)
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, f := range r.Figures {
		note := ""
		if f.Ceiling != "" {
			note = "ratio to " + f.Ceiling
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, f.Median, note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprint(r.progress, "\n"+text.String())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "report.json"), append(b, '\n'), 0o644), os.WriteFile(filepath.Join(dir, "report.txt"), []byte(text.String()), 0o644))
}

// machine describes where the figures come from.
func machine() string {
	cpu := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores (%s), %s, %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.Version())
}

func main() {
	rows := flag.Int("rows", 1_000_000, "rows of a backlog")
	repeat := flag.Int("repeat", 3, "repetitions")
	seconds := flag.Int("seconds", 10, "length of each latency run")
	program := flag.String("tributary", "bin/tributary", "the program")
	out := flag.String("out", filepath.Join(os.TempDir(), "tributary-bench"), "folder of the report")
	commit := flag.String("commit", "unknown", "what is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := &report{At: time.Now().UTC(), Version: *commit, Machine: machine(), Rows: *rows, Repeat: *repeat, byName: map[string]*figure{}, progress: os.Stderr}
	squeeze, err := compression()
	if err == nil {
		r.Squeeze = squeeze
		if err = os.MkdirAll(*out, 0o755); err == nil {
			err = run(ctx, r, *program, *out, *seconds)
		}
	}
	if err == nil {
		err = r.write(*out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "report:", *out)
}

func run(ctx context.Context, r *report, program, out string, seconds int) (err error) {
	for n := range r.Repeat {
		profiles := ""
		if n == r.Repeat-1 { // a profile costs a little
			profiles = out
		}
		b, serr := start(ctx, program, profiles, r.Rows)
		if serr == nil {
			if n == 0 {
				r.Servers = b.servers()
			}
			for _, f := range []func(context.Context, *report) error{b.mariadb, b.inserts, b.updates, b.postgres, func(ctx context.Context, r *report) error { return b.latency(ctx, r, seconds) }} {
				if serr = f(ctx, r); serr != nil {
					break
				}
			}
		}
		if b != nil {
			serr = errors.Join(serr, b.stop())
		}
		if serr != nil {
			return serr
		}
	}
	return nil
}
