package mysql

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/packet"
)

// piped gives a dump behind its command, and the server's end of its connection.
func piped(t *testing.T) (*dump, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	d := newDump(&client.Conn{Conn: packet.NewConn(ours)}, ours)
	t.Cleanup(func() {
		d.close()
		if err := theirs.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, theirs
}

// framed cuts a packet into frames; sequence is the first one's number.
func framed(p []byte, sequence *byte) (out []byte) {
	for {
		n := min(len(p), fullFrame)
		out = append(out, byte(n), byte(n>>8), byte(n>>16), *sequence)
		out = append(out, p[:n]...)
		p = p[n:]
		*sequence++
		if n < fullFrame {
			return out
		}
	}
}

// Events of all sizes around the buffer's and the frame's come whole, however the
// bytes arrive, and the buffer doesn't stay large.
func TestDumpFrames(t *testing.T) {
	d, server := piped(t)
	sequence := byte(1)
	var want [][]byte
	var wire []byte
	for i, n := range []int{1, 300, 0, readBuffer - 5, readBuffer, 7, 3 * readBuffer, fullFrame - 1, 20, fullFrame - 2, 2*fullFrame + 9, 1, 1} {
		e := bytes.Repeat([]byte{byte('a' + i)}, n)
		want = append(want, e)
		wire = append(wire, framed(append([]byte{gomysql.OK_HEADER}, e...), &sequence)...)
	}
	sent := make(chan error, 1)
	go func() {
		var err error
		for step := 1; len(wire) > 0 && err == nil; step = (step*3 + 1) % 100_003 { // pieces that end anywhere
			n := min(1+step, len(wire))
			_, err = server.Write(wire[:n])
			wire = wire[n:]
		}
		sent <- err
	}()
	for i, e := range want {
		got, err := d.next(t.Context())
		if err != nil || !bytes.Equal(got, e) {
			t.Fatalf("event %d of %d bytes: %d bytes, %v", i, len(e), len(got), err)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if len(d.buf) != readBuffer {
		t.Errorf("%d bytes are kept", len(d.buf))
	}
}

func TestDumpRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		wire  []byte
		check func(error) bool
	}{
		"error of the server": {[]byte{9, 0, 0, 1, 0xff, 0xd4, 0x04, '#', 'H', 'Y', '0', '0', '0'}, func(err error) bool {
			me, ok := errors.AsType[*gomysql.MyError](err)
			return ok && me.Code == gomysql.ER_MASTER_FATAL_ERROR_READING_BINLOG
		}},
		"end of the dump":    {[]byte{5, 0, 0, 1, 0xfe, 0, 0, 0, 0}, func(err error) bool { return errors.Is(err, io.EOF) }},
		"packet out of turn": {[]byte{2, 0, 0, 2, 0, 0}, func(err error) bool { return errors.Is(err, errMalformed) }},
		"empty packet":       {[]byte{0, 0, 0, 1}, func(err error) bool { return errors.Is(err, errMalformed) }},
		"unknown packet":     {[]byte{1, 0, 0, 1, 7}, func(err error) bool { return errors.Is(err, errMalformed) }},
		"broken connection":  {[]byte{9, 0, 0, 1, 0}, func(err error) bool { return errors.Is(err, io.EOF) }},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			d := newDump(&client.Conn{Conn: packet.NewConn(ours)}, ours)
			defer d.close()
			sent := make(chan error, 1)
			go func() {
				_, err := theirs.Write(tt.wire)
				sent <- errors.Join(err, theirs.Close())
			}()
			if _, err := d.next(t.Context()); !tt.check(err) {
				t.Errorf("got %v", err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// The end of a context interrupts reading, and one that ended late doesn't interrupt
// the next; a silent server is given up.
func TestDumpContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, server := piped(t)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := d.next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the context's end: %v", err)
		}
		begun := time.Now()
		go func() {
			time.Sleep(20 * time.Second) // of the bubble's clock
			sequence := byte(1)
			_, _ = server.Write(framed([]byte{gomysql.OK_HEADER, 'x'}, &sequence))
		}()
		if got, err := d.next(t.Context()); err != nil || string(got) != "x" {
			t.Errorf("%q, %v", got, err)
		}
		if took := time.Since(begun); took != 20*time.Second {
			t.Errorf("it came after %s", took)
		}
		begun = time.Now()
		_, err := d.next(t.Context())
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
			t.Errorf("of a silent server: %v", err)
		}
		if took := time.Since(begun); took < silence-time.Second || took > silence {
			t.Errorf("given up after %s", took)
		}
	})
}
