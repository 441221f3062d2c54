package state

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
)

// migrations are the steps of the tables, in order. One that has been released is never
// changed.
var migrations = []string{`
CREATE TABLE tributary.hub_org (code text COLLATE "C" PRIMARY KEY, parent text COLLATE "C" REFERENCES tributary.hub_org DEFERRABLE INITIALLY DEFERRED,
  name text NOT NULL, kind text NOT NULL, path text COLLATE "C" NOT NULL, since timestamptz NOT NULL DEFAULT now(),
  UNIQUE (path) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE tributary.hub_account (name text COLLATE "C" PRIMARY KEY, title text NOT NULL, password text NOT NULL DEFAULT '', active boolean NOT NULL DEFAULT true,
  made timestamptz NOT NULL DEFAULT now(), made_by text NOT NULL);
CREATE TABLE tributary.hub_grant (account text COLLATE "C" NOT NULL REFERENCES tributary.hub_account, role text NOT NULL, org text COLLATE "C" NOT NULL, PRIMARY KEY (account, role, org));
CREATE TABLE tributary.hub_link (digest bytea PRIMARY KEY, account text COLLATE "C" NOT NULL REFERENCES tributary.hub_account, expires timestamptz NOT NULL);
CREATE TABLE tributary.hub_session (digest bytea PRIMARY KEY, account text COLLATE "C" NOT NULL REFERENCES tributary.hub_account, form text NOT NULL,
  begun timestamptz NOT NULL, used timestamptz NOT NULL, address text NOT NULL);
CREATE INDEX ON tributary.hub_session (account);
CREATE TABLE tributary.hub_attempt (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account text NOT NULL, address text NOT NULL, at timestamptz NOT NULL);
CREATE INDEX ON tributary.hub_attempt (at);
CREATE TABLE tributary.hub_audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), actor text NOT NULL, address text NOT NULL,
  action text NOT NULL, path text COLLATE "C" NOT NULL, org text NOT NULL, object text NOT NULL, outcome text NOT NULL, detail text NOT NULL);
CREATE INDEX ON tributary.hub_audit (at);
CREATE FUNCTION tributary.hub_audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'tributary.hub_audit is append-only' USING ERRCODE = 'restrict_violation'; END $$;
CREATE TRIGGER hub_audit_stays BEFORE UPDATE OR DELETE ON tributary.hub_audit FOR EACH ROW EXECUTE PROCEDURE tributary.hub_audit_stays();
CREATE TRIGGER hub_audit_is_kept BEFORE TRUNCATE ON tributary.hub_audit FOR EACH STATEMENT EXECUTE PROCEDURE tributary.hub_audit_stays();
`, `
CREATE TABLE tributary.hub_authority (one boolean PRIMARY KEY DEFAULT true CHECK (one), certificate bytea NOT NULL, since timestamptz NOT NULL DEFAULT now());
CREATE TABLE tributary.hub_invitation (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, digest bytea NOT NULL UNIQUE, org text COLLATE "C" NOT NULL REFERENCES tributary.hub_org,
  made timestamptz NOT NULL, made_by text COLLATE "C" NOT NULL REFERENCES tributary.hub_account, expires timestamptz NOT NULL, used timestamptz, withdrawn timestamptz);
CREATE TABLE tributary.hub_agent (id text COLLATE "C" PRIMARY KEY, org text COLLATE "C" NOT NULL REFERENCES tributary.hub_org, name text NOT NULL, joined timestamptz NOT NULL,
  invitation bigint NOT NULL UNIQUE REFERENCES tributary.hub_invitation, sponsor text COLLATE "C" NOT NULL REFERENCES tributary.hub_account, revoked timestamptz, revoked_by text, reason text NOT NULL DEFAULT '', seen timestamptz);
CREATE TABLE tributary.hub_certificate (serial text PRIMARY KEY, agent text COLLATE "C" NOT NULL REFERENCES tributary.hub_agent, begins timestamptz NOT NULL, ends timestamptz NOT NULL);
CREATE INDEX ON tributary.hub_certificate (agent);
CREATE TABLE tributary.hub_request (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text COLLATE "C" NOT NULL, org text COLLATE "C" NOT NULL REFERENCES tributary.hub_org,
  agent text COLLATE "C" NOT NULL REFERENCES tributary.hub_agent, sponsor text COLLATE "C" NOT NULL, content jsonb NOT NULL, made timestamptz NOT NULL, state text NOT NULL CHECK (state IN ('pending', 'approved', 'partly', 'refused')),
  decided timestamptz, decided_by text COLLATE "C" REFERENCES tributary.hub_account, reason text NOT NULL DEFAULT '', approved text[], CHECK (decided_by <> sponsor));
CREATE UNIQUE INDEX hub_request_pending ON tributary.hub_request (source) WHERE state = 'pending';
CREATE TABLE tributary.hub_source (id text COLLATE "C" PRIMARY KEY, org text COLLATE "C" NOT NULL REFERENCES tributary.hub_org, agent text COLLATE "C" NOT NULL REFERENCES tributary.hub_agent,
  engine text NOT NULL, standing text NOT NULL, topic text NOT NULL, partition int NOT NULL, version int NOT NULL, request bigint NOT NULL REFERENCES tributary.hub_request, since timestamptz NOT NULL);
CREATE TABLE tributary.hub_feed (source text COLLATE "C" NOT NULL REFERENCES tributary.hub_source, "table" text COLLATE "C" NOT NULL, dataset text COLLATE "C" NOT NULL, PRIMARY KEY (source, "table"));
CREATE INDEX ON tributary.hub_feed (dataset);
`, alarms, history, events, reports, calendar, rights, ended, letters, leases, versions, schoolHours, pausing}

// migrate brings the tables to this version, or refuses those of a newer one. The lock is
// the worker's, who makes the schema as well.
func (s *State) migrate(ctx context.Context) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('tributary'))`); err != nil {
			return err
		}
		// Whoever may use the schema need not be allowed to make one.
		var there, tables bool
		if err := tx.QueryRow(ctx, `SELECT to_regnamespace('tributary') IS NOT NULL, to_regclass('tributary.hub_migration') IS NOT NULL`).Scan(&there, &tables); err != nil {
			return err
		}
		if !there {
			if _, err := tx.Exec(ctx, `CREATE SCHEMA tributary`); err != nil {
				return err
			}
		}
		if !tables {
			if _, err := tx.Exec(ctx, `CREATE TABLE tributary.hub_migration (version int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())`); err != nil {
				return err
			}
		}
		have := 0
		if err := tx.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM tributary.hub_migration`).Scan(&have); err != nil {
			return err
		}
		if have > len(migrations) {
			return refusal.New(refusal.Conflict, "HUB_STATE_NEWER", "%d > %d", have, len(migrations))
		}
		for i, step := range migrations[have:] {
			if _, err := tx.Exec(ctx, step); err != nil {
				return fmt.Errorf("migration %d: %w", have+i+1, err)
			}
			if _, err := tx.Exec(ctx, `INSERT INTO tributary.hub_migration (version) VALUES ($1)`, have+i+1); err != nil {
				return err
			}
		}
		return nil
	})
}
