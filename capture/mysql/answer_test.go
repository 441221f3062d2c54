package mysql

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/packet"
)

var (
	preparedOne = []byte{0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	columnOne   = append([]byte("\x03def\x00\x00\x00\x01a\x00"), 12, 45, 0, 1, 0, 0, 0, gomysql.MYSQL_TYPE_LONG, 0, 0, 0, 0, 0)
	endOfPart   = []byte{0xfe, 0, 0, 2, 0}
	rowOne      = []byte{0, 0, 5, 0, 0, 0}
	failure     = []byte("\xff\x25\x05#70100Query execution was interrupted")
)

// packets gives packets in frames.
func packets(list ...[]byte) (out []byte) {
	sequence := byte(1)
	for _, p := range list {
		out = append(out, framed(p, &sequence)...)
	}
	return out
}

// asked runs a statement on a connection on which these bytes come, and gives the rows and
// what was sent.
func asked(t testing.TB, wire []byte) (types []byte, rows [][]byte, sent []byte, err error) {
	t.Helper()
	conn := &scripted{recorded: recorded{wire: wire}}
	a := newAnswers(&client.Conn{Conn: packet.NewConn(conn)})
	if types, err = a.ask("SELECT 1"); err != nil {
		return nil, nil, conn.sent, err
	}
	for {
		b, err := a.row()
		if err != nil || b == nil {
			return types, rows, conn.sent, err
		}
		rows = append(rows, bytes.Clone(b))
	}
}

// scripted is a connection that also keeps what is sent.
type scripted struct {
	recorded
	sent []byte
}

func (s *scripted) Write(p []byte) (int, error) {
	s.sent = append(s.sent, p...)
	return len(p), nil
}

func TestAnswer(t *testing.T) {
	prepared := packets(preparedOne, columnOne, endOfPart)
	executed := func(list ...[]byte) []byte {
		return append(prepared[:len(prepared):len(prepared)], packets(list...)...)
	}
	answer := func(list ...[]byte) []byte { return executed(append([][]byte{{1}, columnOne, endOfPart}, list...)...) }
	large := append([]byte{0, 0}, bytes.Repeat([]byte{'x'}, 2*fullFrame)...)
	for name, tt := range map[string]struct {
		wire      []byte
		rows      [][]byte
		code      uint16 // of the server's error
		malformed bool
	}{
		"rows":                      {wire: answer(rowOne, rowOne, endOfPart), rows: [][]byte{rowOne, rowOne}},
		"a row of three frames":     {wire: answer(large, rowOne, endOfPart), rows: [][]byte{large, rowOne}},
		"no rows":                   {wire: answer(endOfPart)},
		"can't be prepared":         {wire: packets(failure), code: 1317},
		"can't be executed":         {wire: executed(failure), code: 1317},
		"error among the columns":   {wire: executed([]byte{1}, failure), code: 1317},
		"error behind a row":        {wire: answer(rowOne, failure), rows: [][]byte{rowOne}, code: 1317},
		"no rows but an OK":         {wire: executed([]byte{0, 0, 0, 2, 0, 0, 0}), malformed: true},
		"local file":                {wire: executed([]byte{0xfb, 'a'}), malformed: true},
		"parameters":                {wire: packets([]byte{0, 7, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0}), malformed: true},
		"prepared in too few bytes": {wire: packets([]byte{0, 7, 0}), malformed: true},
		"empty packet":              {wire: packets(nil), malformed: true},
		"empty row":                 {wire: answer(nil), malformed: true},
		"row of another beginning":  {wire: answer([]byte{3, 0}), malformed: true},
		"column in too few bytes":   {wire: executed([]byte{1}, columnOne[15:]), malformed: true},
		"column of another form":    {wire: executed([]byte{1}, make([]byte, 20)), malformed: true},
		"more columns than it says": {wire: executed([]byte{1}, columnOne, columnOne), malformed: true},
		"error in too few bytes":    {wire: answer([]byte{0xff, 1}), malformed: true},
		"packet out of turn":        {wire: append(prepared[:len(prepared):len(prepared)], framed([]byte{1}, new(byte))...), malformed: true},
	} {
		t.Run(name, func(t *testing.T) {
			types, rows, sent, err := asked(t, tt.wire)
			me, _ := errors.AsType[*gomysql.MyError](err)
			switch {
			case tt.code != 0:
				if me == nil || me.Code != tt.code || me.State != "70100" || me.Message != "Query execution was interrupted" {
					t.Errorf("got %v, want error %d of the server", err, tt.code)
				}
			case tt.malformed:
				if !errors.Is(err, errMalformed) {
					t.Errorf("got %v, want it malformed", err)
				}
			case err != nil || !bytes.Equal(types, []byte{gomysql.MYSQL_TYPE_LONG}):
				t.Errorf("types %v, %v", types, err)
			default:
				want := []byte("\x09\x00\x00\x00\x16SELECT 1" + "\x0a\x00\x00\x00\x17\x07\x00\x00\x00\x00\x01\x00\x00\x00" + "\x05\x00\x00\x00\x19\x07\x00\x00\x00")
				if !bytes.Equal(sent, want) {
					t.Errorf("sent %x, want %x", sent, want)
				}
				for n := range min(len(tt.wire), 200) { // what breaks off isn't the end
					if _, _, _, err := asked(t, tt.wire[:n]); err == nil {
						t.Errorf("no error after %d of %d bytes", n, len(tt.wire))
					}
				}
			}
			if !slices.EqualFunc(rows, tt.rows, bytes.Equal) {
				t.Errorf("%d rows, want %d, or others", len(rows), len(tt.rows))
			}
		})
	}
}

// TestAnswerLeft: the rest of a full chunk's answer is read if it is short.
func TestAnswerLeft(t *testing.T) {
	for rows, want := range map[int]bool{0: true, 5: true, 20: false} {
		list := [][]byte{preparedOne, columnOne, endOfPart}
		wire := packets(list...)
		list = [][]byte{{1}, columnOne, endOfPart}
		for range rows {
			list = append(list, make([]byte, mostLeft/10))
		}
		conn := &scripted{recorded: recorded{wire: append(wire, packets(append(list, endOfPart)...)...)}}
		a := newAnswers(&client.Conn{Conn: packet.NewConn(conn)})
		if _, err := a.ask("SELECT 1"); err != nil {
			t.Fatal(err)
		}
		if free, err := a.leave(); free != want || err != nil {
			t.Errorf("%d rows are left: free %t, %v", rows, free, err)
		}
	}
}

// FuzzAnswers: whatever a server sends, reading it ends without a panic.
func FuzzAnswers(f *testing.F) {
	f.Add(append(packets(preparedOne, columnOne, endOfPart), packets([]byte{1}, columnOne, endOfPart, rowOne, endOfPart)...))
	f.Add(append(packets(preparedOne, columnOne, endOfPart), packets([]byte{1}, columnOne, endOfPart, rowOne, failure)...))
	f.Add(packets(failure))
	f.Fuzz(func(t *testing.T, wire []byte) {
		if types, _, _, err := asked(t, wire); err == nil && len(types) == 0 {
			t.Error("an answer without columns")
		}
	})
}
