package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/tributary-cdc/tributary/stream/log"
)

// ProducerOptions says what a Producer writes to.
type ProducerOptions struct {
	Partition log.Partition
	// TransactionalID names the source; InitProducerID with it fences older producers
	// of the same name. No transaction is ever begun.
	TransactionalID string
	// Compression of batches. The zero value is none.
	Compression Compression
	// KeepsState says that the broker remembers its producers over a restart, so that
	// the same batch may be sent again after a lost connection (Apache Kafka does;
	// the embedded log only after a clean close).
	KeepsState bool
}

// Producer implements log.Appender. It is used by one goroutine.
type Producer struct {
	c        *Client
	o        ProducerOptions
	id       log.Producer
	sequence int32
	buf      []byte
	ahead    atomic.Pointer[time.Duration] // see Ahead; nil while nothing is known
}

// Ahead implements log.Clocked. The topic must have LogAppendTime.
func (p *Producer) Ahead() (time.Duration, bool) {
	if d := p.ahead.Load(); d != nil {
		return *d, true
	}
	return 0, false
}

// Producer makes an appender; nothing is sent before Open.
func (c *Client) Producer(o ProducerOptions) *Producer {
	return &Producer{c: c, o: o, id: log.NoProducer}
}

// Open implements log.Appender. A coordinator that is still loading (errors 14,
// 15, 16) is asked again until ctx ends.
func (p *Producer) Open(ctx context.Context) (log.Producer, error) {
	if p.id.ID >= 0 && !p.o.KeepsState {
		if err := p.stillOurs(ctx); err != nil {
			return log.NoProducer, fmt.Errorf("open producer %s again: %w", p.o.TransactionalID, err)
		}
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		rctx, cancel := p.c.bounded(ctx, 0)
		res, err := p.c.raw.InitProducerID(rctx, &kafkago.InitProducerIDRequest{
			TransactionalID: p.o.TransactionalID, TransactionTimeoutMs: 60_000,
			ProducerID: int(p.id.ID), ProducerEpoch: int(p.id.Epoch),
		})
		cancel()
		if err == nil {
			err = res.Error
		}
		if err == nil {
			p.id = log.Producer{ID: int64(res.Producer.ProducerID), Epoch: int16(res.Producer.ProducerEpoch)}
			p.sequence = 0
			return p.id, nil
		}
		err = fmt.Errorf("open producer %s: %w", p.o.TransactionalID, classify(err))
		if ctx.Err() != nil || !coordinatorMoves(err) {
			return log.NoProducer, err
		}
		if !sleep(ctx, jitter(pause)) {
			return log.NoProducer, err
		}
	}
}

func coordinatorMoves(err error) bool {
	return errors.Is(err, kafkago.GroupLoadInProgress) || errors.Is(err, kafkago.GroupCoordinatorNotAvailable) ||
		errors.Is(err, kafkago.NotCoordinatorForGroup) || errors.Is(err, kafkago.ConcurrentTransactions)
}

// Pack implements log.Packer.
func (p *Producer) Pack(r *log.Records) error {
	err := r.Pack(int8(p.o.Compression), func(dst, data []byte) ([]byte, error) {
		return compress(append(dst, make([]byte, packedAt)...), data, p.o.Compression)
	})
	if err != nil {
		return fmt.Errorf("compress batch of %d records: %w", r.Count(), err)
	}
	return nil
}

// Append implements log.Appender.
func (p *Producer) Append(ctx context.Context, r *log.Records) (log.Offset, error) {
	if p.id.ID < 0 {
		return 0, fmt.Errorf("append to %s before Open", p.o.Partition)
	}
	buf, err := p.set(r, time.Now())
	if err != nil {
		return 0, err
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		base, err := p.send(ctx, buf)
		if err == nil {
			// Sequences wrap at 2^31 (RecordBatch, baseSequence); a producer is opened
			// again long before that.
			p.sequence = int32((int64(p.sequence) + int64(r.Count())) & (1<<31 - 1))
			return base, nil
		}
		err = fmt.Errorf("append %d records to %s: %w", r.Count(), p.o.Partition, p.c.route(ctx, p.o.Partition, err))
		if !errors.Is(err, log.ErrUnavailable) || ctx.Err() != nil {
			return 0, err
		}
		if !p.o.KeepsState && !refusedAsIs(err) {
			return 0, fmt.Errorf("%w: %w", log.ErrUnknownOutcome, err)
		}
		if !sleep(ctx, jitter(pause)) {
			return 0, err
		}
	}
}

// set gives the records as a record set of one batch, which begins with its own length. It
// lies in the records' memory or in the producer's.
func (p *Producer) set(r *log.Records, at time.Time) ([]byte, error) {
	h := header{producer: p.id, sequence: p.sequence, at: at}
	buf, packed := r.Packed(int8(p.o.Compression))
	if packed {
		h.put(buf[setLength:], r.Count(), p.o.Compression)
	} else {
		var err error
		if buf, err = encodeBatch(append(p.buf[:0], make([]byte, setLength)...), h, r, p.o.Compression); err != nil {
			return nil, err
		}
		p.buf = buf
	}
	binary.BigEndian.PutUint32(buf, uint32(len(buf)-setLength))
	return buf, nil
}

// refusedAsIs reports an answer of the broker, which then has not written the batch, or that
// it was never asked.
func refusedAsIs(err error) bool {
	var ke kafkago.Error
	return errors.Is(err, errNotSent) || errors.As(err, &ke) && ke != kafkago.RequestTimedOut && ke != kafkago.NotEnoughReplicasAfterAppend
}

func (p *Producer) send(ctx context.Context, buf []byte) (log.Offset, error) {
	rctx, cancel := p.c.bounded(ctx, 0)
	defer cancel()
	res, err := p.c.raw.RawProduce(rctx, &kafkago.RawProduceRequest{
		Topic: p.o.Partition.Topic, Partition: int(p.o.Partition.Index), RequiredAcks: kafkago.RequireAll,
		TransactionalID: "", RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(buf)},
	})
	if err != nil {
		return 0, err
	}
	if res.Error != nil {
		return 0, res.Error
	}
	if at := res.LogAppendTime; !at.IsZero() {
		ahead := time.Since(at)
		p.ahead.Store(&ahead)
	}
	return log.Offset(res.BaseOffset), nil
}

// jitter gives between half and all of a pause.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// sleep waits and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
