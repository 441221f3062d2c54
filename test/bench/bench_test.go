package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/test/program"
)

func TestMedianIsPerColumn(t *testing.T) {
	f := figure{Samples: []sample{
		{Rows: 9, Rate: 3, CPU: 10, Ratios: map[string]float64{"x": 5}},
		{Rows: 9, Rate: 1, CPU: 30, Ratios: map[string]float64{"x": 1}},
		{Rows: 9, Rate: 2, CPU: 20, Allocs: 7}, // only this repetition has it
	}}
	f.median()
	if m := f.Median; m.Rows != 9 || m.Rate != 2 || m.CPU != 20 || m.Allocs != 7 || m.P50 != 0 || m.Ratios["x"] != 3 {
		t.Errorf("%+v", m)
	}
}

func TestReportIsWritten(t *testing.T) {
	dir := t.TempDir()
	r := &report{Servers: []string{"MariaDB 1"}, Rows: 10_000, Repeat: 2, Compression: map[string]float64{"avro": 3.1, "SQL": 2}, progress: io.Discard, begun: time.Now()}
	r.add("a", sample{Rows: 10_000, Rate: 1000, Allocs: 0.25})
	r.last("a").over("plain", 2000)
	r.add("a", sample{Rows: 10_000, Rate: 3000})
	r.note("once")
	r.note("once")
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"MariaDB 1", "SQL 2.0:1, avro 3.1:1", "a  2000 rows/s, 0.250 allocations/row, 0.50 × plain", "- once\n"} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("%q isn't once in\n%s", want, text)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "report.json")); err != nil || strings.Count(string(b), `"rows_per_second": 1000`) != 1 || strings.Count(string(b), `"allocations_per_row": 0.25`) != 2 {
		t.Errorf("%v, %s", err, b)
	}
}

// A configuration that the program refuses would end every measurement.
func TestKnownCodecs(t *testing.T) {
	r := &report{}
	got, err := known(t.Context(), r, options{program: program.Build(t), out: t.TempDir(), codecs: []string{"avro", "json", "morse"}})
	if err != nil || !slices.Equal(got, []string{"avro", "json"}) || len(r.Notes) != 1 {
		t.Errorf("%v, %v, %v", got, err, r.Notes)
	}
}

func TestPercentile(t *testing.T) {
	var all []float64
	for i := range 200 {
		all = append(all, float64(i+1))
	}
	for p, want := range map[int]float64{50: 100, 99: 198, 100: 200} {
		if got := percentile(all, p); got != want {
			t.Errorf("p%d = %g, want %g", p, got, want)
		}
	}
	if got := percentile([]float64{7}, 99); got != 7 {
		t.Errorf("p99 of one = %g", got)
	}
}

func TestParseMetrics(t *testing.T) {
	got, err := parseMetrics([]byte("# HELP a b c\na{x=\"1 2\",y=\"{\"} 2\na{x=\"2\"} 3.5\nb 1e+06\n\n"))
	if err != nil || got["a"] != 5.5 || got["b"] != 1e6 || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"alone", "a x"} {
		if _, err := parseMetrics([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	cpu, peak, err := usage(os.Getpid())
	if err != nil || cpu < 0 || peak < 1 {
		t.Errorf("%g s, %g MB, %v", cpu, peak, err)
	}
}

func TestChosenParts(t *testing.T) {
	for name, tt := range map[string]struct {
		o    options
		want string
	}{
		"all":              {options{}, "mariadb apply single latency load postgres"},
		"all, with peers":  {options{peers: true}, "mariadb apply single latency peers load postgres"},
		"one, with needs":  {options{only: []string{"single"}}, "mariadb apply single"},
		"one that is free": {options{only: []string{"postgres"}}, "postgres"},
		"order is ours":    {options{only: []string{"postgres", "mariadb"}}, "mariadb postgres"},
		"unknown":          {options{only: []string{"speed"}}, `-only "speed": there is no such part`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.o.chosen()
			var names []string
			for _, p := range got {
				names = append(names, p.name)
			}
			if text := strings.Join(names, " "); err == nil && text != tt.want || err != nil && err.Error() != tt.want {
				t.Errorf("%s, %v", text, err)
			}
		})
	}
}

// The figures mean nothing if rows are alike, or other ones in another server.
func TestRowsAreVariedAndTheSame(t *testing.T) {
	rows := values(rand.New(rand.NewPCG(7, 7)), 1, 2000)
	if again := values(rand.New(rand.NewPCG(7, 7)), 1, 2000); again != rows {
		t.Error("the same seed gives other rows")
	}
	if n := strings.Count(rows, "),(") + 1; n != 2000 {
		t.Errorf("%d rows", n)
	}
	if ratio, err := compression([][]byte{[]byte(rows)}); err != nil || ratio > 5 || ratio < 1 {
		t.Errorf("compresses %g:1, %v", ratio, err)
	}
	if ratio, err := compression([][]byte{[]byte(strings.Repeat(rows[:200], 50))}); err != nil || ratio < 20 {
		t.Errorf("repeated rows compress %g:1, %v", ratio, err)
	}
}

func TestStopAfterAFailure(t *testing.T) {
	dir, out := filepath.Join(t.TempDir(), "data"), t.TempDir()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &process{Process: local.Process{Name: "agent-1", Path: "sh", Args: []string{"-c", "echo said; exec sleep 1000"}, Out: filepath.Join(dir, "agent-1.log")}}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	b := &bench{options: options{out: out}, dir: dir, running: []*process{p}}
	if err := until(t.Context(), 10*time.Second, "its output", func() (bool, error) {
		text, err := os.ReadFile(p.Out)
		return string(text) == "said\n", err
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.stop(true); err != nil {
		t.Fatal(err)
	}
	if !p.Dead() {
		t.Error("the program lives")
	}
	if text, err := os.ReadFile(filepath.Join(out, "agent-1.log")); err != nil || string(text) != "said\n" {
		t.Errorf("its log: %q, %v", text, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data are still there: %v", err)
	}
}

func TestWaitingEndsWithTheProgram(t *testing.T) {
	p := &process{Process: local.Process{Name: "short", Path: "true", Out: filepath.Join(t.TempDir(), "log")}}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := until(t.Context(), time.Minute, "nothing", func() (bool, error) { return false, alive(p.PID()) }); !errors.Is(err, errEnded) {
		t.Errorf("%v", err)
	}
	if err := alive(os.Getpid()); err != nil {
		t.Errorf("this process: %v", err)
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	taken := errors.New("address already in use")
	var dirs []string
	err := b.attempts(t.Context(), func(dir string) error {
		if dirs = append(dirs, dir); len(dirs) == 2 {
			return nil
		}
		return taken
	})
	if err != nil || len(dirs) != 2 || dirs[0] == dirs[1] {
		t.Errorf("%v after %v", err, dirs)
	}
	n := 0
	if err := b.attempts(t.Context(), func(string) error { n++; return taken }); !errors.Is(err, taken) || n != 3 {
		t.Errorf("%v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.attempts(ctx, func(string) error { t.Error("started after the end"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestFamily: a process that another one has started counts for both while it runs and once
// it has ended.
func TestFamily(t *testing.T) {
	before, err := family(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; read x")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if err := until(t.Context(), time.Minute, "the child's time", func() (bool, error) {
		now, err := family(os.Getpid())
		own, _, uerr := usage(child.Process.Pid)
		return own >= 0.1 && now-before >= own, errors.Join(err, uerr)
	}); err != nil {
		t.Error(err)
	}
	if err := errors.Join(in.Close(), child.Wait()); child.ProcessState == nil {
		t.Fatal(err)
	}
	after, err := family(os.Getpid())
	if took := child.ProcessState.UserTime().Seconds(); err != nil || after-before < took-0.02 {
		t.Errorf("%.2f s in all, of which the child took %.2f: %v", after-before, took, err)
	}
}
