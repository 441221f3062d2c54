package config

import (
	"cmp"
	"errors"
	"os"

	"github.com/tributary-cdc/tributary/cmd/internal/sealed"
)

// Password gives the source's password, wherever it is. It never stands in an error.
func (s *Source) Password() (string, error) {
	if s.Typed != nil {
		return *s.Typed, nil
	}
	if s.Sealed == "" {
		return s.Secret.Read()
	}
	name := cmp.Or(sealed.Credentials(), s.key)
	if name == "" {
		return "", &Finding{Code: codeSecret, place: "password_key", text: isMissing}
	}
	key, err := sealed.ReadKey(name)
	if errors.Is(err, sealed.ErrKey) {
		return "", &Finding{Code: codeKeyFile, place: name, text: noKey}
	} else if err != nil {
		return "", &Finding{Code: codeKeyFile, place: "password_key", text: cantRead, args: []any{err}}
	}
	text, err := os.ReadFile(s.Sealed)
	if err != nil {
		return "", &Finding{Code: codeSecret, place: "password_sealed", text: cantRead, args: []any{err}}
	}
	switch password, err := key.Open(s.Name, text); {
	case errors.Is(err, sealed.ErrOtherKey):
		return "", &Finding{Code: codeKeyOther, place: s.Sealed, text: otherKey, args: []any{name}}
	case err != nil:
		return "", &Finding{Code: codeDamaged, place: s.Sealed, text: damagedPassword}
	default:
		return password, nil
	}
}

// checkPassword: there is exactly one way to it.
func (s *Source) checkPassword(where string) error {
	switch {
	case s.Sealed != "" && s.Secret != (Secret{}):
		return &Finding{Code: codeSecret, place: where, text: oneSecret}
	case s.Sealed != "" && s.key == "" && sealed.Credentials() == "":
		return missing("password_key", keyOfSealed)
	case s.Sealed == "":
		return s.Secret.check(where)
	}
	return nil
}
