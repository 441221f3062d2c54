// Command demo runs the main job on loopback: two districts' databases, an agent
// each, the embedded log, a worker for the city's and the province's store, and the
// hub with its page. With -check it kills them at random and judges what came out. It
// decides what is shown; the programs are the ones that run in production.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	dir      string
	program  string // tributary
	check    time.Duration
	embedded bool
	seed     uint64
	page     string // address of the hub's page
	begun    int64  // Unix seconds
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", filepath.Join(os.TempDir(), fmt.Sprintf("tributary-demo-%d", os.Getuid())), "data folder, made anew")
	flag.StringVar(&o.program, "tributary", "bin/tributary", "the program")
	flag.DurationVar(&o.check, "check", 0, "run this long without a terminal, kill, judge, print JSON")
	log := flag.String("log", "embedded", "embedded, or kafka: a real Apache Kafka")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64N(1<<32), "of the workload and the kills")
	flag.StringVar(&o.page, "page", "127.0.0.1:0", "address of the page, on loopback; port 0 takes a free one")
	flag.Int64Var(&o.begun, "begun", time.Now().Unix(), "when the reader began to wait, in Unix seconds: compiling counts")
	port, row := flag.Int("port", 0, "with -insert: the port of xueji"), flag.Int("insert", 0, "insert a class of this number into the demo that runs in the data folder")
	flag.Parse()
	if *log != "embedded" && *log != "kafka" || flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: -log %q %v: embedded or kafka, and no further arguments\n", *log, flag.Args())
		os.Exit(2)
	}
	o.embedded = *log == "embedded"
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	work := func() error { return run(ctx, o) }
	if *row != 0 {
		work = func() error { return byHand(ctx, o.dir, *port, *row) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	say := newTeller(os.Stderr)
	defer say.close()
	s, err := start(ctx, o, say)
	if s != nil {
		defer func() {
			say.step("正在停止 / stopping")
			err = errors.Join(err, s.stop())
			say.step("已全部停止，数据在 %s / all stopped, the data lie in %s", s.o.dir, s.o.dir)
		}()
	}
	switch {
	case err != nil && ctx.Err() != nil && o.check == 0: // Ctrl-C while it starts
		return nil
	case err != nil:
		return err
	case o.check > 0:
		return judge(ctx, s)
	}
	return watch(ctx, s)
}

// work writes transactions in all districts until ctx ends.
func (s *system) work(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make([]error, len(s.districts))
	for i, d := range s.districts {
		all.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				if err := d.Step(context.WithoutCancel(ctx)); err != nil {
					errs[i] = err
				}
				// About 120 a second: a busy district, and room for everything else on two cores.
				pause := time.NewTimer(8 * time.Millisecond)
				select {
				case <-pause.C:
				case <-ctx.Done():
					pause.Stop()
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
