// Package kafka is the log on Apache Kafka's protocol, for brokers of Kafka 2.4
// and newer and for the embedded log. It decides how bytes are written once and
// read back as they were stored; it knows nothing of transactions, rows or
// sources. It uses kafka-go's protocol client and its consumer group, never its
// Writer or Reader: the Writer can't be idempotent, and the Reader serves stale
// messages after a rebalance.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// Options says where the log is. Brokers is required.
type Options struct {
	// Brokers are bootstrap addresses, host:port.
	Brokers []string
	// ClientID names this program in the broker's logs. Default "tributary".
	ClientID string
	// TLS protects all connections. The zero value: verified if a broker is beyond loopback.
	TLS peer.TLS
	// SASL is who this program is; nil for brokers that ask nobody.
	SASL *Login
	// Dial replaces the way to a broker, e.g. through a proxy. Default a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds one request without its waiting time. Default 10s.
	Timeout time.Duration
}

// Client is a connection pool to one cluster. It is safe for concurrent use.
type Client struct {
	raw       *kafkago.Client
	transport *kafkago.Transport
	brokers   []string
	timeout   time.Duration
}

// New makes a client; it connects with the first request.
func New(o Options) (*Client, error) {
	if len(o.Brokers) == 0 {
		return nil, errors.New("kafka options: Brokers is empty")
	}
	if o.ClientID == "" {
		o.ClientID = "tributary"
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	dial, err := o.encrypted()
	if err != nil {
		return nil, err
	}
	t := &kafkago.Transport{ClientID: o.ClientID, MetadataTTL: time.Second, Dial: dial, DialTimeout: dialTimeout}
	if o.SASL != nil {
		if err := o.SASL.check(); err != nil {
			return nil, err
		}
		t.SASL = o.SASL
	}
	return &Client{
		raw:       &kafkago.Client{Addr: kafkago.TCP(o.Brokers...), Transport: t},
		transport: t,
		brokers:   o.Brokers,
		timeout:   o.Timeout,
	}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// isTLS reports whether encryption of a connection is what the error is about.
func isTLS(err error) bool {
	_, ok := errors.AsType[*peer.Error](err)
	return ok
}

// refused are the broker's answers that say the request can't succeed as it is.
var refused = map[kafkago.Error]error{
	kafkago.OffsetOutOfRange:                   log.ErrOffsetOutOfRange,
	kafkago.UnknownTopicOrPartition:            log.ErrUnknownTopic,
	kafkago.MessageSizeTooLarge:                log.ErrTooLarge,
	kafkago.RecordListTooLarge:                 log.ErrTooLarge,
	kafkago.InvalidProducerEpoch:               log.ErrFenced,
	kafkago.Error(90):                          log.ErrFenced, // PRODUCER_FENCED
	kafkago.OutOfOrderSequenceNumber:           log.ErrUnknownOutcome,
	kafkago.UnknownProducerId:                  log.ErrUnknownOutcome,
	kafkago.DuplicateSequenceNumber:            log.ErrUnknownOutcome,
	kafkago.InvalidMessage:                     log.ErrCorrupt,
	kafkago.InvalidProducerIDMapping:           log.ErrFenced,
	kafkago.TransactionCoordinatorFenced:       log.ErrUnavailable,
	kafkago.Unknown:                            log.ErrUnavailable, // the client wraps a broken connection in it
	kafkago.BrokerNotAvailable:                 log.ErrUnavailable,
	kafkago.SASLAuthenticationFailed:           log.ErrLogin,
	kafkago.UnsupportedSASLMechanism:           log.ErrLogin,
	kafkago.IllegalSASLState:                   log.ErrLogin,
	kafkago.TopicAuthorizationFailed:           log.ErrForbidden,
	kafkago.GroupAuthorizationFailed:           log.ErrForbidden,
	kafkago.ClusterAuthorizationFailed:         log.ErrForbidden,
	kafkago.TransactionalIDAuthorizationFailed: log.ErrForbidden,
}

// classify wraps an error of the client in one of package log's, if it is one.
func classify(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if err = peer.Diagnose("the log", err); isTLS(err) {
		return err
	}
	var ke kafkago.Error
	if errors.As(err, &ke) {
		if known, ok := refused[ke]; ok {
			return fmt.Errorf("%w: %w", known, err)
		}
		if ke.Temporary() {
			return fmt.Errorf("%w: %w", log.ErrUnavailable, err)
		}
		return err
	}
	var ne net.Error
	if errors.As(err, &ne) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.ErrNoProgress) {
		return fmt.Errorf("%w: %w", log.ErrUnavailable, err)
	}
	if errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition) || isNoTopic(err) {
		return fmt.Errorf("%w: %w", log.ErrUnknownTopic, err)
	}
	if errors.Is(err, protocol.ErrNoLeader) {
		return fmt.Errorf("%w: %w", log.ErrUnavailable, err)
	}
	return err
}

// route is classify for a request that is sent to a partition's leader. The client, whose
// metadata may be a second old or missing, e.g. after the connections were closed and before
// a broker answers again, then says by itself that there is no such topic. Only metadata that
// a broker sends after that counts.
func (c *Client) route(ctx context.Context, p log.Partition, err error) error {
	err = classify(err)
	if !errors.Is(err, log.ErrUnknownTopic) || errors.Is(err, kafkago.UnknownTopicOrPartition) {
		return err
	}
	old := c.transport
	t := &kafkago.Transport{ClientID: old.ClientID, Dial: old.Dial, DialTimeout: old.DialTimeout, SASL: old.SASL, MetadataTopics: []string{p.Topic}}
	defer t.CloseIdleConnections()
	res, merr := (&kafkago.Client{Addr: c.raw.Addr, Transport: t}).Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{p.Topic}})
	if _, told := errors.AsType[kafkago.Error](merr); told { // a login that is refused, say
		return fmt.Errorf("metadata of topic %s: %w", p.Topic, classify(merr))
	}
	if merr != nil || len(res.Brokers) == 0 {
		return fmt.Errorf("%w: no metadata for topic %s", log.ErrUnavailable, p.Topic)
	}
	for _, topic := range res.Topics {
		if topic.Name == p.Topic && topic.Error == nil && int(p.Index) < len(topic.Partitions) {
			return fmt.Errorf("%w: %w: %s has just been made", log.ErrUnavailable, errNotSent, p)
		}
	}
	return err
}

// errNotSent: the client didn't know yet where to send the request.
var errNotSent = errors.New("not sent")

// isNoTopic recognises the client's routing errors, which have no type.
func isNoTopic(err error) bool { return strings.Contains(err.Error(), "topic not found") }

// bounded gives a request its own time limit.
func (c *Client) bounded(ctx context.Context, extra time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.timeout+extra)
}
