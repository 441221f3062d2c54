package account

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The cost of a password's hash: what OWASP's Password Storage Cheat Sheet takes for
// enough with argon2id. More would let a few logins at once slow the hub down.
const (
	hashTime    = 2
	hashMemory  = 19 << 10 // KiB
	hashThreads = 1
	saltBytes   = 16
	hashBytes   = 32
)

// MinPassword and MaxPassword bound a password, the one in characters, the other in bytes.
const (
	MinPassword = 12
	MaxPassword = 256
)

// GoodPassword reports whether a password may be set: long enough, and neither the
// account's name nor one character over and over.
func GoodPassword(name, password string) bool {
	if len(password) > MaxPassword || utf8.RuneCountInString(password) < MinPassword || !utf8.ValidString(password) {
		return false
	}
	first, _ := utf8.DecodeRuneInString(password)
	return !strings.EqualFold(password, name) && strings.Trim(password, string(first)) != ""
}

// turn bounds the memory of hashes that are made at once.
var turn = make(chan struct{}, 2)

func hash(password string, salt []byte, time, memory uint32, threads uint8) []byte {
	turn <- struct{}{}
	defer func() { <-turn }()
	return argon2.IDKey([]byte(password), salt, time, memory, threads, hashBytes)
}

// Hash gives what is kept of a password: argon2id with a salt of its own (the PHC string
// format).
func Hash(password string) string {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails (Go 1.24 and newer)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads,
		b64.EncodeToString(salt), b64.EncodeToString(hash(password, salt, hashTime, hashMemory, hashThreads)))
}

// nobody is compared with where there is no account, which then takes as long.
var nobody = make([]byte, saltBytes)

// Matches reports whether kept is the hash of the password. It takes as long if kept is
// empty, as for an account that doesn't exist.
func Matches(kept, password string) bool {
	if kept == "" || len(password) > MaxPassword {
		hash("", nobody, hashTime, hashMemory, hashThreads)
		return false
	}
	var version int
	var memory, time uint32
	var threads uint8
	parts := strings.Split(kept, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false
	}
	_, err1 := fmt.Sscanf(parts[2], "v=%d", &version)
	_, err2 := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads)
	salt, err3 := base64.RawStdEncoding.DecodeString(parts[4])
	sum, err4 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || version != argon2.Version || memory > 1<<20 || time < 1 || time > 100 || threads < 1 {
		return false
	}
	return subtle.ConstantTimeCompare(hash(password, salt, time, memory, threads), sum) == 1
}

// Secret makes a token that nobody can guess (130 bits), for a link, a session or an
// invitation.
func Secret() string { return rand.Text() }

// Digest is what is kept of a token.
func Digest(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
