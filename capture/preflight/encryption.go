package preflight

import "github.com/tributary-cdc/tributary/stream/peer"

// verified is the line of the agent's file that protects a connection best.
const verified = "tls: {mode: verify-full, ca_file: /etc/tributary/source-ca.pem}"

// secured are the repairs of a connection that can't be encrypted as wanted.
var secured = map[string][]Repair{
	peer.Untrusted:   {{Agent: verified}},
	peer.Required:    {{Agent: verified}},
	peer.WrongName:   {{Agent: "tls: {mode: verify-full, ca_file: /etc/tributary/source-ca.pem, server_name: NAME_IN_THE_CERTIFICATE}"}, {Agent: "tls: {mode: verify-ca, ca_file: /etc/tributary/source-ca.pem}", Instead: true}},
	peer.NoClient:    {{Agent: "tls: {mode: verify-full, ca_file: /etc/tributary/source-ca.pem, cert_file: /etc/tributary/agent.crt, key_file: /etc/tributary/agent.key}"}},
	peer.Outdated:    {{Agent: "tls: {mode: verify-full, ca_file: /etc/tributary/source-ca.pem, legacy: true}", Decide: true}},
	peer.Unsupported: {{Agent: "tls: {mode: none}", Decide: true}},
}

// encryption judges how the connection is protected that was made as the reader makes its
// own. version is the one of TLS, empty for plain text.
func (r *Report) encryption(host string, t peer.TLS, version string) {
	severity := Harms
	if peer.Loopback(host) {
		severity = Advice
	}
	t = t.On(host)
	if version == "" {
		r.add(severity, "SOURCE_TLS", "", host, Repair{Agent: verified})
		return
	}
	if !t.Mode.Verifies() {
		r.add(severity, "SOURCE_TLS_UNVERIFIED", "", host+": mode "+string(t.Mode)+", "+version, Repair{Agent: verified})
	}
	if t.Legacy {
		r.add(severity, "SOURCE_TLS_LEGACY", "", host+": "+version)
	}
}
