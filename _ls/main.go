// Command bench measures the way from a source to the store on one machine, beside
// the ceilings that its servers set (pg_recvlogical, mariadb-dump and COPY to /dev/null,
// plain COPY for the store) and, if asked, beside Debezium. It starts real servers and the
// program's own processes, writes the backlog first, and reports every repetition and
// the median. It asserts nothing, and it ends and removes all that it started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// part is a piece of a repetition. What it needs runs before it.
type part struct {
	name  string
	needs string
	run   func(context.Context, *bench, *report) error
}

var parts = []part{
	{"mariadb", "", func(ctx context.Context, b *bench, r *report) error { return b.mariadb(ctx, r) }},
	{"apply", "mariadb", func(ctx context.Context, b *bench, r *report) error { return b.apply(ctx, r) }},
	{"single", "apply", func(ctx context.Context, b *bench, r *report) error { return b.singles(ctx, r) }},
	{"latency", "mariadb", func(ctx context.Context, b *bench, r *report) error { return b.latency(ctx, r) }},
	{"peers", "apply", func(ctx context.Context, b *bench, r *report) error { return b.rivalStore(ctx, r) }},
	{"load", "", func(ctx context.Context, b *bench, r *report) error { return b.load(ctx, r) }},
	{"postgres", "", func(ctx context.Context, b *bench, r *report) error { return b.postgres(ctx, r) }},
}

// chosen gives the parts that run, in their order.
func (o *options) chosen() ([]part, error) {
	want := map[string]bool{}
	for _, name := range o.only {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return nil, fmt.Errorf("-only %q: there is no such part", name)
		}
		want[name] = true
	}
	for _, p := range slices.Backward(parts) {
		if len(o.only) == 0 {
			want[p.name] = p.name != "peers" || o.peers
		}
		if want[p.name] && p.needs != "" {
			want[p.needs] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return !want[p.name] }), nil
}

// known gives the codecs that the program knows: an older one may be measured.
func known(ctx context.Context, r *report, o options) (all []string, err error) {
	file := filepath.Join(o.out, "codec.yml")
	defer func() { err = errors.Join(err, os.Remove(file)) }()
	for _, codec := range o.codecs {
		text := agentConfig(source{org: "1", name: "a", engine: "mariadb", codec: codec, settings: `host: h, user: u, password_env: P, tables: ["d.t"]`}, "d", "h:1")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		said, err := exec.CommandContext(ctx, o.program, "config", "check", "agent", file).CombinedOutput()
		if _, refused := errors.AsType[*exec.ExitError](err); refused && strings.Contains(string(said), "codec") {
			r.note("This program doesn't know the codec %s.", codec)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("config check: %w: %s", err, said)
		}
		all = append(all, codec)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s knows none of the codecs %s", o.program, strings.Join(o.codecs, ", "))
	}
	return all, nil
}

func list(s string) []string {
	return slices.DeleteFunc(strings.Split(s, ","), func(s string) bool { return s == "" })
}

func mainOld() {
	var o options
	flag.IntVar(&o.rows, "rows", 1_000_000, "rows of a backlog, at least 10000")
	flag.IntVar(&o.repeat, "repeat", 3, "repetitions")
	flag.IntVar(&o.seconds, "seconds", 10, "length of each latency run")
	flag.StringVar(&o.program, "tributary", "bin/tributary", "the program")
	flag.StringVar(&o.out, "out", filepath.Join(os.TempDir(), "tributary-bench"), "folder of the report")
	flag.BoolVar(&o.peers, "peers", false, "measure Debezium, too")
	codecs := flag.String("codecs", "avro,json", "codecs of the log; the first one feeds the store, and what the program doesn't know is left out")
	only := flag.String("only", "", "parts to measure: mariadb, apply, single, latency, peers, load, postgres; those that they need run as well")
	commit := flag.String("commit", "unknown", "what is measured")
	flag.Parse()
	o.codecs, o.only = list(*codecs), list(*only)
	o.peers = o.peers || slices.Contains(o.only, "peers")
	o.rows -= o.rows % transaction
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := &report{At: time.Now().UTC(), Version: *commit, Machine: machine(), Rows: o.rows, Repeat: o.repeat, Compression: map[string]float64{}, progress: os.Stderr, begun: time.Now()}
	if err := measure(ctx, r, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "report:", o.out)
}

func measure(ctx context.Context, r *report, o options) (err error) {
	if o.rows < 10_000 || o.repeat < 1 || o.seconds < 1 || len(o.codecs) == 0 {
		return errors.New("at least 10000 rows, one repetition, one second and one codec")
	}
	chosen, err := o.chosen()
	if err != nil {
		return err
	}
	if o.program, err = filepath.Abs(o.program); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if o.codecs, err = known(ctx, r, o); err != nil {
		return err
	}
	if r.Compression["SQL"], err = compression([][]byte{[]byte(values(rand.New(rand.NewPCG(7, 7)), 1, 5000))}); err != nil {
		return err
	}
	for n := range o.repeat {
		r.step("repetition %d of %d: start the servers", n+1, o.repeat)
		if err := repetition(ctx, r, o, chosen, n == o.repeat-1); err != nil {
			// What has been measured stands, and says that it isn't all.
			r.note("Incomplete: %v", err)
			return errors.Join(err, r.write(o.out))
		}
	}
	return r.write(o.out)
}

// repetition measures each part once on servers of its own. Only the last one
// profiles, because that costs a little.
func repetition(ctx context.Context, r *report, o options, chosen []part, last bool) (err error) {
	b, err := start(ctx, o)
	if b == nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop(err != nil)) }()
	if err != nil {
		return err
	}
	if last {
		b.profiles = o.out
	}
	r.Servers = b.servers()
	for _, p := range chosen {
		if err := p.run(ctx, b, r); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}
