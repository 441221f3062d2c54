package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// album is a table with values that no record of the log could hold. Its notes are of Chinese
// characters, whose bytes count in UTF-8.
var album = map[string]string{
	"postgres": "CREATE TABLE album (id int PRIMARY KEY, name varchar(40) NOT NULL, photo bytea NOT NULL, note text)",
	"binlog":   "CREATE TABLE album (id int PRIMARY KEY, name varchar(40) NOT NULL, photo longblob NOT NULL, note text CHARACTER SET gbk)",
}

// albumCaps are its caps in the agent's file.
const albumCaps = "{photo: {size: 1MB, action: omit}, note: {size: 3kB, action: omit}}"

// The sizes of photos: as large as the cap, larger by a byte, larger than a record.
const photoFits, photoOver, photoHuge = 1 << 20, 1<<20 + 1, 9 << 20

// albumRows are what the first load finds; bytes makes so many bytes.
func albumRows(bytes string) string {
	size := func(n int) string { return fmt.Sprintf(bytes, n) }
	return fmt.Sprintf("INSERT INTO album VALUES (1, 'fits', %s, repeat('记', 1024)), (2, 'over', %s, repeat('记', 1025)), (3, 'huge', %s, NULL), (4, 'later', %s, 'x')", size(photoFits), size(photoOver), size(photoHuge), size(7))
}

// largeValues changes rows with values above and below their columns' caps, after such rows were
// loaded: the store has NULL in their place by every way, and says so; all else of the rows is
// there, and nothing stops. A comparison takes the same to be equal.
func (x *verified) largeValues() {
	type way struct {
		source, table, store, bytes string
		run                         func(sql string) error
	}
	for _, w := range []way{
		{renshi, "renshi.public.album", "ods.album", "convert_to(repeat('a', %d), 'UTF8')", func(sql string) error {
			_, err := x.album.Exec(context.Background(), sql)
			return err
		}},
		{xueji, "xueji.album", "ods.m_album", "REPEAT('a', %d)", func(sql string) error {
			_, err := x.cascade.Execute(strings.ReplaceAll(sql, "album", "xueji.album"))
			return err
		}},
	} {
		wants := func(when string, rows ...string) {
			x.t.Helper()
			var got []string
			if !within(30*time.Second, func() bool {
				got = column(x.t, x.store, fmt.Sprintf("SELECT format('%%s %%s %%s %%s %%s', id, name, coalesce(octet_length(photo)::text, '-'), coalesce(octet_length(note)::text, '-'), _op) FROM %s ORDER BY id", w.store))
				return slices.Equal(got, rows)
			}) {
				x.t.Fatalf("%s, %s: the store has %q, want %q", w.table, when, got, rows)
			}
		}
		wants("loaded", "1 fits 1048576 3072 r", "2 over - - r", "3 huge - - r", "4 later 7 1 r")
		for _, sql := range []string{
			fmt.Sprintf("INSERT INTO album VALUES (5, 'new', "+w.bytes+", 'x')", photoHuge),
			"UPDATE album SET name = 'still huge' WHERE id = 3", // on PostgreSQL without the photo, which is unchanged TOAST
			"UPDATE album SET photo = 'abc' WHERE id = 2",
			fmt.Sprintf("UPDATE album SET photo = "+w.bytes+" WHERE id = 4", photoOver),
			"UPDATE album SET id = 6, note = 'moved' WHERE id = 1",
		} {
			if err := w.run(sql); err != nil {
				x.t.Fatalf("%.60s: %v", sql, err)
			}
		}
		streamed := []string{"2 over 3 - u", "3 still huge - - u", "4 later - 1 u", "5 new - 1 c", "6 fits 1048576 5 u"}
		wants("streamed", streamed...)
		if c := x.verify(0, w.source, w.table)[w.table]; c.State != "equal" || c.Rows != 5 {
			x.t.Errorf("compared: %+v", c)
		}
		mustExec(x.t, x.store, "UPDATE "+w.store+" SET photo = 'xx' WHERE id = 5")
		if c := x.verify(0, w.source, w.table, "--repair")[w.table]; c.State != "repaired" || !slices.Equal(c.named(), []string{"different [5]"}) {
			x.t.Errorf("repaired: %+v", c)
		}
		if out, err := exec.CommandContext(x.t.Context(), x.bin, "table", "reread", "--agent", fmt.Sprintf("http://127.0.0.1:%d", x.port), w.source, w.table).CombinedOutput(); err != nil {
			x.t.Fatalf("%v: %s", err, out)
		}
		for i, row := range streamed {
			streamed[i] = row[:len(row)-1] + "r"
		}
		wants("read again", streamed...)
		got := column(x.t, x.store, fmt.Sprintf("SELECT DISTINCT detail FROM tributary.anomaly WHERE dataset = '%s' AND code = 'VALUE_NULLED' AND first_position <> '' ORDER BY 1", strings.TrimPrefix(w.store, "ods.")))
		for _, want := range []string{fmt.Sprintf("photo: TOO_LARGE: %d > 1048576", photoHuge), fmt.Sprintf("photo: TOO_LARGE: %d > 1048576", photoOver)} {
			if !slices.Contains(got, want) {
				x.t.Errorf("%s: the store's anomalies are %q, want %q among them", w.table, got, want)
			}
		}
	}
}
