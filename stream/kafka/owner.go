package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/tributary-cdc/tributary/stream/log"
)

// stillOurs refuses to open again a producer that a newer one has fenced. Apache
// Kafka does so by itself (error 90); the embedded log gives any former owner
// the next epoch, so it is asked first who owns the transactional id.
func (p *Producer) stillOurs(ctx context.Context) error {
	rctx, cancel := p.c.bounded(ctx, 0)
	defer cancel()
	res, err := p.c.transport.RoundTrip(rctx, p.c.raw.Addr, &rawOwner{transactionalID: p.o.TransactionalID})
	if err != nil {
		return classify(err)
	}
	owner, err := res.(*ownerAnswer).producer()
	if errors.Is(err, errNoOwner) {
		return nil // InitProducerID decides
	}
	if err != nil {
		return err
	}
	if owner != p.id {
		return fmt.Errorf("producer %s has given way to %s: %w", p.id, owner, log.ErrFenced)
	}
	return nil
}

// rawOwner is a DescribeTransactions request of version 0, which the client
// library lacks (Kafka protocol guide, "DescribeTransactions API").
type rawOwner struct{ transactionalID string }

const keyDescribeTransactions protocol.ApiKey = 65

const unknownTransactionalID = 105 // TRANSACTIONAL_ID_NOT_FOUND

var errNoOwner = errors.New("transactional id is unknown to the broker")

var (
	_ protocol.RawExchanger  = (*rawOwner)(nil)
	_ protocol.BrokerMessage = (*rawOwner)(nil)
)

func (*rawOwner) ApiKey() protocol.ApiKey { return keyDescribeTransactions }

func (*rawOwner) Required(map[protocol.ApiKey]int16) bool { return true }

// Broker takes any: the embedded log has one.
func (*rawOwner) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	for _, b := range cluster.Brokers {
		return b, nil
	}
	return protocol.Broker{}, protocol.ErrNoLeader
}

// RawExchange implements protocol.RawExchanger.
func (r *rawOwner) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	b := binary.BigEndian.AppendUint16(make([]byte, 4), uint16(keyDescribeTransactions))
	b = append(b, 0, 0)       // version
	b = append(b, 0, 0, 0, 1) // correlation id
	b = appendString(b, "tributary")
	b = append(b, 0, 2) // no tags; one transactional id
	b = binary.AppendUvarint(b, uint64(len(r.transactionalID))+1)
	b = append(b, r.transactionalID...)
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if _, err := rw.Write(b); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > 1<<20 {
		return nil, fmt.Errorf("answer about a producer of %d bytes: %w", size, log.ErrCorrupt)
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(rw, frame); err != nil {
		return nil, err
	}
	return &ownerAnswer{frame: frame}, nil
}

// ownerAnswer is the bytes of a DescribeTransactions response.
type ownerAnswer struct{ frame []byte }

func (*ownerAnswer) ApiKey() protocol.ApiKey { return keyDescribeTransactions }

// producer reads who owns the only transactional id of the answer.
func (a *ownerAnswer) producer() (log.Producer, error) {
	d := decoder{b: a.frame}
	d.skip(4 + 1 + 4 + 1) // correlation id, tags, throttle time, number of states
	code := d.int16()
	d.skip(d.compact()) // transactional id
	d.skip(d.compact()) // state
	d.skip(4 + 8)       // timeout, start
	high, low := uint64(uint32(d.int32())), uint64(uint32(d.int32()))
	owner := log.Producer{ID: int64(high<<32 | low), Epoch: d.int16()}
	if code == unknownTransactionalID {
		return log.NoProducer, errNoOwner
	}
	if code != 0 {
		return log.NoProducer, classify(kafkago.Error(code))
	}
	if d.bad {
		return log.NoProducer, fmt.Errorf("answer about a producer ends early: %w", log.ErrCorrupt)
	}
	return owner, nil
}

// compact reads the length of a compact string.
func (d *decoder) compact() int {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n == 0 || n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return int(n) - 1
}
