package envelope

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// VersionHash is a schema.Version as digests take it.
type VersionHash [16]byte

// HashOf gives the bytes of a table's version.
func HashOf(t *schema.Table) (VersionHash, error) {
	var out VersionHash
	v := t.Version()
	if n, err := hex.Decode(out[:], []byte(v)); err != nil || n != len(out) {
		return out, fmt.Errorf("version %q of table %s: %w", v, t.ID(), ErrMalformed)
	}
	return out, nil
}

// Content digests the rows of a batch as FORMAT.md says. The zero value is ready. It
// isn't safe for concurrent use.
type Content struct {
	h    hash.Hash
	head [16 + 4]byte
}

// Row adds a row record by its value.
func (c *Content) Row(version VersionHash, value []byte) { c.add(version, covered(value)) }

// Truncate adds a truncate record.
func (c *Content) Truncate(version VersionHash) { c.add(version, nil) }

func (c *Content) add(version VersionHash, b []byte) {
	if c.h == nil {
		c.h = sha256.New()
	}
	copy(c.head[:], version[:])
	binary.BigEndian.PutUint32(c.head[len(version):], uint32(len(b)))
	_, _ = c.h.Write(c.head[:]) // a hash never fails
	_, _ = c.h.Write(b)
}

// Sum gives the digest of what was added since the last Sum, and begins anew.
func (c *Content) Sum() Digest {
	var d Digest
	if c.h == nil {
		return sha256.Sum256(nil)
	}
	c.h.Sum(d[:0])
	c.h.Reset()
	return d
}

// Reset forgets what was added.
func (c *Content) Reset() {
	if c.h != nil {
		c.h.Reset()
	}
}

// covered is what a digest covers of a row's value: what stays the same when a copy
// of the topic has other schema ids.
func covered(value []byte) []byte {
	if len(value) > 0 && value[0] == '{' || len(value) < frame {
		return value
	}
	return value[frame:]
}

// HeaderHop names a relay that a record has passed; records have one for each, the
// first one first.
const HeaderHop = "hop"

// Hops returns the relays that a record has passed.
func Hops(r *log.Record) []string {
	var out []string
	for i := range r.Headers {
		if string(r.Headers[i].Key) == HeaderHop {
			out = append(out, string(r.Headers[i].Value))
		}
	}
	return out
}
