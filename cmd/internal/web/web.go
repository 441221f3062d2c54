// Package web has what all pages of the program give to browsers alike: the headers that keep
// a page to itself, and under which names a page of this machine alone answers.
package web

import (
	"net"
	"net/http"
	"strings"

	"github.com/tributary-cdc/tributary/stream/peer"
)

// Protect sets the headers of an answer that keep other sites' pages out of it, and it out of
// caches. policy is its Content-Security-Policy.
func Protect(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-store")
}

// Host gives the name or address of a request's host, or of an address, without its port.
func Host(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// Loopback protects the answers of a page that is this machine's own, and refuses requests
// under another name than loopback's (RFC 9110, 15.5.20): a foreign page could have a name of
// its own resolve to 127.0.0.1.
func Loopback(policy string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Protect(w.Header(), policy)
		if !peer.Loopback(Host(r.Host)) {
			http.Error(w, "this page answers under a loopback address only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
