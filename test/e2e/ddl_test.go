package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestAttack29DDLInsideATransaction alters a table in the middle of transactions that
// write others, before and behind it. All of it arrives whole: no poll sees a part of such a
// transaction, and rows have the form in which they were written.
func TestAttack29DDLInsideATransaction(t *testing.T) {
	db := servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	mustExec(t, admin, "CREATE DATABASE renshi")
	mustExec(t, admin, "CREATE DATABASE city")
	source, store := connect(t, db, "renshi"), connect(t, db, "city")
	mustExec(t, source, "CREATE TABLE teacher (id int PRIMARY KEY, body text); CREATE TABLE post (id int PRIMARY KEY, name text)")
	bin, dir := program.Build(t), t.TempDir()
	logPort, agentHTTP := program.Port(t), program.Port(t)
	for _, p := range []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), "name: a1\norg: \"330108\"\ndata_dir: %s\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nsources:\n  - {name: renshi, engine: postgres, host: 127.0.0.1, port: %d, database: renshi, user: postgres, password_env: %s, tables: [\"public.*\"], first_start: now}\n",
			filepath.Join(dir, "agent"), agentHTTP, logPort, db.Port, program.PasswordVariable)}},
		{Name: "city", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), "name: city\norgs: [\"330108\"]\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nstore: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_env: %s}\n",
			logPort, db.Port, program.PasswordVariable)}},
	} {
		p.Start(t, bin, dir, db.Password)
	}
	await(t, "the agent", func() bool { code, _ := ask(t, agentHTTP, "/-/ready"); return code == http.StatusOK })
	mustExec(t, source, "INSERT INTO teacher SELECT i, 'first' FROM generate_series(1, 1000) i; INSERT INTO post VALUES (1, 'first')")
	count := func() (n int) {
		if err := store.QueryRow(context.Background(), "SELECT count(*) FROM ods.teacher").Scan(&n); err != nil {
			return -1
		}
		return n
	}
	await(t, "the first rows", func() bool { return count() == 1000 })

	ctx, stop := context.WithCancel(context.Background())
	var polling sync.WaitGroup
	polls, c := 0, connect(t, db, "city")
	polling.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			var n int
			if err := c.QueryRow(context.Background(), "SELECT count(*) FROM ods.teacher").Scan(&n); err != nil || n%1000 != 0 {
				t.Errorf("a poll sees %d teachers, %v", n, err)
				return
			}
			polls++
		}
	})
	const txns = 10
	for n := 1; n <= txns; n++ {
		mustExec(t, source, fmt.Sprintf(`BEGIN; INSERT INTO teacher SELECT i, repeat(md5(i::text), 30) FROM generate_series(%d, %d) i; INSERT INTO post VALUES (%d, 'old form');
			ALTER TABLE post ADD note%d text; INSERT INTO post VALUES (%d, 'new form', 'n'); INSERT INTO teacher SELECT i, repeat(md5(i::text), 30) FROM generate_series(%d, %d) i; COMMIT`,
			n*1000+1, n*1000+500, 2*n, n, 2*n+1, n*1000+501, n*1000+1000))
	}
	await(t, "all teachers", func() bool { return count() == (txns+1)*1000 })
	stop()
	polling.Wait()
	if polls < 10 {
		t.Errorf("%d polls", polls)
	}
	const forms = "SELECT concat_ws(' ', name, note1, count(*)) FROM ods.post GROUP BY name, note1 ORDER BY name, note1"
	if got, want := column(t, store, forms), []string{"first 1", "new form n 10", "old form 10"}; !slices.Equal(got, want) {
		t.Errorf("posts %q, want %q", got, want)
	}
	if got := column(t, store, "SELECT \"table\" FROM tributary.table_state WHERE state <> 'complete'"); len(got) > 0 {
		t.Errorf("tables that aren't whole: %q", got)
	}
	if got := column(t, store, "SELECT code FROM tributary.gap"); len(got) > 0 {
		t.Errorf("gaps %q", got)
	}
	if got := column(t, store, "SELECT id::text FROM tributary.batch WHERE partial OR skipped > 0"); len(got) > 0 {
		t.Errorf("batches %q miss rows", got)
	}
}
