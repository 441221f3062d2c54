// Package log is the vocabulary of a log: records, batches, offsets, and the
// two interfaces through which everything else appends to a partition and
// fetches from one. It does no I/O and knows no broker; stream/kafka implements
// the interfaces for whatever speaks the Kafka protocol.
package log

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Offset is a record's place in a partition. The first record of a topic has 0.
type Offset int64

// Earliest asks for the oldest record that the partition still holds.
const Earliest Offset = -2

// Partition names one partition of one topic.
type Partition struct {
	Topic string
	Index int32
}

// String gives "topic/index".
func (p Partition) String() string { return fmt.Sprintf("%s/%d", p.Topic, p.Index) }

// MarshalText gives the same.
func (p Partition) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePartition.
func (p *Partition) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePartition(string(b))
	return err
}

// ParsePartition reads what String gives. Its error wraps ErrBadPartition.
func ParsePartition(s string) (Partition, error) {
	i := strings.LastIndexByte(s, '/')
	if i <= 0 {
		return Partition{}, fmt.Errorf("%w: %q", ErrBadPartition, s)
	}
	n, err := strconv.ParseInt(s[i+1:], 10, 32)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s[i+1:] {
		return Partition{}, fmt.Errorf("%w: %q", ErrBadPartition, s)
	}
	return Partition{Topic: s[:i], Index: int32(n)}, nil
}

// ErrBadPartition reports a text that names no partition.
var ErrBadPartition = errors.New("not a partition, topic/index")

// Producer identifies who wrote a batch: the broker's producer id and its epoch.
// Both are -1 for a writer without idempotence.
type Producer struct {
	ID    int64
	Epoch int16
}

// NoProducer is the identity of a batch written without idempotence.
var NoProducer = Producer{ID: -1, Epoch: -1}

// String gives "id/epoch".
func (p Producer) String() string { return fmt.Sprintf("%d/%d", p.ID, p.Epoch) }

// Errors that callers branch on. Everything else that an Appender or Fetcher
// returns is either a context's error or unknown, and unknown means stop.
var (
	// ErrFenced: a newer producer of the same source has opened (broker error 47,
	// or 90). The writer must stop for good; a retry can never succeed.
	ErrFenced = errors.New("fenced by a newer producer of the same source")
	// ErrUnknownOutcome: the batch may or may not be in the log and can't be sent
	// again safely. The writer opens again and reads the tail.
	ErrUnknownOutcome = errors.New("outcome of the append is unknown")
	// ErrOffsetOutOfRange: the wanted offset is below the oldest record or beyond
	// the end: retention passed the reader, or the topic was recreated.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrCorrupt: a batch's checksum or framing is wrong.
	ErrCorrupt = errors.New("corrupt batch")
	// ErrTooLarge: the broker or the topic refuses a batch of this size.
	ErrTooLarge = errors.New("batch larger than the topic allows")
	// ErrUnknownTopic: the topic or partition doesn't exist.
	ErrUnknownTopic = errors.New("unknown topic or partition")
	// ErrTopicConfig: a topic's settings would break a promise.
	ErrTopicConfig = errors.New("topic settings refused")
	// ErrNotDurable: one broker's loss would take acknowledged records with it, and
	// nobody has declared that this is wanted.
	ErrNotDurable = errors.New("log isn't durable")
	// ErrSizeBound: a topic deletes records by its size, whoever hasn't read them. It is
	// told, and stops nobody.
	ErrSizeBound = errors.New("topic is bounded by its size")
	// ErrLogin: the broker doesn't know the user, the password or the mechanism. Only a
	// person can help; asking again is safe.
	ErrLogin = errors.New("login refused by the log")
	// ErrForbidden: the broker's ACLs don't let the user do this. As ErrLogin.
	ErrForbidden = errors.New("forbidden by the log's ACLs")
	// ErrUnavailable: no answer from the broker. Retrying is safe.
	ErrUnavailable = errors.New("log unavailable")
)

// Appender writes to one partition as one fenced, idempotent producer.
// It is used by one goroutine; at most one batch is in flight.
type Appender interface {
	// Open raises the producer epoch of the source (InitProducerID). Records that
	// are appended afterwards carry the returned identity; the caller's first
	// record must be its open record, because older producers are refused only
	// from that record on. Open may be called again between two appends.
	Open(ctx context.Context) (Producer, error)
	// Append writes the records as one batch and blocks until the log has it with
	// acks=all; it repeats the same bytes and sequence until acknowledged, the
	// context ends, or repeating isn't safe any more (ErrUnknownOutcome). It
	// returns the offset of the first record. The buffer stays the caller's and
	// may be reset afterwards.
	Append(ctx context.Context, r *Records) (Offset, error)
}

// Packer is what an Appender may be besides: one that can do a part of its work ahead.
type Packer interface {
	// Pack compresses the records, so that appending them takes less time. It may be
	// called while others are appended, by another goroutine. Nothing may be added to
	// them meanwhile.
	Pack(r *Records) error
}

// Clocked is what an Appender may be besides: one that knows the broker's clock.
type Clocked interface {
	// Ahead says by how much this machine's clock is ahead of the broker's at most, which is
	// below 0 for one that is behind, and false while that isn't known. The last append has
	// shown it: the broker had written before its answer came. Any goroutine may call it.
	Ahead() (time.Duration, bool)
}

// Fetcher reads one partition. It is used by one goroutine.
type Fetcher interface {
	// Fetch blocks until at least one batch at or above from is there, or wait
	// has passed (then it returns none and no error), or ctx ends. Batches are
	// whole: the first may begin below from, and the caller skips those records.
	// They and all bytes in them are valid until the next call.
	Fetch(ctx context.Context, from Offset, wait time.Duration) ([]Batch, error)
	// Bounds returns the offset of the oldest record and the one after the newest.
	Bounds(ctx context.Context) (first, end Offset, err error)
}

// Batch is one record batch as the broker stored it, decompressed.
type Batch struct {
	Base, Last Offset    // offsets of the first and the last record
	Producer   Producer  // who wrote it
	Appended   time.Time // the broker's time (LogAppendTime), or the producer's
	LogAppend  bool      // whether Appended is the broker's
	Control    bool      // a transaction marker of Kafka itself; it carries no record of ours
	Count      int       // number of records
	Size       int       // bytes on the wire
	Data       []byte    // the records, in format v2
}

// Each calls f for each record in order, until f fails. It returns f's error, or
// one that wraps ErrCorrupt: also for an offset that doesn't rise within the
// batch's own. The record's bytes are views into the batch.
func (b *Batch) Each(f func(Offset, *Record) error) error {
	var rec Record
	rest, least := b.Data, int64(0)
	for i := range b.Count {
		delta, n, err := rec.parse(rest)
		if err != nil {
			return fmt.Errorf("record %d of the batch at offset %d: %w", i, b.Base, err)
		}
		if delta < least || delta > int64(b.Last-b.Base) {
			return fmt.Errorf("record %d of the batch at offset %d is at %d of %d: %w", i, b.Base, delta, b.Last-b.Base, ErrCorrupt)
		}
		rest, least = rest[n:], delta+1
		if err := f(b.Base+Offset(delta), &rec); err != nil {
			return err
		}
	}
	if len(rest) != 0 {
		return fmt.Errorf("batch at offset %d: %d bytes after the last record: %w", b.Base, len(rest), ErrCorrupt)
	}
	return nil
}
