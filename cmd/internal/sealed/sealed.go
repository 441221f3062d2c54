// Package sealed keeps passwords encrypted in files. It decides what stands in such a file
// and in the file of its key; where they lie is decided elsewhere. See DESIGN.md.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The ways in which a file can't be opened. None of them says anything of a password or a
// key.
var (
	// ErrKey: the key's file isn't one.
	ErrKey = errors.New("not the file of a key")
	// ErrOtherKey: the password was sealed with another key.
	ErrOtherKey = errors.New("sealed with another key")
	// ErrDamaged: the file isn't as it was written, or is another source's.
	ErrDamaged = errors.New("not as it was written, or another source's")
)

const (
	keyBytes = 32 // AES-256
	keyWord  = "tributary-key-1"
	fileWord = "tributary-sealed-1"
	// purpose keeps what is sealed here apart from whatever else a key might seal.
	purpose = "tributary password of a source v1\n"
)

// encoding has one text for the same bytes.
var encoding = base64.StdEncoding.Strict()

// Credential is the name by which systemd may give a program its key.
const Credential = "tributary.key"

// Key seals and opens. It is never printed.
type Key struct{ bytes [keyBytes]byte }

// String tells nothing of the key.
func (k *Key) String() string { return "a key" }

// GoString tells nothing of the key.
func (k *Key) GoString() string { return k.String() }

// id tells one key from another: 8 hexadecimal digits of its SHA-256.
func (k *Key) id() string {
	sum := sha256.Sum256(k.bytes[:])
	return hex.EncodeToString(sum[:4])
}

// NewKey gives the text of a new key's file.
func NewKey() ([]byte, error) {
	var b [keyBytes]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return []byte(keyWord + " " + encoding.EncodeToString(b[:]) + "\n"), nil
}

// Credentials is where systemd has put the key of this process; empty for nowhere.
func Credentials() string {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return ""
	}
	name := filepath.Join(dir, Credential)
	if _, err := os.Stat(name); err != nil {
		return ""
	}
	return name
}

// ReadKey reads a key's file.
func ReadKey(name string) (*Key, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	word, text, ok := strings.Cut(strings.TrimSpace(string(b)), " ")
	key, err := encoding.DecodeString(text)
	if !ok || word != keyWord || err != nil || len(key) != keyBytes {
		return nil, fmt.Errorf("%s: %w", name, ErrKey)
	}
	return &Key{[keyBytes]byte(key)}, nil
}

func (k *Key) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.bytes[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal gives the text of a file from which only this key, and only for the same source,
// gives the password again.
func (k *Key) Seal(source, password string) ([]byte, error) {
	aead, err := k.aead()
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	b := aead.Seal(nil, nil, []byte(password), []byte(purpose+source))
	return []byte(fileWord + " " + k.id() + " " + encoding.EncodeToString(b) + "\n"), nil
}

// Open gives the password of a source from its file's text.
func (k *Key) Open(source string, text []byte) (string, error) {
	parts := strings.Fields(string(text))
	if len(parts) != 3 || parts[0] != fileWord {
		return "", ErrDamaged
	}
	if parts[1] != k.id() {
		return "", ErrOtherKey
	}
	b, err := encoding.DecodeString(parts[2])
	if err != nil {
		return "", ErrDamaged
	}
	aead, err := k.aead()
	if err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	password, err := aead.Open(nil, nil, b, []byte(purpose+source))
	if err != nil {
		return "", ErrDamaged
	}
	return string(password), nil
}
