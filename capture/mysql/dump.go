package mysql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/google/uuid"
)

// silence is how long the server may say nothing; it sends heartbeats each second.
const silence = 30 * time.Second

// dump is a connection on which the server sends its binary log. The bytes of an
// event lie in the connection's own buffer until the next one is asked for, so that
// reading allocates nothing. go-mysql's BinlogSyncer does the same with a goroutine,
// a channel and some five allocations per event, which cost more than decoding the rows.
type dump struct {
	frames
	c        *client.Conn
	conn     net.Conn // below c; only dump reads it from the command on
	deadline time.Time
	done     <-chan struct{} // of the context whose end interrupts reading
	unwatch  func() bool
}

// dumpFrom is where a dump begins and as what.
type dumpFrom struct {
	serverID uint32
	mariadb  bool
	annotate bool // send the statements beside the rows, which MariaDB may leave out
	file     string
	offset   uint32
	// gtids are those behind which it begins, wherever that is in this server's files, in
	// place of file and offset; nil for these.
	gtids gomysql.GTIDSet
}

func newDump(c *client.Conn, conn net.Conn) *dump {
	d := &dump{c: c, conn: conn}
	d.frames = newFrames(d)
	return d
}

// openDump registers as a replica and asks for the log. c is the dump's from here on.
func openDump(ctx context.Context, c *client.Conn, from dumpFrom) (*dump, error) {
	d := newDump(c, c.Conn.Conn)
	defer interrupt(ctx, c)()
	name, err := uuid.NewUUID()
	if err != nil {
		return nil, fmt.Errorf("name of the replica: %w", err)
	}
	set := []string{
		"SET NAMES utf8mb4",
		"SET @master_binlog_checksum = 'NONE', @source_binlog_checksum = 'NONE'", // says that checksums are understood; MariaDB sends them nevertheless
		fmt.Sprintf("SET @master_heartbeat_period = %d, @source_heartbeat_period = %d", time.Second, time.Second),
		fmt.Sprintf("SET @slave_uuid = '%s', @replica_uuid = '%s'", name, name),
	}
	if from.mariadb {
		set = append(set, "SET @mariadb_slave_capability = 4") // GTID events as they are
	}
	if from.mariadb && from.gtids != nil { // the server looks for each of them, number of its server included
		set = append(set, "SET @slave_connect_state = '"+from.gtids.String()+"'", "SET @slave_gtid_strict_mode = 1")
	}
	for _, sql := range set {
		if _, err := c.Execute(sql); err != nil {
			return nil, err
		}
	}
	if err := d.register(from.serverID); err != nil {
		return nil, err
	}
	flags := uint16(0)
	if from.annotate {
		flags |= replication.BINLOG_SEND_ANNOTATE_ROWS_EVENT
	}
	if from.gtids != nil && !from.mariadb {
		return d, d.send(dumpBehind(from.serverID, from.gtids.Encode()))
	}
	b := command(gomysql.COM_BINLOG_DUMP)
	b = binary.LittleEndian.AppendUint32(b, from.offset)
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = binary.LittleEndian.AppendUint32(b, from.serverID)
	return d, d.send(append(b, from.file...))
}

// dumpBehind asks for all but the transactions of an encoded GTID set (MySQL
// client/server protocol, COM_BINLOG_DUMP_GTID).
func dumpBehind(serverID uint32, set []byte) []byte {
	b := command(gomysql.COM_BINLOG_DUMP_GTID)
	b = binary.LittleEndian.AppendUint16(b, 0) // flags
	b = binary.LittleEndian.AppendUint32(b, serverID)
	b = binary.LittleEndian.AppendUint32(b, 0) // no file
	b = binary.LittleEndian.AppendUint64(b, 4)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(set)))
	return append(b, set...)
}

// register tells the server which replica this is, as SHOW REPLICAS gives it
// (MySQL client/server protocol, COM_REGISTER_SLAVE).
func (d *dump) register(serverID uint32) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name of this machine: %w", err)
	}
	host = host[:min(len(host), 60)] // what old servers take
	b := command(gomysql.COM_REGISTER_SLAVE)
	b = binary.LittleEndian.AppendUint32(b, serverID)
	b = append(append(b, byte(len(host))), host...)
	b = append(b, make([]byte, 1+1+2+4+4)...) // user, password, port, rank, source's id: nothing to tell
	if err := d.send(b); err != nil {
		return err
	}
	_, err = d.c.ReadOKPacket()
	return err
}

// command begins a packet; the first four bytes are its frame's head.
func command(code byte) []byte { return append(make([]byte, 4, 64), code) }

func (d *dump) send(b []byte) error {
	d.c.ResetSequence()
	return d.c.WritePacket(b)
}

// next returns the bytes of the next event, valid until the next call. An error of
// the server is a *MyError. Once ctx ends it returns ctx.Err().
func (d *dump) next(ctx context.Context) ([]byte, error) {
	d.watch(ctx)
	p, err := d.packet()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case len(p) == 0:
		return nil, fmt.Errorf("empty packet: %w", errMalformed)
	}
	switch p[0] {
	case gomysql.OK_HEADER:
		return p[1:], nil
	case gomysql.ERR_HEADER:
		return nil, serverError(p)
	case gomysql.EOF_HEADER: // only a dump that doesn't wait for more ends
		return nil, io.EOF
	}
	return nil, fmt.Errorf("packet that begins with %#x: %w", p[0], errMalformed)
}

// Read implements io.Reader. It moves the deadline, and goes on after one that was an
// earlier context's end.
func (d *dump) Read(p []byte) (int, error) {
	for {
		if err := d.extend(); err != nil {
			return 0, err
		}
		n, err := d.conn.Read(p)
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || !time.Now().Before(d.deadline) {
			return n, err
		}
		d.deadline = time.Time{} // an earlier context's end came late
		if n > 0 {
			return n, nil
		}
	}
}

// extend moves the deadline of reading, once a second: it costs more than a small event.
func (d *dump) extend() error {
	now := time.Now()
	if now.Before(d.deadline.Add(time.Second - silence)) {
		return nil
	}
	d.deadline = now.Add(silence)
	if err := d.conn.SetReadDeadline(d.deadline); err != nil {
		return err
	}
	select {
	case <-d.done: // it may have ended before the deadline above was set
		return errInterrupted
	default:
		return nil
	}
}

var errInterrupted = errors.New("reading was interrupted")

// watch lets the end of ctx interrupt a read that is under way. It costs nothing
// while the same context comes again.
func (d *dump) watch(ctx context.Context) {
	if d.done == ctx.Done() && d.unwatch != nil {
		return
	}
	if d.unwatch != nil {
		d.unwatch()
	}
	d.done = ctx.Done()
	d.unwatch = context.AfterFunc(ctx, func() { _ = d.conn.SetReadDeadline(time.Unix(1, 0)) }) // a closed connection ends the read, too
}

func (d *dump) close() {
	if d.unwatch != nil {
		d.unwatch()
	}
	_ = d.c.Close() // the server notices with its next heartbeat, or when this reader comes again
}
