package mysql

import (
	"encoding/binary"
	"fmt"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"
)

// plainAnswers has an answer's columns and rows end with an EOF packet, and a statement
// stand alone in its command.
func plainAnswers(c *client.Conn) error {
	c.UnsetCapability(gomysql.CLIENT_DEPRECATE_EOF | gomysql.CLIENT_QUERY_ATTRIBUTES)
	return nil
}

// answers runs statements as prepared ones and reads what they give, row by row, from the
// connection's own packets: numbers and times then come as such, which costs the server
// less than printing them, and no value is made of a column but the one that is kept.
// The connection must have been opened with plainAnswers. After an error, or before
// the last row, it is of no use any more.
type answers struct {
	frames
	c  *client.Conn
	id uint32 // of the statement
}

func newAnswers(c *client.Conn) *answers {
	return &answers{frames: newFrames(c.Conn.Conn), c: c} // with TLS that is the encrypted one
}

func (a *answers) send(command []byte) error {
	a.sequence = 1
	a.c.ResetSequence()
	return a.c.WritePacket(command)
}

// ask runs a statement and gives the wire types of its columns.
func (a *answers) ask(sql string) (types []byte, err error) {
	if err := a.send(append(command(gomysql.COM_STMT_PREPARE), sql...)); err != nil {
		return nil, err
	}
	p, err := a.first()
	if err != nil {
		return nil, err
	}
	if len(p) < 9 || p[0] != gomysql.OK_HEADER { // COM_STMT_PREPARE_OK
		return nil, fmt.Errorf("a prepared statement in %x: %w", p[:min(len(p), 20)], errMalformed)
	}
	a.id = binary.LittleEndian.Uint32(p[1:])
	columns, parameters := int(binary.LittleEndian.Uint16(p[5:])), int(binary.LittleEndian.Uint16(p[7:]))
	if parameters != 0 {
		return nil, fmt.Errorf("a statement with %d parameters: %w", parameters, errMalformed)
	}
	if _, err := a.columns(columns); err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32(command(gomysql.COM_STMT_EXECUTE), a.id)
	if err := a.send(append(b, 0, 1, 0, 0, 0)); err != nil { // no cursor, once
		return nil, err
	}
	if p, err = a.first(); err != nil {
		return nil, err
	}
	n, err := columnCount(p)
	if err != nil {
		return nil, err
	}
	return a.columns(n)
}

// first reads the packet that an answer begins with.
func (a *answers) first() ([]byte, error) {
	p, err := a.packet()
	if err == nil && len(p) == 0 {
		err = fmt.Errorf("empty packet: %w", errMalformed)
	}
	if err == nil && p[0] == gomysql.ERR_HEADER {
		err = serverError(p)
	}
	return p, err
}

// columnCount reads the head of an answer: a number of up to three bytes.
func columnCount(p []byte) (int, error) {
	switch {
	case len(p) == 1 && p[0] > 0 && p[0] < 251:
		return int(p[0]), nil
	case len(p) == 3 && p[0] == 252:
		return int(binary.LittleEndian.Uint16(p[1:])), nil
	}
	return 0, fmt.Errorf("an answer that begins with %x: %w", p[:min(len(p), 20)], errMalformed)
}

// columns reads so many definitions, and the packet behind them.
func (a *answers) columns(n int) (types []byte, err error) {
	for range n {
		p, err := a.first()
		if err != nil {
			return nil, err
		}
		typ, err := columnType(p)
		if err != nil {
			return nil, err
		}
		types = append(types, typ)
	}
	p, err := a.first()
	if err == nil && !isEOF(p) {
		err = fmt.Errorf("%x behind %d columns: %w", p[:min(len(p), 20)], n, errMalformed)
	}
	return types, err
}

// columnType gives the type of a definition, whose last 13 bytes have a fixed form
// (MySQL client/server protocol, "Column Definition").
func columnType(p []byte) (byte, error) {
	const tail = 1 + 2 + 4 + 1 + 2 + 1 + 2 // length of the rest, character set, length, type, flags, decimals, filler
	if len(p) < tail || p[len(p)-tail] != tail-1 {
		return 0, fmt.Errorf("a column's definition in %d bytes: %w", len(p), errMalformed)
	}
	return p[len(p)-6], nil
}

func isEOF(p []byte) bool { return len(p) < 9 && len(p) > 0 && p[0] == gomysql.EOF_HEADER }

// row returns the next row's bytes, valid until the next call. Behind the last row it
// returns nil, and the connection is free.
func (a *answers) row() ([]byte, error) {
	p, err := a.packet()
	switch {
	case err != nil:
		return nil, err
	case len(p) > 0 && p[0] == gomysql.OK_HEADER:
		return p, nil
	case isEOF(p):
		if err := a.send(binary.LittleEndian.AppendUint32(command(gomysql.COM_STMT_CLOSE), a.id)); err != nil { // it isn't answered
			return nil, err
		}
		return nil, nil
	}
	return nil, serverError(p)
}

// mostLeft is how many bytes of an answer are read for nothing so that the connection can
// stay: about what a new one costs.
const mostLeft = 1 << 20

// leave reads what is left of an answer. It reports false if that is too much.
func (a *answers) leave() (free bool, err error) {
	for n := 0; n < mostLeft; {
		b, err := a.row()
		if err != nil || b == nil {
			return err == nil, err
		}
		n += len(b)
	}
	return false, nil
}
