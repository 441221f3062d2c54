package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// process is one of our programs.
type process struct {
	local.Process
	url      string // of its HTTP interface
	finished bool   // it was ended and asked how
}

// agentConfig is the file of an agent with one source.
func agentConfig(s source, dir, broker string) string {
	text := fmt.Sprintf("name: a\norg: %q\ndata_dir: %s\nlog: {brokers: [%q], durability: single}\n", s.org, dir, broker)
	if s.codec != "avro" {
		text += "codec: " + s.codec + "\n"
	}
	return text + fmt.Sprintf("sources:\n  - {name: %s, engine: %s, first_start: %s, %s}\n", s.name, s.engine, cmp.Or(s.start, "now"), s.settings)
}

// agent starts an agent for one source.
func (b *bench) agent(ctx context.Context, s source) (*process, error) {
	return b.run(ctx, "agent", "agent-"+s.org, agentConfig(s, filepath.Join(b.dir, "agent-"+s.org), b.kafka.Addr))
}

// worker starts the worker that applies an org's changes to the schema ods.
func (b *bench) worker(ctx context.Context, org string) (*process, error) {
	text := fmt.Sprintf("name: ods\norgs: [%q]\nlog: {brokers: [%q], durability: single}\nstore: {%s, database: postgres, schema: ods}\n", org, b.kafka.Addr, at(b.store))
	return b.run(ctx, "worker", "worker", text)
}

var serving = regexp.MustCompile(`msg=serving url=(http://127\.0\.0\.1:\d+)`)

// run starts a program, which binds a free port by itself and says which.
func (b *bench) run(ctx context.Context, role, name, config string) (*process, error) {
	file := filepath.Join(b.dir, name+".yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	name = fmt.Sprintf("%s-%d", name, len(b.running)+1) // each start has a log of its own
	p := &process{Process: local.Process{Name: name, Path: b.program, Args: []string{role, "--config", file}, Out: filepath.Join(b.dir, name+".log")}}
	if err := p.Start(); err != nil {
		return nil, err
	}
	b.running = append(b.running, p)
	return p, until(ctx, 30*time.Second, "the address of "+name, func() (bool, error) {
		if p.Dead() {
			return false, errEnded
		}
		text, err := os.ReadFile(p.Out)
		if m := serving.FindSubmatch(text); m != nil {
			p.url = string(m[1])
		}
		return p.url != "", err
	})
}

// finish ends the program, in good order or at once. A second call does nothing.
func (p *process) finish(drain bool) error {
	if p.finished {
		return nil
	}
	p.finished = true
	if drain {
		return p.End()
	}
	if err := p.Signal(syscall.SIGKILL); err != nil && !p.Dead() {
		return err
	}
	<-p.Done()
	return nil
}

// counters reads the program's metrics: the sum of each name over its labels.
func (p *process) counters(ctx context.Context) (map[string]float64, error) {
	text, err := get(ctx, p.url+"/metrics")
	if err != nil {
		return nil, err
	}
	return parseMetrics(text)
}

// parseMetrics reads Prometheus' text format.
func parseMetrics(text []byte) (map[string]float64, error) {
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("metric %q has no value", line)
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metric %q: %w", line, err)
		}
		name, _, _ := strings.Cut(line[:at], "{")
		all[name] += v
	}
	return all, nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // read only
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, res.Status)
	}
	return body, err
}

// watch follows a program from the moment that its stretch begins.
type watch struct {
	b        *bench
	p        *process
	begun    time.Time
	cpu      float64 // seconds that it had used by then
	from     map[string]float64
	profiled chan error
}

// begin reads clock and metrics, and starts the profile, if there is to be one.
func (b *bench) begin(ctx context.Context, p *process, name string) (w *watch, err error) {
	w = &watch{b: b, p: p, begun: time.Now(), profiled: make(chan error, 1)}
	if w.cpu, _, err = usage(p.PID()); err != nil {
		return nil, err
	}
	if w.from, err = p.counters(ctx); err != nil {
		return nil, err
	}
	go func() {
		if b.profiles == "" {
			w.profiled <- nil
			return
		}
		text, err := get(ctx, p.url+"/debug/pprof/profile?seconds=2")
		if err == nil {
			err = os.WriteFile(filepath.Join(b.profiles, name+".pprof"), text, 0o644)
		}
		w.profiled <- err
	}()
	return w, nil
}

// took gives time, rate and CPU of so many rows since begin.
func (w *watch) took(rows int) (sample, error) {
	seconds := time.Since(w.begun).Seconds()
	cpu, _, err := usage(w.p.PID())
	return sample{Rows: rows, Seconds: seconds, Rate: float64(rows) / seconds, CPU: (cpu - w.cpu) * 1e6 / float64(rows)}, err
}

// end adds what the program has used to s: allocations by what it counts itself,
// unless they would be the profile's and another repetition tells.
func (w *watch) end(ctx context.Context, s *sample, rows, txns string) error {
	to, err := w.p.counters(ctx)
	if err != nil {
		return err
	}
	if w.b.profiles == "" || w.b.repeat == 1 {
		grown := func(name string) float64 { return to[name] - w.from[name] }
		if n := grown(rows); n > 0 {
			s.Allocs = grown("go_memstats_mallocs_total") / n
		}
		if n := grown(txns); n > 0 {
			s.TxnAllocs = grown("go_memstats_mallocs_total") / n
		}
	}
	_, s.Resident, err = usage(w.p.PID())
	return errors.Join(err, <-w.profiled)
}

// alive gives errEnded once there is no such process.
func alive(pid int) error {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if errors.Is(err, os.ErrNotExist) {
		err = errEnded
	}
	return err
}

// usage gives a process' CPU seconds and highest resident megabytes so far (proc(5)).
func usage(pid int) (cpu, peak float64, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, f := range fields[11:13] { // utime and stime, in hundredths
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, 0, err
		}
		cpu += n / 100
	}
	v, _ := procLine(fmt.Sprintf("/proc/%d/status", pid), "VmHWM")
	kb, _, _ := strings.Cut(v, " ")
	peak, err = strconv.ParseFloat(kb, 64)
	return cpu, peak / 1024, err
}
