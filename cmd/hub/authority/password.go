package authority

import (
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
)

// passwordBytes is the length of a password before it is text: 256 bits.
const passwordBytes = 32

// passwordPurpose keeps passwords apart from whatever else comes from the key.
const passwordPurpose = "tributary password of the log v1\n"

// Password gives an agent's password for the log: 64 hexadecimal digits. It comes from the
// authority's key, so that it stands nowhere, and all hubs with the key give the same. Another
// round gives another one.
func (a *Authority) Password(agent string, round int) (string, error) {
	key, err := a.key.Bytes()
	if err != nil {
		return "", fmt.Errorf("password of %s: %w", agent, err)
	}
	b, err := hkdf.Key(sha256.New, key, nil, fmt.Sprintf("%s%s\n%d", passwordPurpose, agent, round), passwordBytes)
	if err != nil {
		return "", fmt.Errorf("password of %s: %w", agent, err)
	}
	return hex.EncodeToString(b), nil
}

// tokenPurpose does the same for tokens.
const tokenPurpose = "tributary token v1\n"

// tokenLength is that of a token: 130 bits.
const tokenLength = 26

// Token gives a token that nobody can guess without the authority's key, in the form of an
// account's secret. The same text gives the same one, at all hubs with the key.
func (a *Authority) Token(text string) (string, error) {
	key, err := a.key.Bytes()
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	b, err := hkdf.Key(sha256.New, key, nil, tokenPurpose+text, passwordBytes)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return base32.StdEncoding.EncodeToString(b)[:tokenLength], nil
}

// sealing says for whom something is sealed: it opens for nobody else.
func sealing(agent string) []byte { return []byte("tributary sealed for an agent v1\n" + agent) }

// Seal encrypts a secret for the key of an agent's certificate (HPKE, RFC 9180, base mode).
func Seal(key any, agent, secret string) ([]byte, error) {
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("seal for %s: a key of the kind %T", agent, key)
	}
	to, err := public.ECDH()
	if err != nil {
		return nil, fmt.Errorf("seal for %s: %w", agent, err)
	}
	recipient, err := hpke.NewDHKEMPublicKey(to)
	if err != nil {
		return nil, fmt.Errorf("seal for %s: %w", agent, err)
	}
	return hpke.Seal(recipient, hpke.HKDFSHA256(), hpke.AES256GCM(), sealing(agent), []byte(secret))
}

// errSealed says nothing of what was sealed.
var errSealed = errors.New("it isn't sealed for this agent and its key")

// Unseal gives what was sealed for an agent's key.
func Unseal(key *ecdsa.PrivateKey, agent string, sealed []byte) (string, error) {
	own, err := key.ECDH()
	if err != nil {
		return "", fmt.Errorf("unseal for %s: %w", agent, err)
	}
	reader, err := hpke.NewDHKEMPrivateKey(own)
	if err != nil {
		return "", fmt.Errorf("unseal for %s: %w", agent, err)
	}
	b, err := hpke.Open(reader, hpke.HKDFSHA256(), hpke.AES256GCM(), sealing(agent), sealed)
	if err != nil {
		return "", errSealed
	}
	return string(b), nil
}
