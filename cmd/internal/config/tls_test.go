package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/stream/peer"
)

const secureAgent = `
name: a1
org: "330108"
data_dir: /var/lib/tributary
log:
  brokers: ["kafka1:9093"]
  tls: {mode: verify-full, ca_file: /etc/ca.pem}
  sasl: {mechanism: SCRAM-SHA-512, user: agent-330108, password_env: PW}
sources:
  - {name: renshi, engine: postgres, host: db1, database: renshi, user: tributary, password_env: PW, tables: ["public.*"], tls: {ca_file: /etc/ca.pem, cert_file: /etc/a.crt, key_file: /etc/a.key}}
`

func TestSecure(t *testing.T) {
	for name, tt := range map[string]struct{ from, to, want string }{
		"good":                     {"", "", ""},
		"plain by a word":          {"  tls: {mode: verify-full, ca_file: /etc/ca.pem}\n", "  tls: {mode: none}\n", ""},
		"PLAIN, verified":          {"SCRAM-SHA-512", "PLAIN", ""},
		"PLAIN, not verified":      {"verify-full, ca_file: /etc/ca.pem}\n  sasl: {mechanism: SCRAM-SHA-512", "require}\n  sasl: {mechanism: PLAIN", "log.sasl.mechanism PLAIN: the password itself is sent"},
		"PLAIN in plain text":      {"verify-full, ca_file: /etc/ca.pem}\n  sasl: {mechanism: SCRAM-SHA-512", "none}\n  sasl: {mechanism: PLAIN", "log.sasl.mechanism PLAIN: the password itself is sent"},
		"PLAIN on loopback":        {"[\"kafka1:9093\"]\n  tls: {mode: verify-full, ca_file: /etc/ca.pem}\n  sasl: {mechanism: SCRAM-SHA-512", "[\"127.0.0.1:9093\"]\n  sasl: {mechanism: PLAIN", ""},
		"Kafka prefers nothing":    {"verify-full, ca_file: /etc/ca.pem}\n  sasl", "prefer}\n  sasl", "log.tls.mode prefer"},
		"no such mode":             {"mode: verify-full", "mode: verify", `log.tls.mode "verify": one of none, prefer, require, verify-ca, verify-full`},
		"no such mechanism":        {"SCRAM-SHA-512", "GSSAPI", `log.sasl.mechanism "GSSAPI": one of SCRAM-SHA-512, SCRAM-SHA-256, PLAIN`},
		"no user":                  {"user: agent-330108, ", "", "log.sasl.user: is missing"},
		"no password":              {", password_env: PW}\nsources", "}\nsources", "log.sasl: set one of password_file and password_env"},
		"password in file":         {"password_env: PW}\nsources", "password: hunter2}\nsources", "use password_file or password_env"},
		"the embedded log":         {"brokers: [\"kafka1:9093\"]", "brokers: [\"127.0.0.1:9093\"]\n  embedded: true", "takes no tls or sasl"},
		"half a certificate":       {", key_file: /etc/a.key", "", "sources[0].tls: cert_file and key_file belong together"},
		"a CA that nobody asks":    {"tls: {ca_file", "tls: {mode: require, ca_file", "sources[0].tls.mode require: ca_file is for verify-ca"},
		"key of tls":               {"ca_file: /etc/ca.pem, cert_file", "cafile: /etc/ca.pem, cert_file", `the nearest known one is "ca_file"`},
		"the name of other days":   {", tls: {ca_file", ", sslmode: require, tls: {ca_file", `unknown key "sslmode"`},
		"a name that isn't looked": {"tls: {mode: verify-full, ca", "tls: {mode: verify-ca, server_name: k, ca", "log.tls.mode verify-ca"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(secureAgent, tt.from, tt.to, 1)
			if tt.from != "" && text == secureAgent {
				t.Fatal("the case changes nothing")
			}
			var a Agent
			err := Decode([]byte(text), &a)
			if tt.want == "" {
				if err != nil || a.Sources[0].TLS.Peer().On("db1").Mode != peer.VerifyFull {
					t.Errorf("%+v, %v", a, err)
				}
				return
			}
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
