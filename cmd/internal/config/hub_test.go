package config

import (
	"errors"
	"strings"
	"testing"
)

const goodHub = `
accounts: none
http: 127.0.0.1:8060
log: {brokers: ["127.0.0.1:9092"]}
orgs: ["330106", "330108"]
stores:
  - {host: 127.0.0.1, database: city, user: tributary, password_env: PW}
  - {name: province, host: 127.0.0.1, database: ods, user: tributary, password_env: PW}
`

const withAccounts = "state: {host: 127.0.0.1, database: city, user: hub, password_env: PW}\ndata_dir: /tmp/hub\n"

func TestHub(t *testing.T) {
	for name, tt := range map[string]struct{ from, to, want string }{
		"good":             {"", "", ""},
		"no address":       {"http: 127.0.0.1:8060", "", ""},
		"IPv6":             {"127.0.0.1:8060", `"[::1]:8060"`, ""},
		"all interfaces":   {"127.0.0.1:8060", `":8060"`, "a loopback address"},
		"another machine":  {"127.0.0.1:8060", "10.1.2.3:8060", "a loopback address"},
		"no port":          {"127.0.0.1:8060", "127.0.0.1", "a loopback address"},
		"one name twice":   {"name: province", "name: city", `stores[1].name "city": is empty or stands twice`},
		"rights given":     {"http:", "rights: given\nhttp:", ""},
		"rights taken":     {"http:", "rights: taken\nhttp:", `rights "taken": one of made, given`},
		"no orgs":          {`["330106", "330108"]`, "[]", "orgs: at least one"},
		"org with a slash": {"330106", "33/01", "orgs"},
		"unknown key":      {"stores:", "store:", `nearest known one is "stores"`},
		"unknown in store": {"name: province", "nmae: province", `nearest known one is "name"`},
		"a city's store":   {"name: province", "name: province, orgs: [\"3301\"]", ""},
		"a store's slash":  {"name: province", "name: province, orgs: [33/01]", `stores[1].orgs "33/01"`},
		"a mirror":         {"name: province", "name: province, target: mirror", ""},
		"single datasets":  {"name: province", "name: province, datasets: {log: {target: mirror}, person: {key: contract}}", ""},
		"rules":            {"name: province", "name: province, evolution: halt, datasets: {log: {evolution: ignore}}", ""},
		"another rule":     {"name: province", "name: province, evolution: follow", `stores[1].evolution "follow": one of evolve, halt, ignore`},
		"rule of a layout": {"name: province", "name: province, datasets: {log: {evolution: drop}}", `stores[1].datasets.log.evolution "drop": one of evolve, halt, ignore`},
		"another target":   {"name: province", "name: province, target: mirrors", `stores[1].target "mirrors": one of dataset, mirror`},
		"another key":      {"name: province", "name: province, datasets: {person: {key: id}}", `stores[1].datasets.person.key "id": one of source, contract`},
		"mirror with key":  {"name: province", "name: province, datasets: {log: {target: mirror, key: contract}}", "has the keys of its source"},
		"key of a layout":  {"name: province", "name: province, datasets: {log: {traget: mirror}}", `nearest known one is "target"`},
		"our own schema":   {"name: province", "name: province, schema: tributary", `stores[1].schema "tributary"`},
		"a server's":       {"name: province", "name: province, schema: pg_ods", `stores[1].schema "pg_ods"`},
		"password in file": {"database: ods, user: tributary, password_env: PW", "database: ods, user: tributary, password: hunter2", "use password_file or password_env"},
		"agents without":   {"accounts: none", "accounts: none\nagents: 127.0.0.1:1", "agents can join a hub with accounts only"},
		"no state":         {"accounts: none", "", "accounts: none"},
		"other accounts":   {"accounts: none", "accounts: some", "one of required, none"},
		"with accounts":    {"accounts: none", withAccounts, ""},
		"beyond loopback":  {"accounts: none\nhttp: 127.0.0.1:8060", withAccounts + "http: :8060\nagents: 0.0.0.0:8070\nnames: [hub.example.cn, 10.1.2.3]", ""},
		"without a name":   {"accounts: none\nhttp: 127.0.0.1:8060", withAccounts + "http: :8060", "names: beyond loopback"},
		"agents unnamed":   {"accounts: none", withAccounts + "agents: :8070", "names: beyond loopback"},
		"a URL as name":    {"accounts: none", withAccounts + "names: [\"https://hub\"]", "a host's name"},
		"half a key pair":  {"accounts: none", withAccounts + "tls: {cert_file: a}", "tls.key_file"},
		"no folder":        {"accounts: none", strings.Replace(withAccounts, "data_dir: /tmp/hub\n", "", 1), "data_dir"},
		"state half":       {"accounts: none", strings.Replace(withAccounts, "user: hub, ", "", 1), "state.user"},
		"webhooks":         {"accounts: none", withAccounts + "alarms: {late: 2m, webhooks: [{name: duty, form: wecom, password_file: /x}, {name: night, form: dingtalk, password_env: X, sign_file: /y, language: en}]}", ""},
		"a webhook twice":  {"accounts: none", withAccounts + "alarms: {webhooks: [{name: duty, form: wecom, password_file: /x}, {name: duty, form: json, password_file: /x}]}", `alarms.webhooks[1].name "duty": is empty or stands twice`},
		"another robot":    {"accounts: none", withAccounts + "alarms: {webhooks: [{name: duty, form: feishu, password_file: /x}]}", "one of wecom, dingtalk, json"},
		"an open address":  {"accounts: none", withAccounts + "alarms: {webhooks: [{name: duty, form: wecom}]}", "alarms.webhooks[0]"},
		"mail":             {"accounts: none", withAccounts + "alarms: {report: {at: ['08:30', '20:30'], zone: Asia/Urumqi}, mail: [{name: duty, host: smtp.example.cn, user: a, password_file: /x, from: a@example.cn, to: [b@example.cn]}, {name: near, host: 127.0.0.1, tls: none, from: a@example.cn, to: [b@example.cn]}]}", ""},
		"open mail":        {"accounts: none", withAccounts + "alarms: {mail: [{name: duty, host: smtp.example.cn, tls: none, from: a@example.cn, to: [b@example.cn]}]}", `alarms.mail[0].host "smtp.example.cn": without TLS on loopback only`},
		"half a login":     {"accounts: none", withAccounts + "alarms: {mail: [{name: duty, host: smtp.example.cn, user: a, from: a@example.cn, to: [b@example.cn]}]}", "alarms.mail[0]"},
		"mail to nobody":   {"accounts: none", withAccounts + "alarms: {mail: [{name: duty, host: smtp.example.cn, from: a@example.cn}]}", "alarms.mail[0].to: at least one"},
		"mail to a header": {"accounts: none", withAccounts + `alarms: {mail: [{name: duty, host: smtp.example.cn, from: a@example.cn, to: ["b@example.cn\r\nBcc: c@example.cn"]}]}`, "an address such as duty@example.cn"},
		"other protection": {"accounts: none", withAccounts + "alarms: {mail: [{name: duty, host: smtp.example.cn, tls: ssl, from: a@example.cn, to: [b@example.cn]}]}", "one of starttls, tls, none"},
		"freshness":        {"accounts: none", withAccounts + "alarms: {freshness: {student: 5m}}", ""},
		"never fresh":      {"accounts: none", withAccounts + "alarms: {freshness: {student: 0s}}", "alarms.freshness.student 0s: more than 0"},
		"no time":          {"accounts: none", withAccounts + "alarms: {report: {at: ['8.30']}}", `alarms.report.at "8.30": a time of day`},
		"no zone":          {"accounts: none", withAccounts + "alarms: {report: {zone: Asia/Hangzhou}}", `alarms.report.zone "Asia/Hangzhou": a name such as`},
		"in the past":      {"accounts: none", withAccounts + "alarms: {late: -1s}", "is below 0"},
		"no partition":     {"accounts: none", withAccounts + "partitions: -1", "partitions -1"},
	} {
		t.Run(name, func(t *testing.T) {
			var h Hub
			err := Decode([]byte(strings.Replace(goodHub, tt.from, tt.to, 1)), &h)
			if tt.want == "" {
				if err != nil || len(h.Stores) != 2 || h.Stores[0].Name != "city" || h.HTTP == "" {
					t.Errorf("%+v, %v", h, err)
				}
				return
			}
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
