package main

import (
	"errors"
	"fmt"
	"sync"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/sinks/worker"
)

// readiness is one condition of being ready: nil, or why not. It is safe for
// concurrent use.
type readiness struct {
	mu  sync.Mutex
	err error
}

func (r *readiness) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *readiness) get() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// agentReady: every source is being read, or waits for a person, whom a restart or a
// slower rollout doesn't help.
func agentReady(sources []pipeline.Status) error {
	var all []error
	for _, s := range sources {
		switch {
		case s.State == pipeline.Streaming || s.State == pipeline.Repairing || s.State == pipeline.Paused || s.NeedsPerson:
		case s.Error != "":
			all = append(all, fmt.Errorf("source %s is %s: %s", s.Source, s.State, s.Error))
		default:
			all = append(all, fmt.Errorf("source %s is %s", s.Source, s.State))
		}
	}
	return errors.Join(all...)
}

// workerReady: the worker is a member of its group, and every partition that is its own
// is claimed. A member may stand by without any.
func workerReady(member error, parts []worker.PartitionStatus) error {
	all := []error{member}
	for _, p := range parts {
		switch {
		case p.State == worker.Applying:
		case p.Error != "":
			all = append(all, fmt.Errorf("partition %s is %s: %s", p.Partition, p.State, p.Error))
		default:
			all = append(all, fmt.Errorf("partition %s is %s", p.Partition, p.State))
		}
	}
	return errors.Join(all...)
}
