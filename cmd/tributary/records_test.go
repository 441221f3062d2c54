package main

import (
	"testing"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
)

// TestServerInRecords: a record tells the address of its source's database, and nothing else of
// how it is reached.
func TestServerInRecords(t *testing.T) {
	c := &config.Agent{Org: "330106", Sources: []config.Source{
		{Name: "a", Engine: "mysql", Host: "10.1.0.5", User: "u"},
		{Name: "b", Engine: "mariadb", Host: "db.example.cn", Port: 3307},
		{Name: "c", Engine: "postgres", Host: "::1", Database: "renshi"},
	}}
	got := agentRecords(c, []pipeline.Status{{Source: "330106-c"}, {Source: "330106-a"}, {Source: "330106-b"}}, newTimes())
	for i, want := range []string{"[::1]:5432", "10.1.0.5:3306", "db.example.cn:3307"} {
		if got[i].Server != want {
			t.Errorf("%s: %q, want %q", got[i].Source, got[i].Server, want)
		}
	}
}
