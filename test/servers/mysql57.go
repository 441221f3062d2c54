package servers

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// MySQL57 starts the MySQL at hand behind a proxy that makes it look like MySQL 5.7 to
// those who read its log: it announces that release, knows no newer variable and
// statement, and sends events without what 5.7 doesn't write: the optional metadata of
// TABLE_MAP, and of a GTID event all behind its logical clock, so that commit times are
// whole seconds. Checksums are made again. What 5.7 writes otherwise than newer releases
// in ways that no reader sees, and its SQL, isn't emulated.
func MySQL57(t testing.TB, settings map[string]string) DB {
	t.Helper()
	db := MySQL(t, settings)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &old57{upstream: fmt.Sprintf("%s:%d", db.Host, db.Port), begins: map[logPlace]uint32{}, conns: map[net.Conn]bool{}}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			go p.serve(c)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for c := range p.conns {
			_ = c.Close()
		}
	})
	db.Port = uint16(listener.Addr().(*net.TCPAddr).Port)
	Ran(t, "MySQL %s emulated before it", version57)
	return db
}

const version57 = "5.7.44-log"

// newer are variables that MySQL 5.7 doesn't have.
var newer = regexp.MustCompile(`(?i)\b(binlog_row_metadata|binlog_row_value_options|binlog_transaction_compression\w*|binlog_expire_logs_seconds|default_collation_for_utf8mb4)\b`)

// statements57 are what 5.7 takes or answers otherwise.
var statements57 = []struct {
	from *regexp.Regexp
	to   string
}{
	{newer, "unknown_in_5_7"},
	{regexp.MustCompile(`(?i)\bVERSION\(\)|@@(GLOBAL\.)?version\b`), "'" + version57 + "'"},
	{regexp.MustCompile(`(?i)^\s*SHOW BINARY LOG STATUS`), "SHOW BINARY LOG STATUS OF NEWER RELEASES"},
	{regexp.MustCompile(`(?i)^\s*SHOW MASTER STATUS`), "SHOW BINARY LOG STATUS"},
	// Checksums stay in the log, so that readers verify what was cut.
	{regexp.MustCompile(`(@(?:master|source)_binlog_checksum = )'NONE'`), "${1}'CRC32'"},
}

// old57 is the proxy. A GTID event that is cut begins later for those who count back from
// its end; begins has where it does begin, so that a dump may be asked for from there.
type old57 struct {
	upstream string
	mu       sync.Mutex
	begins   map[logPlace]uint32
	conns    map[net.Conn]bool
}

type logPlace struct {
	file   string
	offset uint32
}

func (p *old57) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		reset(client)
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
		delete(p.conns, server)
	}()
	// dumping gets the file at which a dump begins, before the server answers.
	dumping := make(chan string, 1)
	var both sync.WaitGroup
	for _, pump := range []func() error{func() error { return p.requests(server, client, dumping) }, func() error { return p.answers(client, server, dumping) }} {
		both.Go(func() {
			_ = pump() // how a connection ends is what the reader makes of it
			_, _ = client.Close(), server.Close()
		})
	}
	both.Wait()
}

// frame reads one frame of MySQL's protocol, with its head.
func frame(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	b := append(head, make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)...)
	_, err := io.ReadFull(r, b[4:])
	return b, err
}

// mostFrame is the length of a frame that another one of the same packet follows.
const mostFrame = 1<<24 - 1

// packets writes a payload as frames that begin with a sequence number, and returns the
// next one.
func packets(w io.Writer, sequence byte, payload []byte) (byte, error) {
	for {
		n := min(len(payload), mostFrame)
		out := append([]byte{byte(n), byte(n >> 8), byte(n >> 16), sequence}, payload[:n]...)
		if _, err := w.Write(out); err != nil {
			return sequence, err
		}
		sequence++
		if payload = payload[n:]; n < mostFrame {
			return sequence, nil
		}
	}
}

// requests passes on what the client sends, statements as 5.7 understands them.
func (p *old57) requests(to, from net.Conn, dumping chan<- string) error {
	for first := true; ; first = false {
		b, err := frame(from)
		if err != nil {
			return err
		}
		if first && len(b) > 8 { // clients ask for what they know, offered or not
			b[7] &^= byte(gomysql.CLIENT_QUERY_ATTRIBUTES >> 24)
		}
		if body := b[4:]; b[3] == 0 && len(body) > 0 && len(body) < mostFrame { // a command
			switch body[0] {
			case gomysql.COM_QUERY, gomysql.COM_STMT_PREPARE:
				text := string(body[1:])
				for _, s := range statements57 {
					text = s.from.ReplaceAllString(text, s.to)
				}
				b = append([]byte{byte(1 + len(text)), byte((1 + len(text)) >> 8), byte((1 + len(text)) >> 16), 0, body[0]}, text...)
			case gomysql.COM_BINLOG_DUMP: // position, flags, server, file
				if len(body) < 11 {
					return errors.New("a dump without its file")
				}
				file := string(body[11:])
				p.mu.Lock()
				if at, ok := p.begins[logPlace{file, binary.LittleEndian.Uint32(body[1:])}]; ok {
					binary.LittleEndian.PutUint32(body[1:], at)
				}
				p.mu.Unlock()
				dumping <- file
			}
		}
		if _, err := to.Write(b); err != nil {
			return err
		}
	}
}

// answers passes on what the server sends: the greeting and the log as 5.7 does.
func (p *old57) answers(to, from net.Conn, dumping <-chan string) error {
	b, err := frame(from)
	if err != nil {
		return err
	}
	if _, err := packets(to, 0, greet57(b[4:])); err != nil {
		return err
	}
	for {
		if b, err = frame(from); err != nil {
			return err
		}
		select {
		case file := <-dumping:
			return p.log(to, from, b, file)
		default:
		}
		if _, err := to.Write(b); err != nil {
			return err
		}
	}
}

// greet57 puts the version into the greeting (MySQL client/server protocol,
// HandshakeV10), and takes query attributes out of what the server can.
func greet57(b []byte) []byte {
	end := bytes.IndexByte(b, 0)
	if len(b) == 0 || b[0] != 10 || end < 0 {
		return b // an error
	}
	rest := bytes.Clone(b[end+1:])
	const upper = 4 + 8 + 1 + 2 + 1 + 2 // thread, salt, filler, lower flags, character set, status
	if len(rest) > upper+1 {
		rest[upper+1] &^= byte(gomysql.CLIENT_QUERY_ATTRIBUTES >> 24)
	}
	return append(append([]byte{10}, version57+"\x00"...), rest...)
}

// log passes on a dump, whose first frame has come.
func (p *old57) log(to, from net.Conn, b []byte, file string) error {
	d := &dump57{p: p, file: file}
	sequence := byte(1)
	for {
		payload := b[4:]
		for n := len(payload); n == mostFrame; {
			more, err := frame(from)
			if err != nil {
				return err
			}
			n = len(more) - 4
			payload = append(payload, more[4:]...)
		}
		if len(payload) > replication.EventHeaderSize && payload[0] == gomysql.OK_HEADER {
			payload = append([]byte{gomysql.OK_HEADER}, d.event(payload[1:])...)
		}
		var err error
		if sequence, err = packets(to, sequence, payload); err != nil {
			return err
		}
		if b, err = frame(from); err != nil {
			return err
		}
	}
}

// dump57 is the log on one connection.
type dump57 struct {
	p         *old57
	file      string
	checksums bool
}

// event gives an event the form of 5.7.
func (d *dump57) event(e []byte) []byte {
	const head = replication.EventHeaderSize
	if n := len(e) - replication.BinlogChecksumLength; !d.checksums && n > head && replication.EventType(e[4]) == replication.ROTATE_EVENT &&
		binary.LittleEndian.Uint32(e[n:]) == crc32.ChecksumIEEE(e[:n]) { // nobody knows yet that there are any
		e = e[:n]
		binary.LittleEndian.PutUint32(e[9:], uint32(n))
	}
	sum := 0
	if d.checksums {
		sum = replication.BinlogChecksumLength
	}
	if len(e) < head+sum {
		return e
	}
	body := e[head : len(e)-sum]
	keep := len(body)
	switch replication.EventType(e[4]) {
	case replication.ROTATE_EVENT:
		if len(body) > 8 {
			d.file = string(body[8:])
		}
		return e
	case replication.FORMAT_DESCRIPTION_EVENT: // version of the format, 50 bytes of the server's
		n := len(e)
		d.checksums = e[n-5] == byte(replication.BINLOG_CHECKSUM_ALG_CRC32)
		copy(e[head+2:head+52], version57+strings.Repeat("\x00", 50))
		if d.checksums {
			binary.LittleEndian.PutUint32(e[n-4:], crc32.ChecksumIEEE(e[:n-4]))
		}
		return e
	case replication.GTID_EVENT, replication.ANONYMOUS_GTID_EVENT: // flags, server, number, kind of clock, two clocks
		keep = min(keep, 1+16+8+1+16)
	case replication.TABLE_MAP_EVENT:
		keep = fixed57(body)
	}
	if keep == len(body) {
		return e
	}
	out := append(append(make([]byte, 0, len(e)), e[:head]...), body[:keep]...)
	binary.LittleEndian.PutUint32(out[9:], uint32(len(out)+sum))
	if sum > 0 {
		out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(out))
	}
	if end := binary.LittleEndian.Uint32(e[13:]); e[4] != byte(replication.TABLE_MAP_EVENT) && end > 0 {
		d.p.mu.Lock()
		d.p.begins[logPlace{d.file, end - uint32(len(out))}] = end - uint32(len(e))
		d.p.mu.Unlock()
	}
	return out
}

// fixed57 gives the length of a TABLE_MAP event's body without its optional metadata
// (MySQL source documentation, Table_map_event).
func fixed57(b []byte) int {
	at := 6 + 2 // table id, flags
	for range 2 {
		if at >= len(b) {
			return len(b)
		}
		at += 1 + int(b[at]) + 1
	}
	columns, n := lengthOf(b, at)
	at += n + columns
	metadata, n := lengthOf(b, at)
	return min(len(b), at+n+metadata+(columns+7)/8)
}

// lengthOf reads a length-encoded number of at most two bytes.
func lengthOf(b []byte, at int) (v, size int) {
	switch {
	case at < len(b) && b[at] < 0xfb:
		return int(b[at]), 1
	case at+2 < len(b) && b[at] == 0xfc:
		return int(binary.LittleEndian.Uint16(b[at+1:])), 3
	}
	return len(b), 1
}
