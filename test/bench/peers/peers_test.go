package peers

import (
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/deploy/local"
)

func TestJarsAreOfTheNamedRelease(t *testing.T) {
	for _, want := range []string{
		"debezium-connector-mariadb-" + Version, "debezium-connector-postgres-" + Version, "debezium-connector-jdbc-" + Version, "connect-runtime-" + ConnectVersion} {
		if !strings.Contains(sums, "  "+want+".jar\n") {
			t.Errorf("%s.jar isn't pinned", want)
		}
	}
	for _, version := range []string{Version, ConnectVersion} {
		if !strings.Contains(string(pom), "<version>"+version+"</version>") {
			t.Errorf("the pom has no %s", version)
		}
	}
}

func TestSourcesAreSetAlike(t *testing.T) {
	maria := Source{Name: "a", Server: &local.Server{Engine: "MariaDB", Host: "127.0.0.1", Port: 1}, Tables: "x.y"}.config("dir")
	pg := Source{Name: "b", Server: &local.Server{Engine: "PostgreSQL", Host: "127.0.0.1", Port: 2}, Tables: "x.y", Schemas: true}.config("dir")
	for _, k := range []string{"max.batch.size", "max.queue.size", "poll.interval.ms", "snapshot.mode", "decimal.handling.mode"} {
		if maria[k] == "" || maria[k] != pg[k] {
			t.Errorf("%s: %q for MariaDB, %q for PostgreSQL", k, maria[k], pg[k])
		}
	}
	if maria["value.converter.schemas.enable"] != "" || pg["value.converter.schemas.enable"] != "true" {
		t.Error("schemas stand where none is asked for, or don't where they are")
	}
	if maria["database.server.id"] == "" || serverID("a") == serverID("b") {
		t.Error("two connectors are one reader to MariaDB")
	}
}
