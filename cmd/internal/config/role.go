package config

import (
	"os"

	"gopkg.in/yaml.v3"
)

// structs names the struct of each role's file, those with the fewest keys first.
var structs = []struct{ role, name string }{
	{"log", "LogServer"}, {"registry", "Registry"}, {"agent", "Agent"}, {"worker", "Worker"}, {"hub", "Hub"},
}

// RoleOf tells from a file's keys whose it is: agent, worker, hub, log or registry. It is
// the role that knows most of them; of several the one that knows the fewest others. It is
// empty if nobody knows any. What isn't YAML is wrong for all alike, and taken for agent's.
func RoleOf(name string) (string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return "", &FileError{name, &Finding{Code: codeFile, text: cantRead, args: []any{err}}}
	}
	var file yaml.Node
	if err := yaml.Unmarshal(b, &file); err != nil {
		return "agent", nil //nolint:nilerr // Decode tells where
	}
	has := map[string]bool{}
	for _, top := range file.Content {
		for i := 0; i+1 < len(top.Content) && top.Kind == yaml.MappingNode; i += 2 {
			has[top.Content[i].Value] = true
		}
	}
	best, most := "", 0
	for _, s := range structs {
		known := 0
		for _, k := range keys[s.name] {
			if has[k] {
				known++
			}
		}
		if known > most {
			best, most = s.role, known
		}
	}
	return best, nil
}
