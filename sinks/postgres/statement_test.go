package postgres_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// overheard is a way to a server that keeps the texts of all statements that pass.
type overheard struct {
	mu    sync.Mutex
	texts map[string]bool
}

func (o *overheard) all() map[string]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.texts)
}

// message takes a message of a client (PostgreSQL manual, "Message Formats"): Query, or Parse,
// whose text follows the statement's name.
func (o *overheard) message(kind byte, body []byte) {
	if kind == 'P' {
		_, body, _ = bytes.Cut(body, []byte{0})
	} else if kind != 'Q' {
		return
	}
	text, _, _ := bytes.Cut(body, []byte{0})
	o.mu.Lock()
	defer o.mu.Unlock()
	o.texts[string(text)] = true
}

// messages reads what a client sends to its end.
func (o *overheard) messages(r io.Reader) error {
	var head [8]byte
	for version := uint32(0); version != 3<<16; { // requests of encryption come before
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		version = binary.BigEndian.Uint32(head[4:])
		if _, err := io.CopyN(io.Discard, r, int64(binary.BigEndian.Uint32(head[:]))-8); err != nil {
			return err
		}
	}
	for {
		if _, err := io.ReadFull(r, head[:5]); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		o.message(head[0], body)
	}
}

// overhear listens for clients of a server, and gives the port.
func overhear(t *testing.T, db servers.DB) (*overheard, uint16) {
	t.Helper()
	o := &overheard{texts: map[string]bool{}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var g sync.WaitGroup
	t.Cleanup(func() { _ = ln.Close(); g.Wait() })
	g.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return // closed
			}
			server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", db.Port))
			if err != nil {
				t.Error(err)
				_ = client.Close()
				return
			}
			g.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
			g.Go(func() {
				if err := o.messages(io.TeeReader(client, server)); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				_ = server.Close()
			})
		}
	})
	return o, uint16(ln.Addr().(*net.TCPAddr).Port)
}

// TestStatementsAreConstant: a store's statements have one text each, whatever values and
// however many rows they carry, so that no cache of statements, its own or the server's, is flooded.
func TestStatementsAreConstant(t *testing.T) {
	b := &bench{db: servers.Postgres(t, nil)}
	_, c := b.fresh(t)
	o, port := overhear(t, b.db)
	s, err := postgres.New(postgres.Options{Host: "127.0.0.1", Port: port, Database: c.Config().Database, User: b.db.User, Password: b.db.Password})
	if err != nil {
		t.Fatal(err)
	}
	table := named("330106-a")
	w := newSources(t, s, table)
	round := func(n int) {
		mark := fmt.Sprintf("mark%d", n)
		for _, rows := range []int64{1 + int64(n%7), 150 + int64(n)} { // by statements, and by COPY
			w.apply(inserted(table, rows, mark))
			w.apply(updated(table, rows, mark, event.Raw([]byte(mark))))
			w.apply(updated(table, rows, mark, event.Value{}))
			w.apply(deleted(table, rows))
		}
	}
	round(0)
	before := o.all()
	for n := 1; n <= 10; n++ {
		round(n)
	}
	for text := range o.all() {
		if !before[text] || strings.Contains(text, "mark") {
			t.Errorf("a statement that is new, or has a value: %.300s", text)
		}
	}
	if len(before) < 10 {
		t.Errorf("only %d statements passed: %q", len(before), slices.Sorted(maps.Keys(before)))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
