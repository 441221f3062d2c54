package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tributary-cdc/tributary/deploy/local"
)

const jsonConverter = "org.apache.kafka.connect.json.JsonConverter"

// schemas makes a connector's records carry their schema, as the JDBC sink needs it.
var schemas = map[string]string{"key.converter": jsonConverter, "key.converter.schemas.enable": "true",
	"value.converter": jsonConverter, "value.converter.schemas.enable": "true"}

// Source is a connector that reads a server from now on, without a first load.
type Source struct {
	Name   string // of the connector, and the prefix of its topics
	Server *local.Server
	Tables string // what it reads, as table.include.list takes it
	// Schemas makes records carry their schema. They are larger by several kilobytes.
	Schemas bool
}

// config gives the connector's settings; dir is a folder for its state.
func (s Source) config(dir string) map[string]string {
	c := map[string]string{
		"topic.prefix": s.Name, "table.include.list": s.Tables, "snapshot.mode": "no_data", "decimal.handling.mode": "string",
		"max.batch.size": "8192", "max.queue.size": "32768", "poll.interval.ms": "10",
		"topic.creation.default.replication.factor": "1", "topic.creation.default.partitions": "1",
		"database.hostname": s.Server.Host, "database.port": strconv.Itoa(int(s.Server.Port)), "database.user": s.Server.User, "database.password": s.Server.Password,
	}
	if s.Schemas {
		maps.Copy(c, schemas)
	}
	if s.Server.Engine == "PostgreSQL" {
		maps.Copy(c, map[string]string{"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput",
			"database.dbname": "postgres", "database.sslmode": "disable", "slot.name": s.Name, "publication.name": s.Name, "publication.autocreate.mode": "filtered"})
		return c
	}
	maps.Copy(c, map[string]string{"connector.class": "io.debezium.connector.mariadb.MariaDbConnector", "database.ssl.mode": "disable",
		"database.server.id": strconv.Itoa(serverID(s.Name)), "include.schema.changes": "false",
		"schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory", "schema.history.internal.file.filename": filepath.Join(dir, s.Name+".history")})
	return c
}

// serverID gives each connector its own among the readers of a server.
func serverID(name string) int { return 10_000 + int(crc32.ChecksumIEEE([]byte(name))%1_000_000) }

// Sink is a connector that writes one topic into one table of a PostgreSQL store,
// which it makes.
type Sink struct {
	Name, Topic, Table string
	Store              *local.Server
}

func (s Sink) config() map[string]string {
	c := map[string]string{"connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": "1", "topics": s.Topic, "collection.name.format": s.Table,
		"connection.url":      fmt.Sprintf("jdbc:postgresql://%s:%d/postgres?reWriteBatchedInserts=true&sslmode=disable", s.Store.Host, s.Store.Port),
		"connection.username": s.Store.User, "connection.password": s.Store.Password,
		"insert.mode": "upsert", "primary.key.mode": "record_key", "delete.enabled": "true", "schema.evolution": "basic",
		"use.reduction.buffer": "true", "batch.size": "5000"}
	maps.Copy(c, schemas)
	return c
}

// Read starts a source connector and waits until it stands at its place in the log.
func (c *Connect) Read(ctx context.Context, s Source) error {
	if err := c.create(ctx, s.Name, s.config(filepath.Dir(c.proc.Out))); err != nil {
		return err
	}
	reads := mariaReads
	if s.Server.Engine == "PostgreSQL" {
		reads = postgresReads
	}
	_, err := c.Await(ctx, reads)
	return err
}

// Write starts a sink connector. Its first record may take seconds.
func (c *Connect) Write(ctx context.Context, s Sink) error {
	return c.create(ctx, s.Name, s.config())
}

// Stop ends a connector's tasks, as soon as they have kept their place; the process
// stays warm.
func (c *Connect) Stop(ctx context.Context, name string) error {
	if err := c.call(ctx, http.MethodPut, "/connectors/"+name+"/stop", nil, nil); err != nil {
		return err
	}
	return c.await(ctx, name, "STOPPED", 0)
}

// Resume starts a stopped connector's tasks where they stopped.
func (c *Connect) Resume(ctx context.Context, name string) error {
	if err := c.call(ctx, http.MethodPut, "/connectors/"+name+"/resume", nil, nil); err != nil {
		return err
	}
	return c.await(ctx, name, "RUNNING", 1)
}

func (c *Connect) create(ctx context.Context, name string, config map[string]string) error {
	if err := c.call(ctx, http.MethodPost, "/connectors", map[string]any{"name": name, "config": config}, nil); err != nil {
		return err
	}
	return c.await(ctx, name, "RUNNING", 1)
}

// await waits for a connector's state and its tasks'.
func (c *Connect) await(ctx context.Context, name, state string, tasks int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var s struct {
			Connector struct{ State string }
			Tasks     []struct{ State, Trace string }
		}
		err := c.call(ctx, http.MethodGet, "/connectors/"+name+"/status", nil, &s)
		alike := err == nil && s.Connector.State == state && len(s.Tasks) == tasks
		for _, t := range s.Tasks {
			if t.State == "FAILED" {
				return fmt.Errorf("connector %s: %.400s", name, t.Trace)
			}
			alike = alike && t.State == state
		}
		if alike {
			return nil
		}
		select {
		case <-tick.C:
		case <-c.proc.Done():
			return fmt.Errorf("kafka connect has ended, see %s", c.proc.Out)
		case <-ctx.Done():
			return fmt.Errorf("connector %s isn't %s: %+v: %w", name, state, s, ctx.Err())
		}
	}
}

// call speaks with the REST interface. Errors don't repeat what was sent: it may
// hold a password.
func (c *Connect) call(ctx context.Context, method, path string, in, out any) error {
	body := &bytes.Buffer{}
	if in != nil {
		if err := json.NewEncoder(body).Encode(in); err != nil {
			return fmt.Errorf("kafka connect %s %s: %w", method, path, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return fmt.Errorf("kafka connect %s %s: %w", method, path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("kafka connect %s %s: %w", method, path, err)
	}
	defer func() { _ = res.Body.Close() }() // read only
	if res.StatusCode >= http.StatusBadRequest {
		var refused struct{ Message string }
		_ = json.NewDecoder(res.Body).Decode(&refused) // the status says enough
		return fmt.Errorf("kafka connect %s %s: %s: %.400s", method, path, res.Status, refused.Message)
	}
	if out == nil {
		_, err := io.Copy(io.Discard, res.Body)
		return err
	}
	return json.NewDecoder(res.Body).Decode(out)
}
