package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/tributary-cdc/tributary/stream/log"
)

// Fetcher implements log.Fetcher by raw Fetch requests, so that batches keep
// their producer and no record is allocated. It is used by one goroutine.
type Fetcher struct {
	c       *Client
	p       log.Partition
	max     int32
	wire    []byte
	plain   []byte
	batches []log.Batch
}

// Fetcher reads a partition; maxBytes bounds one fetch, 0 for 8 MiB. A larger
// batch comes whole all the same.
func (c *Client) Fetcher(p log.Partition, maxBytes int) *Fetcher {
	if maxBytes <= 0 {
		maxBytes = 8 << 20
	}
	return &Fetcher{c: c, p: p, max: int32(maxBytes)}
}

// Bounds implements log.Fetcher.
func (f *Fetcher) Bounds(ctx context.Context) (first, end log.Offset, err error) {
	rctx, cancel := f.c.bounded(ctx, 0)
	defer cancel()
	res, err := f.c.raw.ListOffsets(rctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{
		f.p.Topic: {kafkago.FirstOffsetOf(int(f.p.Index)), kafkago.LastOffsetOf(int(f.p.Index))},
	}})
	if err != nil {
		return 0, 0, fmt.Errorf("list offsets of %s: %w", f.p, f.c.route(rctx, f.p, err))
	}
	for _, po := range res.Topics[f.p.Topic] {
		if po.Partition != int(f.p.Index) {
			continue
		}
		if po.Error != nil {
			return 0, 0, fmt.Errorf("list offsets of %s: %w", f.p, classify(po.Error))
		}
		return log.Offset(po.FirstOffset), log.Offset(po.LastOffset), nil
	}
	return 0, 0, fmt.Errorf("list offsets of %s: %w", f.p, log.ErrUnknownTopic)
}

// Fetch implements log.Fetcher.
func (f *Fetcher) Fetch(ctx context.Context, from log.Offset, wait time.Duration) ([]log.Batch, error) {
	if from < 0 {
		first, _, err := f.Bounds(ctx)
		if err != nil {
			return nil, err
		}
		from = first
	}
	rctx, cancel := f.c.bounded(ctx, wait)
	defer cancel()
	req := &rawFetch{p: f.p, from: from, max: f.max, wait: wait, buf: f.wire}
	res, err := f.c.transport.RoundTrip(rctx, f.c.raw.Addr, req)
	if err != nil {
		return nil, fmt.Errorf("fetch %s from %d: %w", f.p, from, f.c.route(rctx, f.p, err))
	}
	answer := res.(*rawAnswer)
	f.wire = answer.frame
	set, err := answer.records()
	if err != nil {
		return nil, fmt.Errorf("fetch %s from %d: %w", f.p, from, classify(err))
	}
	return f.decode(set, from)
}

// decode splits a record set into batches and drops those below from. A damaged
// batch is an error only once it is the first one.
func (f *Fetcher) decode(set []byte, from log.Offset) ([]log.Batch, error) {
	f.batches, f.plain = f.batches[:0], f.plain[:0]
	type span struct{ start, end int }
	var spans []span
	for len(set) > 0 {
		start := len(f.plain)
		b, n, plain, err := decodeBatch(set, f.plain)
		if err != nil && len(f.batches) == 0 {
			return nil, fmt.Errorf("%s: %w", f.p, err)
		}
		if err != nil || n == 0 { // a damaged batch waits until those before it are taken
			break
		}
		set = set[n:]
		if b.Last < from {
			f.plain = plain[:start]
			continue
		}
		f.plain = plain
		f.batches = append(f.batches, b)
		spans = append(spans, span{start, len(plain)})
	}
	for i, s := range spans { // the buffer may have moved while it grew
		f.batches[i].Data = f.plain[s.start:s.end]
	}
	return f.batches, nil
}

// rawFetch is a Fetch request of version 4 to 11 that writes itself to the
// connection and reads the answer's bytes (Kafka protocol guide, "Fetch API").
type rawFetch struct {
	p    log.Partition
	from log.Offset
	max  int32
	wait time.Duration
	buf  []byte
}

// fetchVersion is what every broker since Kafka 2.3 and the embedded log speak.
const fetchVersion = 11

var (
	_ protocol.RawExchanger  = (*rawFetch)(nil)
	_ protocol.BrokerMessage = (*rawFetch)(nil)
)

func (r *rawFetch) ApiKey() protocol.ApiKey { return protocol.Fetch }

func (r *rawFetch) Required(map[protocol.ApiKey]int16) bool { return true }

// Broker sends the request to the partition's leader.
func (r *rawFetch) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	t, ok := cluster.Topics[r.p.Topic]
	if !ok {
		return protocol.Broker{}, fmt.Errorf("%s: %w", r.p, protocol.ErrNoTopic)
	}
	part, ok := t.Partitions[r.p.Index]
	if !ok {
		return protocol.Broker{}, fmt.Errorf("%s: %w", r.p, protocol.ErrNoPartition)
	}
	b, ok := cluster.Brokers[part.Leader]
	if !ok {
		return protocol.Broker{}, fmt.Errorf("%s: %w", r.p, protocol.ErrNoLeader)
	}
	return b, nil
}

// RawExchange implements protocol.RawExchanger.
func (r *rawFetch) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	const correlation = 0x54524942
	b := append(r.buf[:0], 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(protocol.Fetch))
	b = binary.BigEndian.AppendUint16(b, fetchVersion)
	b = binary.BigEndian.AppendUint32(b, correlation)
	b = appendString(b, "tributary")
	b = binary.BigEndian.AppendUint32(b, 0xffffffff) // replica: a consumer
	b = binary.BigEndian.AppendUint32(b, uint32(r.wait.Milliseconds()))
	b = binary.BigEndian.AppendUint32(b, 1) // at least this many bytes
	b = binary.BigEndian.AppendUint32(b, uint32(r.max))
	b = append(b, 0)                                 // read uncommitted: no transaction is ever begun
	b = binary.BigEndian.AppendUint32(b, 0)          // no session
	b = binary.BigEndian.AppendUint32(b, 0xffffffff) // session epoch -1: none wanted
	b = binary.BigEndian.AppendUint32(b, 1)
	b = appendString(b, r.p.Topic)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(r.p.Index))
	b = binary.BigEndian.AppendUint32(b, 0xffffffff) // leader epoch unknown
	b = binary.BigEndian.AppendUint64(b, uint64(r.from))
	b = binary.BigEndian.AppendUint64(b, 0xffffffffffffffff) // log start: followers only
	b = binary.BigEndian.AppendUint32(b, uint32(r.max))
	b = binary.BigEndian.AppendUint32(b, 0) // forgotten topics
	b = appendString(b, "")                 // rack
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if _, err := rw.Write(b); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size < 4 || size > maxBatch {
		return nil, fmt.Errorf("fetch answer of %d bytes: %w", size, log.ErrCorrupt)
	}
	if int64(cap(b)) < size {
		b = make([]byte, size)
	}
	b = b[:size]
	if _, err := io.ReadFull(rw, b); err != nil {
		return nil, err
	}
	if got := binary.BigEndian.Uint32(b); got != correlation {
		return nil, fmt.Errorf("fetch answer has correlation id %08x: %w", got, log.ErrCorrupt)
	}
	return &rawAnswer{frame: b}, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// rawAnswer is the bytes of a Fetch response.
type rawAnswer struct{ frame []byte }

func (*rawAnswer) ApiKey() protocol.ApiKey { return protocol.Fetch }

var errShort = fmt.Errorf("fetch answer ends early: %w", log.ErrCorrupt)

// records finds the only partition's record set, or the broker's error.
func (a *rawAnswer) records() ([]byte, error) {
	d := decoder{b: a.frame}
	d.skip(4 + 4) // correlation id, throttle time
	if code := d.int16(); code != 0 {
		return nil, kafkago.Error(code)
	}
	d.skip(4) // session
	if d.int32() != 1 {
		return nil, errShort
	}
	d.skip(int(d.int16())) // topic
	if d.int32() != 1 {
		return nil, errShort
	}
	d.skip(4) // partition
	code := d.int16()
	d.skip(8 + 8 + 8)                          // high watermark, last stable offset, log start
	for n := d.int32(); n > 0 && !d.bad; n-- { // aborted transactions
		d.skip(16)
	}
	d.skip(4) // preferred replica
	size := d.int32()
	if code != 0 {
		return nil, kafkago.Error(code)
	}
	if d.bad || int64(size) > int64(len(d.b)) {
		return nil, errShort
	}
	if size <= 0 {
		return nil, nil
	}
	return d.b[:size], nil
}

// decoder reads big endian numbers; bad is set once bytes run out.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) skip(n int) {
	if n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return
	}
	d.b = d.b[n:]
}

func (d *decoder) int16() int16 {
	if len(d.b) < 2 {
		d.bad, d.b = true, nil
		return 0
	}
	v := int16(binary.BigEndian.Uint16(d.b))
	d.b = d.b[2:]
	return v
}

func (d *decoder) int32() int32 {
	if len(d.b) < 4 {
		d.bad, d.b = true, nil
		return 0
	}
	v := int32(binary.BigEndian.Uint32(d.b))
	d.b = d.b[4:]
	return v
}

// ReadAll calls f for every record that the partition holds now, in order.
func (c *Client) ReadAll(ctx context.Context, p log.Partition, f func(log.Offset, *log.Record) error) (end log.Offset, err error) {
	return c.ReadFrom(ctx, p, log.Earliest, f)
}

// ReadFrom is ReadAll from an offset on. It returns the offset after the last record.
func (c *Client) ReadFrom(ctx context.Context, p log.Partition, from log.Offset, f func(log.Offset, *log.Record) error) (log.Offset, error) {
	fetcher := c.Fetcher(p, 0)
	first, end, err := fetcher.Bounds(ctx)
	if err != nil {
		return 0, err
	}
	for from = max(from, first); from < end; {
		batches, err := fetcher.Fetch(ctx, from, 500*time.Millisecond)
		if err != nil {
			return 0, err
		}
		for i := range batches {
			b := &batches[i]
			err := b.Each(func(o log.Offset, r *log.Record) error {
				if o < from || b.Control {
					return nil
				}
				return f(o, r)
			})
			if err != nil {
				return 0, err
			}
			from = b.Last + 1
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	return end, nil
}

// Put writes one record with acks=all, without idempotence: it may stand twice
// after a lost answer, which topics read by key or by content can bear. A broker
// that refuses it for a passing reason (a leader is being elected) is asked again
// within the client's time limit.
func (c *Client) Put(ctx context.Context, p log.Partition, key, value []byte) (log.Offset, error) {
	var r log.Records
	r.Add(key, value)
	return c.put(ctx, p, &r)
}

// PutAll is Put for many records, as one batch.
func (c *Client) PutAll(ctx context.Context, p log.Partition, r *log.Records) error {
	_, err := c.put(ctx, p, r)
	return err
}

func (c *Client) put(ctx context.Context, p log.Partition, r *log.Records) (log.Offset, error) {
	pr := &Producer{c: c, o: ProducerOptions{Partition: p}}
	buf, err := encodeBatch(make([]byte, 4), header{producer: log.NoProducer, sequence: -1, at: time.Now()}, r, Uncompressed)
	if err != nil {
		return 0, err
	}
	binary.BigEndian.PutUint32(buf, uint32(len(buf)-4))
	limit := time.Now().Add(c.timeout)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		o, err := pr.send(ctx, buf)
		if err == nil {
			return o, nil
		}
		err = fmt.Errorf("put to %s: %w", p, c.route(ctx, p, err))
		if !errors.Is(err, log.ErrUnavailable) {
			return 0, err
		}
		if !refusedAsIs(err) {
			c.Close()
			return 0, err
		}
		if time.Now().Add(pause).After(limit) || !sleep(ctx, jitter(pause)) {
			return 0, err
		}
	}
}
