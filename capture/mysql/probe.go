package mysql

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// state is the reader's durable state. MariaDB has no identity of its own beyond
// a number that people choose, so the moment at which a file was made stands in
// for it.
type state struct {
	MariaDB  bool   `json:"mariadb,omitempty"`
	UUID     string `json:"server_uuid,omitempty"` // MySQL
	ServerID uint32 `json:"server_id"`
	Base     string `json:"base"` // of the files' names
	// Created is the time of the format description of the file that is being read.
	Created map[uint32]uint32 `json:"created"`
	GTIDs   string            `json:"gtids,omitempty"`
	LastID  string            `json:"last_id,omitempty"` // of the last transaction
	// At is the place up to which GTIDs are known: the state may be older than where reading
	// goes on, and transactions without a row for us have no name elsewhere.
	At    event.Place `json:"at,omitzero"`
	Epoch uint32      `json:"epoch"`
	// Joining says that the server is another than before, and that no transaction has come
	// from it yet: where its log goes on only the GTIDs tell.
	Joining bool              `json:"joining,omitempty"`
	Stopped []event.TableStop `json:"stopped,omitempty"`
	// Gone are the columns that tables have lost, by "database.table", in lower case; those
	// of another table that had the name before are anyColumn. What was lost in a gap is told by
	// the log's versions, see unseen.
	Gone map[string][]string `json:"gone,omitempty"`
	// Filled are the tables whose rows have got defaults of the catalogue, each with the
	// log's end when that was read, until reading has passed it.
	Filled map[string]event.Place `json:"filled,omitempty"`
	Added  []string               `json:"added,omitempty"` // tables beside those of the patterns
	// Sequences are names of the patterns that are left out; nil if nobody has looked.
	Sequences []string `json:"sequences"`
	// Patterns are the patterns, by four bytes each: there may be one per table.
	Patterns []byte `json:"patterns,omitempty"`
	// Defined are the definitions of tables that the log doesn't describe, see definitions.pack.
	Defined []byte `json:"defined,omitempty"`
}

func (s *state) stopOf(table string) *event.TableStop {
	for i := range s.Stopped {
		if s.Stopped[i].Table == table {
			return &s.Stopped[i]
		}
	}
	return nil
}

// fileName gives a file's name. Nearly all questions are about the same one.
func (r *Reader) fileName(n uint32) string {
	if r.named.n != n || r.named.base != r.state.Base {
		r.named = named{base: r.state.Base, n: n, name: fmt.Sprintf("%s.%06d", r.state.Base, n)}
	}
	return r.named.name
}

// named is a file's name with its parts.
type named struct {
	base string
	n    uint32
	name string
}

// parseFile cuts a file's name into base and number.
func parseFile(name string) (base string, n uint32, err error) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return "", 0, fmt.Errorf("binary log file %q: %w", name, errMalformed)
	}
	v, err := strconv.ParseUint(name[dot+1:], 10, 32)
	if err != nil || v == 0 {
		return "", 0, fmt.Errorf("binary log file %q: %w", name, errMalformed)
	}
	return name[:dot], uint32(v), nil
}

// connection gives an error of the server or the network its class.
func connection(what string, err error) error {
	if e, ok := errors.AsType[*peer.Error](err); ok {
		return fmt.Errorf("%s: %w: %w", what, capture.ErrAccess, e)
	}
	var me *gomysql.MyError
	if !errors.As(err, &me) {
		return fmt.Errorf("%s: %w: %w", what, capture.ErrConnection, err)
	}
	switch me.Code {
	case gomysql.ER_ACCESS_DENIED_ERROR, gomysql.ER_DBACCESS_DENIED_ERROR, gomysql.ER_HOST_NOT_PRIVILEGED:
		return &capture.Coded{Code: "MYSQL_LOGIN", Hint: "check user and password of the source, and from which host the user may come",
			Err: fmt.Errorf("%s: %w: %w", what, capture.ErrAccess, err)}
	case gomysql.ER_SPECIFIC_ACCESS_DENIED_ERROR, gomysql.ER_TABLEACCESS_DENIED_ERROR:
		return missingGrant(what, err)
	case gomysql.ER_MAX_PREPARED_STMT_COUNT_REACHED:
		return &capture.Coded{Code: "MYSQL_PREPARED", Hint: "raise max_prepared_stmt_count, or find who leaves prepared statements open (Prepared_stmt_count)",
			Err: fmt.Errorf("%s: %w: %w", what, capture.ErrSettings, err)}
	}
	return fmt.Errorf("%s: %w: %w", what, capture.ErrConnection, err)
}

func missingGrant(what string, err error) error {
	return &capture.Coded{Code: "MYSQL_GRANT", Hint: "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the capture user; GRANT SELECT ON the captured databases (MariaDB 10.5 and newer: BINLOG MONITOR, REPLICATION SLAVE)",
		Err: fmt.Errorf("%s: %w: %w", what, capture.ErrAccess, err)}
}

// query runs a statement and gives its rows as text; NULL is empty.
func (r *Reader) query(what, sql string, args ...any) ([][]string, error) {
	res, err := r.sql.Execute(sql, args...)
	if err != nil {
		return nil, connection(what, err)
	}
	defer res.Close()
	if res.Resultset == nil {
		return nil, nil
	}
	rows := make([][]string, res.RowNumber())
	for i := range rows {
		for c := range res.ColumnNumber() {
			v, err := res.GetString(i, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", what, err)
			}
			rows[i] = append(rows[i], strings.Clone(v)) // the driver uses its memory again
		}
	}
	return rows, nil
}

// variable reads a global variable; found is false where the server has none of the name.
func (r *Reader) variable(name string) (value string, found bool, err error) {
	rows, err := r.query("read the variable "+name, "SHOW GLOBAL VARIABLES LIKE '"+name+"'")
	if err != nil || len(rows) == 0 || len(rows[0]) < 2 {
		return "", false, err
	}
	return rows[0][1], true, nil
}

// probe asks what the server is and whether its settings allow capture.
func (r *Reader) probe() error {
	if _, err := r.query("set the session", "SET SESSION time_zone = '+00:00'"); err != nil {
		return err
	}
	if _, err := r.query("set the session", "SET NAMES utf8mb4"); err != nil {
		return err
	}
	rows, err := r.query("read the version", "SELECT VERSION()")
	if err != nil {
		return err
	}
	r.mariadb = strings.Contains(rows[0][0], "MariaDB")
	var major, minor, patch int
	if _, err := fmt.Sscanf(rows[0][0], "%d.%d.%d", &major, &minor, &patch); err != nil {
		return fmt.Errorf("version %q: %w", rows[0][0], err)
	}
	r.version = major*10000 + minor*100 + patch
	r.doubtful = r.mariadb && VirtualDoubtful(major, minor)
	for _, want := range Required {
		got, found, err := r.variable(want.Name)
		if err != nil {
			return err
		}
		if found && !strings.EqualFold(got, want.Value) {
			return &capture.Coded{Code: want.Code, Hint: want.Hint, Err: fmt.Errorf("%s is %s, wanted %s: %w", want.Name, got, want.Value, capture.ErrSettings)}
		}
	}
	names, _, err := r.variable("lower_case_table_names")
	if err != nil {
		return err
	}
	if names == CaseFixed {
		return &capture.Coded{Code: "MYSQL_TABLE_CASE", Hint: "lower_case_table_names is fixed when the server's data folder is made; 0 and 1 can be captured",
			Err: fmt.Errorf("lower_case_table_names is 2, so a statement in the log may name a table in another case: %w", capture.ErrSettings)}
	}
	r.caseless = names == "1"
	return r.readCollations()
}

func (r *Reader) readCollations() error {
	r.collations = map[uint64]string{}
	sql := "SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID IS NOT NULL AND CHARACTER_SET_NAME IS NOT NULL"
	if r.mariadb { // from 10.10 on the view's names are short and this one has all ids
		if rows, err := r.query("look for collations", "SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = 'COLLATION_CHARACTER_SET_APPLICABILITY' AND COLUMN_NAME = 'ID'"); err != nil {
			return err
		} else if len(rows) > 0 {
			sql = "SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID IS NOT NULL"
		}
	}
	rows, err := r.query("read the collations", sql)
	if err != nil {
		return err
	}
	for _, row := range rows {
		id, err := strconv.ParseUint(row[0], 10, 64)
		if err != nil {
			return fmt.Errorf("collation %q: %w", row[0], err)
		}
		r.collations[id] = row[1]
	}
	return nil
}

// list reads which captured tables exist.
func (r *Reader) list() error {
	rows, err := r.query("list tables", "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')")
	if err != nil {
		return err
	}
	r.known = map[string]bool{}
	for _, row := range rows {
		if name := row[0] + "." + row[1]; r.wanted(name) {
			r.known[name] = true
		}
	}
	if len(r.known) == 0 {
		return &capture.Coded{Code: "MYSQL_NO_TABLE", Hint: "check the table patterns of the source, and GRANT SELECT on its database to the capture user",
			Err: fmt.Errorf("%w %v: %w", errNoTable, r.o.Tables, capture.ErrSettings)}
	}
	return nil
}

var errNoTable = errors.New("no table matches")

// end gives where the server's log ends, and the GTIDs up to there.
func (r *Reader) end() (event.Place, string, error) {
	var rows [][]string
	var err error
	for _, sql := range []string{"SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"} { // MySQL 8.4 and newer know only the first
		var me *gomysql.MyError
		if rows, err = r.query("read the end of the binary log", sql); !errors.As(err, &me) || me.Code != gomysql.ER_PARSE_ERROR {
			break
		}
	}
	if err != nil {
		return event.Place{}, "", err
	}
	if len(rows) == 0 {
		return event.Place{}, "", &capture.Coded{Code: "MYSQL_LOG_BIN", Hint: "set log_bin in the server's configuration and restart it", Err: fmt.Errorf("the server writes no binary log: %w", capture.ErrSettings)}
	}
	base, n, err := parseFile(rows[0][0])
	if err != nil {
		return event.Place{}, "", err
	}
	offset, err := strconv.ParseUint(rows[0][1], 10, 64)
	if err != nil {
		return event.Place{}, "", fmt.Errorf("end of the binary log %q: %w", rows[0][1], err)
	}
	r.state.Base = base
	gtids := ""
	if r.mariadb {
		gtids, _, err = r.variable("gtid_binlog_pos")
	} else if len(rows[0]) > 4 {
		gtids = strings.ReplaceAll(rows[0][4], "\n", "")
	}
	return event.Place{File: n, Offset: offset}, gtids, err
}

// identity fills what tells servers apart.
func (r *Reader) identity(s *state) error {
	s.MariaDB = r.mariadb
	var err error
	if !r.mariadb {
		if s.UUID, _, err = r.variable("server_uuid"); err != nil {
			return err
		}
	}
	id, _, err := r.variable("server_id")
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return fmt.Errorf("server_id %q: %w", id, err)
	}
	s.ServerID = uint32(n)
	return nil
}

func (r *Reader) first() error {
	r.state = state{Epoch: uint32(time.Now().Unix())}
	if err := r.identity(&r.state); err != nil {
		return err
	}
	if err := r.defineAll(); err != nil {
		return err
	}
	place, gtids, err := r.end()
	if err != nil {
		return err
	}
	r.at, r.last, r.met = place, event.Position{}, place
	if err := r.list(); err != nil && !errors.Is(err, errNoTable) { // what was made before is in no log that is read
		return err
	}
	if err := r.listSequences(); err != nil {
		return err
	}
	if !r.mariadb {
		if r.owned, err = r.ownedGTIDs(); err != nil {
			return err
		}
	}
	if err := r.confirm(); err != nil {
		return err
	}
	return r.parseGTIDs(gtids)
}

// repair begins anew at the server's present end, whatever server it is. What was added
// stays so.
func (r *Reader) repair(res capture.Resume) error {
	var old state
	if res.State != nil {
		if err := json.Unmarshal(res.State, &old); err != nil {
			return fmt.Errorf("read the reader's state: %w", err)
		}
	}
	if err := r.first(); err != nil {
		return err
	}
	r.state.Epoch, r.state.Added = capture.NextEpoch(old.Epoch, res.Last.Epoch), old.Added
	return r.unseen(res.Had)
}

// unseen notes the columns that tables may have lost without anybody seeing it: those that
// they have had in the log, and haven't now. What the log never had no store has.
func (r *Reader) unseen(had map[string][]string) error {
	if len(had) == 0 { // the log may have been made anew, beside a store that wasn't
		r.lost(anyTable, anyColumn)
		return nil
	}
	told := map[string]bool{}
	for table, columns := range had {
		name := r.fold(table)
		if told[name] = true; !r.wanted(name) {
			continue
		}
		database, in, _ := strings.Cut(name, ".")
		now, err := r.infos(database, in)
		if err != nil {
			return err
		}
		for _, c := range columns {
			if !slices.ContainsFunc(now, func(i info) bool { return strings.EqualFold(i.name, c) }) {
				r.lost(name, strings.ToLower(c))
			}
		}
	}
	for name := range r.known {
		if !told[name] {
			r.lost(name, anyColumn)
		}
	}
	return nil
}

// ownedGTIDs names the transactions that have a GTID and can't be seen yet (MySQL manual,
// gtid_owned). The server prints uuid:number#thread:number#thread, uuid:….
func (r *Reader) ownedGTIDs() ([]string, error) {
	rows, err := r.query("read the GTIDs in use", "SELECT @@GLOBAL.gtid_owned")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, part := range strings.Split(rows[0][0], ",") {
		names := strings.Split(strings.TrimSpace(part), ":")
		for _, n := range names[1:] {
			number, _, _ := strings.Cut(n, "#")
			out = append(out, names[0]+":"+number)
		}
	}
	return out, nil
}

func (r *Reader) parseGTIDs(text string) error {
	r.gtids = nil
	if text == "" {
		return nil
	}
	var err error
	if r.gtids, err = gomysql.ParseGTIDSet(r.flavor(), text); err != nil {
		return fmt.Errorf("GTID set %q: %w", text, err)
	}
	return nil
}

// resume proves that this server's log holds what comes after res, as far as
// that can be seen before reading.
func (r *Reader) resume(res capture.Resume) error {
	r.state = state{}
	if err := json.Unmarshal(res.State, &r.state); err != nil {
		return fmt.Errorf("read the reader's state: %w", err)
	}
	gap := func(code, format string, args ...any) error {
		return &capture.GapError{Code: code, Reason: fmt.Sprintf(format, args...), From: res.Last}
	}
	var err error
	if r.defs, err = unpack(r.state.Defined); err != nil {
		return err
	}
	if r.state.Sequences == nil { // the state of an older version
		if err := r.listSequences(); err != nil {
			return err
		}
	}
	now, base := state{}, r.state.Base
	if err := r.identity(&now); err != nil {
		return err
	}
	if now.MariaDB != r.state.MariaDB || now.UUID != r.state.UUID || now.ServerID != r.state.ServerID {
		if now.MariaDB != r.state.MariaDB || r.state.GTIDs == "" && len(res.Since) == 0 {
			return gap("OTHER_SERVER", "the server is %q with server_id %d, was %q with %d, and no GTIDs tell what it has", now.UUID, now.ServerID, r.state.UUID, r.state.ServerID)
		}
		return r.join(res, &now, gap)
	}
	end, executed, err := r.end()
	if err != nil {
		return err
	}
	r.met = end
	if r.state.Base != base {
		return gap("OTHER_SERVER", "binary log files are named %s, were %s", r.state.Base, base)
	}
	if end.Compare(res.Restart) < 0 {
		return gap("LOG_RESET", "the binary log ends at %s, before %s", end, res.Restart)
	}
	files, err := r.query("list binary logs", "SHOW BINARY LOGS")
	if err != nil {
		return err
	}
	var there, lastThere bool
	for _, f := range files {
		_, n, err := parseFile(f[0])
		if err != nil {
			return err
		}
		there = there || n == res.Restart.File
		lastThere = lastThere || n == res.Last.File
	}
	if !there {
		return gap("BINLOG_PURGED", "%s is gone, the oldest file is %s", r.fileName(res.Restart.File), files[0][0])
	}
	if err := r.read(res); err != nil {
		return err
	}
	if err := r.executed(executed, gap); err != nil {
		return err
	}
	r.at, r.reached, r.last = res.Restart, res.Restart, res.Last
	if lastThere && res.Last.File != 0 && res.Last.Epoch == r.state.Epoch { // begin where the last transaction must be found again
		r.at = res.Last.Place
	}
	if r.defs.tables == nil {
		return r.defineAll()
	}
	return nil
}

func (r *Reader) flavor() string {
	if r.mariadb {
		return gomysql.MariaDBFlavor
	}
	return gomysql.MySQLFlavor
}
