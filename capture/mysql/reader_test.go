package mysql_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

func TestReader(t *testing.T) {
	each(t, func(t *testing.T, start servers.Starter) {
		db := start(t, nil)
		db.Part(t, servers.Parts[0])
		testReader(t, db)
		// Not on the emulated 5.7, whose places aren't those of SHOW BINLOG EVENTS.
		t.Run("attack 22, restart within another log", func(t *testing.T) { testOtherEvents(t, newRig(t, db, "another_log")) })
	})
}

// each runs f on each release of MariaDB and MySQL.
func each(t *testing.T, f func(*testing.T, servers.Starter)) {
	servers.Each(t, "MariaDB", f)
	servers.Each(t, "MySQL", f)
}

// testReader runs the reader's rules against one real server, each in a database
// of its own.
func testReader(t *testing.T, db servers.DB) {
	n := 0
	for name, f := range map[string]func(*testing.T, *rig){
		"values":                      testValues,
		"values without metadata":     bare(testValues),
		"server in another time zone": testTimeZone,
		"character sets":              testCharsets,
		"attack 1, held commits":      testAttack1,
		"load while rows are written": testRaces,
		"keys":                        testKeys,
		"chunks of any size":          testSizes,
		"a table is added":            testAdd,
		"added over a held commit":    testAddHeld,
		"added for good":              testAddedStays,
		"parts of tables":             testRange,
		"room in the log":             testRoom,
		"large transaction in parts":  testParts,
		"rollback and savepoint":      testRollback,
		"table without transactions":  testMyISAM,
		"minimal images":              testMinimal,
		"minimal inserts":             testMinimalInsert,
		"a default of later":          testLaterDefault,
		"virtual columns":             testVirtual,
		"compressed in zlib's frame":  testZlibFrames,
		"fractions of before 10.1":    testOldFractions,
		"compressed events":           testCompressed,
		"idle":                        testIdle,
		"table without key": func(t *testing.T, g *rig) {
			testStopped(t, g, "id int", "VALUES (1)", "TABLE_NO_KEY", "ADD PRIMARY KEY")
		},
		"append mode":                   testAppend,
		"other keys than a primary one": testOtherKeys,
		"key of the configuration":      testConfiguredKey,
		"keys that are refused":         testKeylessRefused,
		"unsupported type": func(t *testing.T, g *rig) {
			testStopped(t, g, "id int PRIMARY KEY, p varchar(9) CHARACTER SET sjis", "(id) VALUES (1)", "TYPE_UNSUPPORTED", `column "p"`)
		},
		"table changed":               testChanged,
		"statements without effect":   testHarmless,
		"table changed while away":    testChangedAway,
		"columns lost in a gap":       testLostInAGap,
		"truncate":                    testTruncate,
		"statement in the log":        testStatement,
		"tables come and go":          testTables,
		"a stopped table again":       testRestartTable,
		"restart":                     testRestart,
		"restart knows what was read": testRestartKnows,
		"more and fewer patterns":     testPatterns,
		"restart after an idle one":   testRestartIdle,
		"restart over rotated files":  testRotated,
		"function in the log":         testFunction,
		"no first start":              testNoFirstStart,
		"no state":                    testNoState,
		"table changed, bare":         bare(testChanged),
		"columns lost, bare":          bare(testLostInAGap),
		"sequences":                   testSequences,
		"sequences, bare":             bare(testSequences),
		"periods, bare":               bare(testPeriods),
		"changed while away, bare":    bare(testChangedAway),
		"come and go, bare":           bare(testTables),
		"followed statements":         bare(testFollowed),
		"followed over restarts":      bare(testFollowedAway),
		"servers' own statements":     bare(testServersOwn),
		"the catalogue is asked":      bare(testAsked),
		"DDL while it starts":         testFirstMoment,
		"DDL while it starts, bare":   bare(testFirstMoment),
		"definitions by statements":   testDefinitions,
		"wrong password": func(t *testing.T, g *rig) {
			g.o.Password = "not-the-password-8Jx"
			g.refuses("MYSQL_LOGIN", "Access denied")
		},
		"no table matches": func(t *testing.T, g *rig) {
			g.o.Tables = []string{"nothing.*"}
			g.refuses("MYSQL_NO_TABLE", "nothing.*")
		},
		"missing grants":             func(t *testing.T, g *rig) { testMissingGrant(t, g, "SELECT") },
		"missing REPLICATION SLAVE":  func(t *testing.T, g *rig) { testMissingGrant(t, g, "SELECT, REPLICATION CLIENT") },
		"a new file":                 testNewFile,
		"missing REPLICATION CLIENT": func(t *testing.T, g *rig) { testMissingGrant(t, g, "SELECT, REPLICATION SLAVE") },
		"binlog_format":              testBinlogFormat,
		"lost events":                testIncident,
		"attack 33, XA":              testXA,
	} {
		n++
		t.Run(name, func(t *testing.T) { f(t, newRig(t, db, fmt.Sprintf("db%d", n))) })
	}
}

func TestGaps(t *testing.T) { each(t, testGaps) }

// testGaps loses continuity in every way, each on a server of its own.
func testGaps(t *testing.T, start servers.Starter) {
	for name, f := range map[string]func(*rig){
		"BINLOG_PURGED": func(g *rig) {
			g.run("FLUSH BINARY LOGS")
			g.run("FLUSH BINARY LOGS")
			for files := g.query("SHOW BINARY LOGS"); len(files) > 1; files = g.query("SHOW BINARY LOGS") {
				g.run("PURGE BINARY LOGS TO '" + files[len(files)-1] + "'") // without effect while the old reader's thread lives
			}
		},
		"attack 22, LOG_RESET": func(g *rig) {
			if g.maria() {
				g.run("RESET MASTER")
			} else {
				g.run("RESET BINARY LOGS AND GTIDS")
			}
			for i := range 50 { // the new log is longer than the old one
				g.run(fmt.Sprintf("INSERT INTO s VALUES (%d)", 100+i))
			}
		},
		"OTHER_SERVER": func(g *rig) { g.run("SET GLOBAL server_id = 77"); g.again() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := name[strings.LastIndexByte(name, ' ')+1:]
			g := newRig(t, start(t, nil), "gap")
			g.run("CREATE TABLE s (id int PRIMARY KEY)")
			res := g.first()
			g.run("INSERT INTO s VALUES (1)")
			g.take(&res, g.busy())
			if err := g.r.Close(); err != nil {
				t.Fatal(err)
			}
			f(g)
			if code == "OTHER_SERVER" { // a server without GTIDs; with them they decide
				res.Since = nil
				res.State = regexp.MustCompile(`"gtids":"[^"]*",`).ReplaceAll(res.State, nil)
			}
			err := g.start(res)
			var gap *capture.GapError
			if !errors.As(err, &gap) || gap.Code != code && !(code == "LOG_RESET" && gap.Code == "GTID_UNKNOWN") || gap.From != res.Last {
				t.Errorf("%v, want the gap %s after %s", err, code, res.Last)
			}
		})
	}
}

// testOtherEvents goes on at every place of a log that was written anew but the right one,
// as after a restored backup: also where the transaction that comes next has the name of
// the last one.
func testOtherEvents(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	res := g.first()
	var starts []event.Position
	for id := range 2 {
		g.run(fmt.Sprintf("INSERT INTO s VALUES (%d)", id))
		seg := g.busy()
		g.take(&res, seg)
		starts = append(starts, seg.Txn.Position)
	}
	files := g.query("SHOW BINARY LOGS")
	all, err := g.sql.Execute(fmt.Sprintf("SHOW BINLOG EVENTS IN '%s' FROM %d", files[len(files)-1], starts[0].Place.Offset))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for i := range all.RowNumber() {
		place, err := all.GetInt(i, 1)
		if err != nil {
			t.Fatal(err)
		}
		at := res
		if at.Last.Place.Offset = uint64(place); place >= int64(starts[1].Place.Offset) {
			break
		}
		tried++
		var gap *capture.GapError
		if err := g.start(at); !errors.As(err, &gap) || gap.Code != "LOG_RESET" || gap.From != at.Last {
			t.Errorf("from event %d, at %d: %v", i, place, err)
		}
	}
	if tried < 4 {
		t.Errorf("%d places were tried", tried)
	}
	if err := g.start(res); err != nil {
		t.Error(err)
	}
}

// TestTornTransaction lets the server die while it writes: the file ends between
// two events of a transaction. What was read of it is void, what comes later flows.
func TestTornTransaction(t *testing.T) {
	for name, rows := range map[string]int{"within a part": 100, "after some parts": 5000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, servers.MariaDB(t, nil), "torn")
			g.run("CREATE TABLE s (id int PRIMARY KEY, body text)")
			res := g.first()
			g.run("INSERT INTO s VALUES (0, '')")
			g.take(&res, g.busy())
			if err := g.r.Close(); err != nil {
				t.Fatal(err)
			}
			g.run(fmt.Sprintf("INSERT INTO s SELECT seq, REPEAT('x', 1000) FROM seq_1_to_%d", rows))
			g.tear()
			g.run("INSERT INTO s VALUES (-1, '')")
			for restarts := 0; ; {
				if err := g.start(res); err != nil {
					t.Fatal(err)
				}
				seg, err := g.until(func(seg *event.Segment) bool { return seg.Kind == event.Rows && seg.Last })
				if err == nil {
					if len(seg.Rows) != 1 || seg.Rows[0].After[0].Int() != -1 || !seg.First || (rows > 1000) != (restarts == 1) {
						t.Errorf("after %d restarts %d rows", restarts, len(seg.Rows))
					}
					return
				}
				if restarts++; capture.ActionOf(err) != capture.Retry || restarts > 1 {
					t.Fatalf("restart %d: %v", restarts, err)
				}
			}
		})
	}
}

// TestNamesInAnyCase has a server that keeps names in lower case; its log holds
// statements as people wrote them.
func TestNamesInAnyCase(t *testing.T) {
	g := newRig(t, servers.MariaDB(t, map[string]string{"lower_case_table_names": "1"}), "cased")
	g.o.Tables, g.o.Datasets = []string{"Cased.*"}, map[string]string{"cased.Student": "xueji"}
	g.run("CREATE TABLE Student (id int PRIMARY KEY)")
	g.first()
	g.run("INSERT INTO STUDENT VALUES (1)")
	table := g.busy().Rows[0].Table
	g.run("TRUNCATE TABLE STUDENT")
	if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].Op != event.Truncate || seg.Rows[0].Table != table || table.Dataset != "xueji" {
		t.Errorf("rows %+v of %+v", seg.Rows, table)
	}
	g.run("ALTER TABLE Student ADD note text")
	if seg := g.busy(); seg.Kind != event.TableAltered || seg.Altered.Table != "cased.student" {
		t.Errorf("segment %+v", seg)
	}
}
