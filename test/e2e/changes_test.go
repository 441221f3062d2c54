package e2e

import (
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// years are a source's tables that change in every way, while agent and worker are killed.
// Its statements are all on one connection; kills come between them.
type years struct {
	*changing
	source  servers.DB
	binlog  bool
	version int // 1002 of MariaDB 10.2, 907 of MySQL 9.7, 15 of PostgreSQL 15
	tables  []*changing
	s       *system
	named   int

	down      *program.Process
	whileDown int // DDL while the agent was down
}

// TestChangesPage holds the page to the changes that TestTablesChange makes on each server.
func TestChangesPage(t *testing.T) {
	on := []struct {
		name string
		years
	}{
		{"MariaDB 10.2", years{binlog: true, version: 1002}}, {"MariaDB 10.11, 11.4", years{binlog: true, version: 1011}}, {"MySQL 9.7", years{binlog: true, version: 907}},
		{"PostgreSQL 10", years{version: 10}}, {"PostgreSQL 15, 18", years{version: 15}},
	}
	head, rule := "| DDL |", "|---|"
	for i := range on {
		on[i].changing = &changing{engine: strings.ToLower(strings.Fields(on[i].name)[0])}
		head, rule = head+" "+on[i].name+" |", rule+"---|"
	}
	lines := []string{head, rule}
	for _, k := range changes {
		line := "| " + k.name + " |"
		for i := range on {
			line += map[bool]string{true: " run |", false: " has none |"}[k.on(&on[i].years)]
		}
		lines = append(lines, line)
	}
	holdPage(t, "../../schema/CHANGES.md", "changes", strings.Join(lines, "\n"))
}
