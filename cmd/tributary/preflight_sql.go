package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture/preflight"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/event"
)

// named gives an agent's file and those of its sources that the arguments name.
func named(usage catalogue, c *cobra.Command, args []string) (*config.Agent, []config.Source, error) {
	var agent config.Agent
	if err := config.Load(args[0], &agent); err != nil {
		return nil, nil, err
	}
	if len(args) < 2 {
		return &agent, agent.Sources, nil
	}
	sources := slices.DeleteFunc(slices.Clone(agent.Sources), func(s config.Source) bool { return s.Name != args[1] && agent.Org+"-"+s.Name != args[1] })
	if len(sources) > 0 {
		return &agent, sources, nil
	}
	var known []string
	for _, s := range agent.Sources {
		known = append(known, s.Name)
	}
	return nil, nil, usage.oneOf(c, "SOURCE", args[1], known...)
}

// preflightOptions says how a source is looked at.
func preflightOptions(agent *config.Agent, s config.Source, password string) preflight.Options {
	src := event.Source{ID: agent.Org + "-" + s.Name, Org: agent.Org, Engine: event.Engine(s.Engine), Agent: agent.Name}
	out := preflight.Options{Load: s.FirstStart == "load"}
	if src.Engine == event.Postgres {
		o := postgresOptions(src, s, password)
		out.Postgres = &o
	} else {
		o := mysqlOptions(src, s, password)
		out.MySQL = &o
	}
	return out
}

// scriptWord in front of the arguments asks for the script.
const scriptWord = "sql"

// preflightArgs takes AGENT [SOURCE], or sql AGENT SOURCE.
func preflightArgs(usage catalogue) cobra.PositionalArgs {
	look, script := usage.takes("AGENT", "[SOURCE]"), usage.takes(scriptWord, "AGENT", "SOURCE")
	return func(c *cobra.Command, args []string) error {
		if len(args) > 0 && args[0] == scriptWord {
			return script(c, args)
		}
		return look(c, args)
	}
}

// printScript prints the questions as a script for the client of the source's server.
func printScript(usage catalogue, say preflightText, c *cobra.Command, args []string) error {
	agent, sources, err := named(usage, c, args)
	if err != nil {
		return err
	}
	script, err := preflight.Script(preflightOptions(agent, sources[0], ""))
	if err != nil {
		return err
	}
	w := &writer{out: c.OutOrStdout()}
	for _, line := range scriptHead(say, sources[0]) {
		w.comment(line)
	}
	_, err = io.WriteString(w, script)
	return err
}

// scriptHead says how a script is run.
func scriptHead(say preflightText, s config.Source) []string {
	port, command := s.Port, ""
	switch event.Engine(s.Engine) {
	case event.Postgres:
		if port == 0 {
			port = 5432
		}
		command = fmt.Sprintf("psql -X --host=%s --port=%d --username=%s --dbname=%s --file=%s.sql > %s.txt", s.Host, port, s.User, s.Database, s.Name, s.Name)
	default:
		if port == 0 {
			port = 3306
		}
		command = fmt.Sprintf("%s --host=%s --port=%d --user=%s --password --batch --force --skip-column-names --default-character-set=utf8mb4 < %s.sql > %s.txt", map[bool]string{true: "mariadb", false: "mysql"}[s.Engine == string(event.MariaDB)], s.Host, port, s.User, s.Name, s.Name)
	}
	return []string{say.scriptReads, say.scriptRun, "  " + command, say.scriptErrors, say.scriptThen, fmt.Sprintf("  tributary preflight AGENT %s --from %s.txt", s.Name, s.Name)}
}
