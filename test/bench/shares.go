package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// shares follows what the servers at both ends of a load take of the processor.
type shares struct {
	source, broker         int // process ids
	sourceFrom, brokerFrom float64
}

// shares begins with the source's server.
func (b *bench) shares(source *local.Server) (s *shares, err error) {
	s = &shares{source: source.PID(), broker: b.kafka.PID()}
	s.sourceFrom, s.brokerFrom, err = s.now()
	return s, err
}

func (s *shares) now() (source, broker float64, err error) {
	source, err = family(s.source)
	broker, berr := family(s.broker)
	return source, broker, errors.Join(err, berr)
}

// end gives the seconds per million rows since the beginning.
func (s *shares) end(out *sample) error {
	source, broker, err := s.now()
	out.Server, out.Broker = (source-s.sourceFrom)*1e6/float64(out.Rows), (broker-s.brokerFrom)*1e6/float64(out.Rows)
	return err
}

// family gives the CPU seconds of a process and of those that it has started, such as
// PostgreSQL's sessions, ended ones included (proc(5)).
func family(pid int) (seconds float64, err error) {
	own, _, err := times(strconv.Itoa(pid))
	if err != nil {
		return 0, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		if child, parent, err := times(e.Name()); err == nil && parent == pid { // one that has ended meanwhile counts next time
			own += child
		}
	}
	return own, nil
}

// times gives a process' CPU seconds with those of its ended children, and its parent.
func times(pid string) (seconds float64, parent int, err error) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return 0, 0, fmt.Errorf("/proc/%s/stat has %d fields", pid, len(fields))
	}
	if parent, err = strconv.Atoi(fields[1]); err != nil {
		return 0, 0, err
	}
	for _, f := range fields[11:15] { // in hundredths
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, 0, err
		}
		seconds += n / 100
	}
	return seconds, parent, nil
}
