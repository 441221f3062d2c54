package worker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tributary-cdc/tributary/stream/event"
)

// spool bounds what a partition's waiting transactions hold in memory: beyond the
// limit the rows of the source that has most of them go to a file. It is a cache;
// the log has the truth.
type spool struct {
	dir   string
	limit int64
	held  int64 // bytes in memory
}

// changeCost is what a change takes in memory beside its value, in bytes.
const changeCost = 40

func (c *change) size() int64 { return changeCost + int64(len(c.value)) }

// spoolPattern names the files of a spool for the moment in which they have a name.
const spoolPattern = "tributary-spool-*"

// CleanSpool makes the folder of spool files, for its owner only, and removes what
// an earlier worker left there.
func CleanSpool(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("spool folder: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, spoolPattern))
	if err != nil {
		return fmt.Errorf("spool folder %s: %w", dir, err)
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("spool folder %s: %w", dir, err)
		}
	}
	return nil
}

// spoolFile holds the rows of some transactions of one source. The last of them may
// still be growing; the others are only read.
type spoolFile struct {
	f    *os.File
	w    *bufio.Writer
	size int64
	refs int
	name string // empty once the folder has forgotten it
}

// create makes a file and takes its name away at once: rows of people don't stay
// behind, however the worker ends. Where a file that is open can't lose its name, it
// loses it when it is closed.
func (s *spool) create() (*spoolFile, error) {
	f, err := os.CreateTemp(s.dir, spoolPattern)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	out := &spoolFile{f: f, w: bufio.NewWriterSize(f, 64<<10)}
	if os.Remove(f.Name()) != nil {
		out.name = f.Name()
	}
	return out, nil
}

func (f *spoolFile) write(c *change) error {
	var head [9]byte
	binary.BigEndian.PutUint32(head[:], c.schemaID)
	head[4] = byte(c.kind)
	binary.BigEndian.PutUint32(head[5:], uint32(len(c.value)))
	_, err := f.w.Write(head[:])
	if err == nil {
		_, err = f.w.Write(c.value)
	}
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	f.size += int64(len(head) + len(c.value))
	return nil
}

// release gives up one transaction's hold; with the last one the file goes.
func (f *spoolFile) release() error {
	if f.refs--; f.refs > 0 {
		return nil
	}
	err := f.f.Close()
	if f.name != "" {
		err = errors.Join(err, os.Remove(f.name))
	}
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// extent is a transaction's place in a file.
type extent struct {
	file     *spoolFile
	from, to int64
}

// add takes one more change of a transaction.
func (t *txn) add(c change) error {
	if c.kind.counts() {
		t.rows++
	} else {
		t.checks++
	}
	t.size += c.size()
	if n := len(t.ids); c.kind != noteChange && (n == 0 || t.ids[n-1] != c.schemaID) {
		t.use(c.schemaID)
	}
	if t.disk == nil {
		t.changes = append(t.changes, c)
		return nil
	}
	err := t.disk.file.write(&c)
	t.disk.to = t.disk.file.size
	return err
}

// use notes a schema id, once, the newest one last.
func (t *txn) use(id uint32) {
	for i, known := range t.ids {
		if known == id {
			last := len(t.ids) - 1
			copy(t.ids[i:], t.ids[i+1:]) // the order is that of the last use
			t.ids[last] = id
			return
		}
	}
	t.ids = append(t.ids, id)
}

// move brings a transaction's rows to a file.
func (t *txn) move(f *spoolFile) error {
	f.refs++
	t.disk = &extent{file: f, from: f.size, to: f.size}
	for i := range t.changes {
		if err := f.write(&t.changes[i]); err != nil {
			return err
		}
	}
	t.disk.to, t.changes = f.size, nil
	return nil
}

// drop forgets a transaction's rows.
func (t *txn) drop() error {
	d := t.disk
	t.changes, t.disk = nil, nil
	if d == nil {
		return nil
	}
	return d.file.release()
}

// cursor reads a transaction's changes in order, from wherever they are.
type cursor struct {
	changes []change
	order   int // of the next row or truncate record
	left    int
	r       *bufio.Reader // nil: they are in memory
}

// read begins at the first change of a complete transaction.
func (t *txn) read() *cursor {
	out := &cursor{changes: t.changes, left: t.rows + t.checks}
	if d := t.disk; d != nil {
		out.r = bufio.NewReaderSize(io.NewSectionReader(d.file.f, d.from, d.to-d.from), 128<<10)
	}
	return out
}

// relieve brings a source's rows to a file: what waits, and what is still growing.
func (s *spool) relieve(f *flow) (err error) {
	file, err := s.create()
	if err != nil {
		return err
	}
	file.refs++ // until all are there, or it has failed
	defer func() { err = errors.Join(err, file.release()) }()
	for _, t := range f.queue {
		if t.disk == nil && t.rows+t.checks > 0 {
			if err := t.move(file); err != nil {
				return err
			}
		}
	}
	if f.part != nil && f.part.disk == nil {
		if err := f.part.move(file); err != nil {
			return err
		}
	}
	s.held -= f.held
	f.held = 0
	return file.flush()
}

// flush makes what was written readable.
func (f *spoolFile) flush() error {
	if err := f.w.Flush(); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// next gives the next change, false after the last one. What comes from a file is
// valid until values is reset.
func (r *cursor) next(values *event.Arena) (c change, ok bool, err error) {
	if r.left == 0 {
		return c, false, nil
	}
	r.left--
	if r.r == nil {
		c = r.changes[0]
		r.changes = r.changes[1:]
		return r.number(c), true, nil
	}
	var head [9]byte
	if _, err = io.ReadFull(r.r, head[:]); err == nil {
		c.schemaID, c.kind = binary.BigEndian.Uint32(head[:]), changeKind(head[4])
		if c.kind != truncateChange {
			c.value = values.Take(int(binary.BigEndian.Uint32(head[5:])))
			_, err = io.ReadFull(r.r, c.value)
		}
	}
	if err != nil {
		return c, false, fmt.Errorf("spool: read again: %w", err)
	}
	return r.number(c), true, nil
}

// number gives a change its place in the transaction.
func (r *cursor) number(c change) change {
	c.order = r.order
	if c.kind.counts() {
		r.order++
	}
	return c
}
