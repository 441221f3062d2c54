package config

import (
	"errors"
	"strings"
	"testing"
)

const goodAgent = `
name: a1
org: "330108"
data_dir: /var/lib/tributary
log: {brokers: ["127.0.0.1:9092"], embedded: true}
stop_timeout: 5s
sources:
  - {name: renshi, engine: postgres, host: 127.0.0.1, database: renshi, user: tributary, password_env: PW, tables: ["public.*"], first_start: now}
`

func TestAgent(t *testing.T) {
	for name, tt := range map[string]struct{ from, to, want string }{
		"good":                 {"", "", ""},
		"unknown key":          {"data_dir:", "data_dri:", `line 4: unknown key "data_dri", the nearest known one is "data_dir"`},
		"password in file":     {"password_env: PW", "password: hunter2", "use password_file or password_env"},
		"no password":          {"password_env: PW, ", "", "set one of password_file and password_env"},
		"another engine":       {"engine: postgres", "engine: oracle", "one of postgres, mysql, mariadb"},
		"mariadb":              {"engine: postgres, host: 127.0.0.1, database: renshi", "engine: mariadb, host: 127.0.0.1", ""},
		"keys":                 {"first_start", "keys: {public.kaoqin: [xh, kqrq]}, append: ['public.*_log'], first_start", ""},
		"keys of a pattern":    {"first_start", "keys: {'public.*': [xh]}, first_start", `sources[0].keys "public.*": isn't the name of one table`},
		"keys of no table":     {"first_start", "keys: {other.kaoqin: [xh]}, first_start", `keys "other.kaoqin": is taken by no pattern of tables`},
		"keys without columns": {"first_start", "keys: {public.kaoqin: []}, first_start", "has no columns"},
		"caps":                 {"first_start", "caps: {public.student: {zp: {size: 1MB, action: omit}, bz: {size: 7MB, action: stop}}}, first_start", ""},
		"caps beyond tables":   {"first_start", "caps: {other.student: {zp: {size: 1MB, action: omit}}}, first_start", ""},
		"caps of a pattern":    {"first_start", "caps: {'public.*': {zp: {size: 1MB, action: omit}}}, first_start", `sources[0].caps "public.*": isn't the name of one table`},
		"a cap too large":      {"first_start", "caps: {public.student: {zp: {size: 8MB, action: omit}}}, first_start", `sources[0].caps "public.student"."zp".size 8388608: is outside 1024 to 7340032`},
		"a cap without size":   {"first_start", "caps: {public.student: {zp: {action: omit}}}, first_start", `size 0: is outside`},
		"a cap without action": {"first_start", "caps: {public.student: {zp: {size: 1MB, action: null}}}, first_start", `sources[0].caps "public.student"."zp".action "": one of omit, stop`},
		"key column twice":     {"first_start", "keys: {public.kaoqin: [xh, xh]}, first_start", "stands twice"},
		"append in one part":   {"first_start", "append: [log], first_start", `append "log": is no pattern of two parts`},
		"mysql database":       {"engine: postgres", "engine: mysql", "the table patterns name the databases"},
		"no host":              {"host: 127.0.0.1, ", "", "sources[0].host: is missing"},
		"no tables":            {`["public.*"]`, "[]", "tables: at least one pattern"},
		"half a pattern":       {`["public.*"]`, "[xueji]", "such as xueji.*"},
		"verify again":         {"first_start: now", "verify: {every: 24h, tables: [public.*], repair: true}", ""},
		"verify too often":     {"first_start: now", "verify: {every: 1s}", "sources[0].verify.every 1s: at least 10s"},
		"verify never":         {"first_start: now", "verify: {repair: true}", "sources[0].verify: it needs verify.every"},
		"verify in part":       {"first_start: now", "verify: {every: 24h, without: {public.person: [zp, bz]}}", ""},
		"verify part of all":   {"first_start: now", "verify: {every: 24h, without: {'public.*': [zp]}}", `sources[0].verify.without "public.*": isn't the name of one table`},
		"verify part, never":   {"first_start: now", "verify: {without: {public.person: [zp]}}", "sources[0].verify: it needs verify.every"},
		"verify half a name":   {"first_start: now", "verify: {every: 24h, tables: [person]}", "such as person.*"},
		"bounds of loads":      {"first_start: now", `load: {rows_per_second: 5000, quiet_hours: "22:00-06:00", time_zone: Asia/Shanghai}`, ""},
		"hours without zone":   {"first_start: now", "load: {quiet_hours: 22:00-06:00}", ""},
		"hours of a clock":     {"first_start: now", `load: {quiet_hours: "10pm-6am"}`, "sources[0].load.quiet_hours \"10pm-6am\": hours of the day such as 22:00-06:00"},
		"no such zone":         {"first_start: now", `load: {quiet_hours: "22:00-06:00", time_zone: Asia/Hangzhou}`, `sources[0].load.time_zone "Asia/Hangzhou": a name such as Asia/Shanghai`},
		"a zone of nothing":    {"first_start: now", `load: {time_zone: Asia/Shanghai}`, "there are none"},
		"rows below 0":         {"first_start: now", `load: {rows_per_second: -1}`, "rows_per_second -1: is below 0"},
		"key of load":          {"first_start: now", `load: {quite_hours: "22:00-06:00"}`, `the nearest known one is "quiet_hours"`},
		"a fuse":               {"first_start: now", "fuse: {size: 20GB, age: 48h}, warn: {left: 12h, held: 512 MB}", ""},
		"fuse without a unit":  {"first_start: now", "fuse: {size: 20}", `line 8: "20": a size with its unit is wanted, such as 20GB`},
		"fuse of any size":     {"first_start: now", "fuse: {size: 999999999999TB}", `"999999999999TB": a size`},
		"fuse of a list":       {"first_start: now", "fuse: {size: [1]}", "a size with its unit"},
		"a fuse too fast":      {"first_start: now", "fuse: {age: 10s}", "sources[0].fuse.age 10s: at least 1m0s"},
		"key of the fuse":      {"first_start: now", "fuse: {sise: 1GB}", `the nearest known one is "size"`},
		"fuse of a binlog":     {"engine: postgres, host: 127.0.0.1, database: renshi", "engine: mariadb, fuse: {age: 48h}, host: 127.0.0.1", "is for postgres: mariadb keeps its binary log by its own settings"},
		"warned of the past":   {"first_start: now", "warn: {left: -1h}", "sources[0].warn.left -1h0m0s: is below 0"},
		"bad first start":      {"first_start: now", "first_start: yesterday", "first_start"},
		"bad duration":         {"5s", "5 parsecs", `line 6: "5 parsecs": a duration with its unit`},
		"json":                 {"stop_timeout", "codec: json\nstop_timeout", ""},
		"another codec":        {"stop_timeout", "codec: protobuf\nstop_timeout", `codec "protobuf": one of avro, json`},
		"no brokers":           {`["127.0.0.1:9092"]`, "[]", "log.brokers"},
		"org with a slash":     {`"330108"`, `"33/01"`, "org"},
		"partition too big":    {"first_start: now", "partition: 4", "outside 0 to 0"},
		"log of one broker":    {"embedded: true", "durability: single", ""},
		"durability misspelt":  {"embedded: true", "durability: singel", `log.durability "singel": replicated or single`},
		"embedded, replicated": {"embedded: true", "embedded: true, durability: replicated", "the embedded log has one node"},
		"key of the log":       {"embedded: true", "durabilty: single", `the nearest known one is "durability"`},
	} {
		t.Run(name, func(t *testing.T) {
			var a Agent
			err := Decode([]byte(strings.Replace(goodAgent, tt.from, tt.to, 1)), &a)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
