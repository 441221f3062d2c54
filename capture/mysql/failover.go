package mysql

import (
	"fmt"
	"strconv"
	"strings"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/tributary-cdc/tributary/capture"
)

// join goes on at another server, which has all that was read: a replica that was promoted.
// The places of its log are others, so a new epoch begins.
func (r *Reader) join(res capture.Resume, now *state, gap func(code, format string, args ...any) error) error {
	old := r.state
	end, executed, err := r.end()
	if err != nil {
		return err
	}
	r.met = end
	if err := r.read(res); err != nil {
		return err
	}
	if r.gtids == nil {
		return gap("OTHER_SERVER", "the server is %q with server_id %d, was %q with %d, and no GTIDs tell what it has", now.UUID, now.ServerID, old.UUID, old.ServerID)
	}
	if err := r.executed(executed, gap); err != nil {
		return err
	}
	r.state.UUID, r.state.ServerID, r.state.Created = now.UUID, now.ServerID, nil
	r.state.Epoch, r.state.Joining = capture.NextEpoch(old.Epoch, res.Last.Epoch), true
	r.last = res.Last
	r.defs.elsewhere(res.Restart)
	return nil
}

// read takes up the GTIDs of what was read.
func (r *Reader) read(res capture.Resume) error {
	if err := r.parseGTIDs(r.state.GTIDs); err != nil {
		return err
	}
	for _, id := range res.Since {
		if err := r.since(id); err != nil {
			return err
		}
		r.state.LastID = id // the next state may be written before the next transaction
	}
	return nil
}

// since adds a transaction that was complete when the reader's state was older.
func (r *Reader) since(id string) error {
	if r.gtids == nil || id == "" {
		return nil
	}
	if err := r.gtids.Update(id); err != nil {
		return fmt.Errorf("GTID %q: %w", id, err)
	}
	return nil
}

// unnamed reports whether transactions may stand between the state's place and where reading
// begins of which nobody has told the GTIDs. Another server would be asked for them, and may
// have purged them long since. MariaDB's sets know the last one of each domain only.
func (r *Reader) unnamed() bool {
	_, ok := r.gtids.(*gomysql.MysqlGTIDSet)
	return ok && !r.state.Joining && r.state.At.File != 0 && r.state.At.File == r.at.File && r.state.At.Offset < r.at.Offset
}

// name notes the GTID of a transaction that is complete, if one begins with an event.
func (r *Reader) name(e *logEvent) error {
	id, _, err := r.gtidOf(e)
	if err != nil {
		return err
	}
	r.addGTID(&id)
	return nil
}

func heartbeat(t replication.EventType) bool {
	return t == replication.HEARTBEAT_EVENT || t == replication.HEARTBEAT_LOG_EVENT_V2
}

// executed proves that the server has executed all that was read. A server that never saw
// it would otherwise be followed without a word.
func (r *Reader) executed(theirs string, gap func(code, format string, args ...any) error) error {
	if r.gtids == nil {
		return nil
	}
	lacks := func(theirs string) error {
		return gap("GTID_UNKNOWN", "the server has executed %q, which lacks a part of %q", theirs, r.gtids.String())
	}
	if r.mariadb {
		state, _, err := r.variable("gtid_binlog_state")
		if err != nil {
			return err
		}
		ok, err := hasGTIDs(state, r.gtids.String())
		if err == nil && !ok {
			err = lacks(state)
		}
		return err
	}
	set, err := gomysql.ParseGTIDSet(gomysql.MySQLFlavor, theirs)
	if err != nil {
		return fmt.Errorf("GTID set %q: %w", theirs, err)
	}
	if !set.Contain(r.gtids) {
		return lacks(theirs)
	}
	return nil
}

// hasGTIDs reports whether MariaDB's gtid_binlog_state, which has the last number of each
// server in each domain, holds the last transactions of our domains. A transaction of
// another server with a number as high is another one: it took the place of ours.
func hasGTIDs(state, ours string) (bool, error) {
	type writer struct{ domain, server uint64 }
	last := map[writer]uint64{}
	for _, list := range []struct {
		text string
		take func(writer, uint64) bool
	}{
		{state, func(w writer, n uint64) bool { last[w] = max(last[w], n); return true }},
		{ours, func(w writer, n uint64) bool { have, ok := last[w]; return ok && have >= n }},
	} {
		for _, text := range strings.Split(list.text, ",") {
			if text = strings.TrimSpace(text); text == "" {
				continue
			}
			var n [3]uint64
			parts := strings.Split(text, "-")
			for i := range n {
				if len(parts) != len(n) {
					return false, fmt.Errorf("GTID %q: %w", text, errMalformed)
				}
				v, err := strconv.ParseUint(parts[i], 10, 64)
				if err != nil {
					return false, fmt.Errorf("GTID %q: %w", text, errMalformed)
				}
				n[i] = v
			}
			if !list.take(writer{n[0], n[1]}, n[2]) {
				return false, nil
			}
		}
	}
	return true, nil
}
