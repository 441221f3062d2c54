package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
)

// Oldest is the oldest server that can be read, as server_version_num: the first with
// publications.
const Oldest = 100000

// WALLevel is the wal_level without which there is no logical replication.
const WALLevel = "logical"

// Names gives the names of a source's slot and publication.
func Names(o Options) (slot, publication string, err error) {
	r, err := New(o)
	if err != nil {
		return "", "", err
	}
	return r.o.Slot, r.o.Publication, nil
}

// SessionSettings gives, as statements, how the readers' sessions differ from a server's
// usual ones.
func SessionSettings() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(formats)) {
		out = append(out, "SET "+name+" = '"+formats[name]+"'")
	}
	return out
}

// Session asks a reader's server for settings and catalogue. It is for one goroutine.
type Session struct {
	r    *Reader
	conn *pgx.Conn
}

// Open connects as the reader does, whatever the server's settings are. An error has
// the class that the reader would give it.
func Open(ctx context.Context, o Options) (*Session, error) {
	r, err := New(o)
	if err != nil {
		return nil, err
	}
	s := &Session{r: r}
	if s.conn, err = r.connect(ctx); err != nil {
		return nil, connection(r.where(), err)
	}
	return s, nil
}

// Rows gives a statement's rows as text; NULL is empty. what names the question in an
// error.
func (s *Session) Rows(ctx context.Context, what, sql string) ([][]string, error) {
	results, err := s.conn.PgConn().Exec(ctx, sql).ReadAll() // the simple protocol answers with text
	if err != nil {
		return nil, connection(what, err)
	}
	var out [][]string
	for _, res := range results {
		for _, row := range res.Rows {
			text := make([]string, len(row))
			for i, v := range row {
				text[i] = string(v)
			}
			out = append(out, text)
		}
	}
	return out, nil
}

// Replicates opens a replication connection, which the server's pg_hba.conf may refuse
// to a user who may connect otherwise, and closes it. It takes one of max_wal_senders
// for that moment.
func (s *Session) Replicates(ctx context.Context) error {
	c, err := s.r.replicate(ctx)
	if err != nil {
		return connection("open a replication connection", err)
	}
	if _, err = pglogrepl.IdentifySystem(ctx, c); err != nil {
		err = connection("identify the server", err)
	}
	_ = c.Close(ctx) // the server notices either way
	return err
}

// Slot and Publication are the names that the reader uses.
func (s *Session) Slot() string { return s.r.o.Slot }

// Publication is the name of the reader's publication.
func (s *Session) Publication() string { return s.r.o.Publication }

// Close ends the connection.
func (s *Session) Close(ctx context.Context) { _ = s.conn.Close(ctx) } // only read from

// where names the server in an error.
func (r *Reader) where() string {
	return fmt.Sprintf("connect to %s:%d/%s", r.o.Host, r.o.Port, r.o.Database)
}
