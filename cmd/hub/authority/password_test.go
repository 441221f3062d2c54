package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"
)

// TestPassword: a password is the authority's, the agent's and the round's, the same from
// each hub with the key; sealed, only the agent's key opens it, for the agent alone.
func TestPassword(t *testing.T) {
	dir := t.TempDir()
	a, known, err := open(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := open(t, dir, known)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := open(t, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for name, tt := range map[string]struct {
		a     *Authority
		agent string
		round int
	}{"the first": {a, "330106.1", 0}, "another agent": {a, "330106.11", 0}, "another round": {a, "330106.1", 1}, "another authority": {other, "330106.1", 0}} {
		p, err := tt.a.Password(tt.agent, tt.round)
		if err != nil || len(p) != 64 || seen[p] != "" {
			t.Errorf("%s: %q as %s, %v", name, p, seen[p], err)
		}
		seen[p] = name
	}
	password, err := again.Password("330106.1", 0)
	if err != nil || seen[password] != "the first" {
		t.Errorf("another hub with the key: %q, %v", password, err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := Seal(own.Public(), "330106.1", password)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Unseal(own, "330106.1", sealed); err != nil || got != password {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Unseal(stranger, "330106.1", sealed); err == nil {
		t.Error("another key opens it")
	}
	if _, err := Unseal(own, "330106.2", sealed); err == nil {
		t.Error("it opens for another agent")
	}
	for n := range sealed {
		if _, err := Unseal(own, "330106.1", sealed[:n]); err == nil {
			t.Errorf("%d bytes of it open", n)
		}
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Seal(old.Public(), "330106.1", password); err == nil {
		t.Error("sealed for RSA")
	}
}
