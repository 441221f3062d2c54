package mysql

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tributary-cdc/tributary/capture/guard"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Room asks how much of a server's binary log is left. It connects for each question. The
// server keeps its log by settings of its own, whoever reads it, so nothing is kept for
// us. It implements guard.Server.
type Room struct {
	o       Options
	written int64       // bytes, counted from look to look
	end     event.Place // of the last look
}

// NewRoom gives the room of the source that the options name.
func NewRoom(o Options) (*Room, error) {
	r, err := New(o)
	if err != nil {
		return nil, err
	}
	return &Room{o: r.o}, nil
}

// Room implements guard.Server.
func (r *Room) Room(ctx context.Context, at event.Place) (guard.Room, error) {
	s, err := Open(ctx, r.o)
	if err != nil {
		return guard.Room{}, err
	}
	defer s.Close()
	defer interrupt(ctx, s.r.sql)()
	variables, err := s.Rows("read how long the binary log is kept", "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_id', 'binlog_expire_logs_seconds', 'expire_logs_days', 'binlog_expire_logs_auto_purge', 'max_binlog_total_size', 'binlog_space_limit')")
	if err != nil {
		return guard.Room{}, err
	}
	rows, err := s.Rows("list binary logs", "SHOW BINARY LOGS")
	if err != nil {
		return guard.Room{}, err
	}
	files := make([]file, len(rows))
	for i, row := range rows {
		if _, files[i].n, err = parseFile(row[0]); err != nil {
			return guard.Room{}, err
		}
		if files[i].size, err = strconv.ParseInt(row[1], 10, 64); err != nil {
			return guard.Room{}, fmt.Errorf("size of %s: %w", row[0], err)
		}
	}
	out := guard.Room{At: at, Spare: -1}
	vars := map[string]string{}
	for _, v := range variables {
		vars[v[0]] = v[1]
	}
	out.Identity = vars["server_uuid"] + "/" + vars["server_id"]
	out.Server = out.Identity
	if len(files) == 0 {
		return out, nil
	}
	r.measure(&out, files)
	out.Ages, out.Sizes = bounds(vars, at, files)
	return out, nil
}

// file is one of the binary log.
type file struct {
	n    uint32
	size int64
}

// between gives the bytes from one place to another; files that are gone count nothing.
func between(files []file, from, to event.Place) (bytes int64) {
	for _, f := range files {
		if f.n < from.File || f.n > to.File {
			continue
		}
		begin, end := int64(0), f.size
		if f.n == from.File {
			begin = int64(from.Offset)
		}
		if f.n == to.File {
			end = int64(to.Offset)
		}
		bytes += max(0, end-begin)
	}
	return bytes
}

// measure fills what follows from the files alone.
func (r *Room) measure(out *guard.Room, files []file) {
	last := files[len(files)-1]
	out.End = event.Place{File: last.n, Offset: uint64(last.size)}
	if r.end.Compare(out.End) > 0 { // the log was begun anew
		r.end, r.written = event.Place{}, 0
	}
	if !r.end.IsZero() {
		r.written += between(files, r.end, out.End)
	}
	r.end, out.Written = out.End, r.written
	if !out.At.IsZero() {
		out.Behind = between(files, out.At, out.End)
		out.Spare = between(files, event.Place{}, out.At)
	}
}

// bounds gives the settings by which the server removes files.
func bounds(vars map[string]string, at event.Place, files []file) (ages []guard.AgeBound, sizes []guard.SizeBound) {
	number := func(name string) int64 {
		n, err := strconv.ParseFloat(vars[name], 64)
		if err != nil { // the server has none of the name
			return 0
		}
		return int64(n)
	}
	if vars["binlog_expire_logs_auto_purge"] != "OFF" {
		if n := number("binlog_expire_logs_seconds"); n > 0 && n < math.MaxInt64/int64(time.Second) {
			ages = append(ages, guard.AgeBound{Name: "binlog_expire_logs_seconds", Limit: time.Duration(n) * time.Second, Repair: fmt.Sprintf("SET GLOBAL binlog_expire_logs_seconds = %d", 2*n)})
		} else if n := number("expire_logs_days"); n > 0 {
			ages = append(ages, guard.AgeBound{Name: "expire_logs_days", Limit: time.Duration(n) * 24 * time.Hour, Repair: fmt.Sprintf("SET GLOBAL expire_logs_days = %d", 2*n)})
		}
	}
	for _, name := range []string{"max_binlog_total_size", "binlog_space_limit"} {
		limit := number(name)
		if limit <= 0 || at.IsZero() {
			continue
		}
		last := files[len(files)-1]
		// Whole files are removed, so all of ours counts.
		used := between(files, event.Place{File: at.File}, event.Place{File: last.n, Offset: uint64(last.size)})
		sizes = append(sizes, guard.SizeBound{Name: name, Limit: limit, Left: limit - used, Repair: fmt.Sprintf("SET GLOBAL %s = %d", name, 2*limit)})
	}
	return ages, sizes
}
