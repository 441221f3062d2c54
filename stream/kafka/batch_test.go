package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/log"
)

func sample(t testing.TB, c Compression) ([]byte, *log.Records) {
	var r log.Records
	r.Add(nil, nil, log.Header{Key: "tributary.open", Value: []byte{1}})
	r.Add([]byte("key"), bytes.Repeat([]byte("value"), 50))
	b, err := encodeBatch(nil, header{producer: log.Producer{ID: 7, Epoch: 3}, sequence: 5, at: time.UnixMilli(1_700_000_000_000)}, &r, c)
	if err != nil {
		t.Fatal(err)
	}
	return b, &r
}

func TestBatchRoundTrip(t *testing.T) {
	for _, c := range []Compression{Uncompressed, LZ4, Zstd} {
		raw, r := sample(t, c)
		b, n, _, err := decodeBatch(raw, nil)
		if err != nil || n != len(raw) {
			t.Fatalf("compression %d: %d bytes of %d, %v", c, n, len(raw), err)
		}
		if !bytes.Equal(b.Data, r.Data()) || b.Count != 2 || b.Last != 1 || b.Producer != (log.Producer{ID: 7, Epoch: 3}) {
			t.Errorf("compression %d: read back %+v", c, b)
		}
	}
}

func TestBatchRefusesDamage(t *testing.T) {
	raw, _ := sample(t, LZ4)
	for n := range raw {
		if _, size, _, err := decodeBatch(raw[:n], nil); err != nil || size != 0 {
			t.Fatalf("the first %d bytes: size %d, %v; want an incomplete batch", n, size, err)
		}
	}
	for i := crcStart; i < len(raw); i++ {
		bad := bytes.Clone(raw)
		bad[i] ^= 0x10
		if _, _, _, err := decodeBatch(bad, nil); !errors.Is(err, log.ErrCorrupt) {
			t.Fatalf("a wrong byte %d: %v, want ErrCorrupt", i, err)
		}
	}
}

func FuzzDecodeBatch(f *testing.F) {
	for _, c := range []Compression{Uncompressed, LZ4, Zstd} {
		raw, _ := sample(f, c)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, n, _, err := decodeBatch(raw, nil)
		if err != nil || n == 0 {
			return
		}
		err = b.Each(func(log.Offset, *log.Record) error { return nil })
		if err != nil && !errors.Is(err, log.ErrCorrupt) {
			t.Errorf("records: %v", err)
		}
	})
}

func TestCheckTopic(t *testing.T) {
	changes := map[string]string{"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", "retention.ms": "604800000", "retention.bytes": "-1"}
	forever := map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
	newest := map[string]string{"cleanup.policy": "compact", "retention.ms": "604800000"}
	for name, tt := range map[string]struct {
		topic  string
		good   map[string]string
		change [2]string
	}{
		"create time":             {Changes("1"), changes, [2]string{"message.timestamp.type", "CreateTime"}},
		"compacted":               {Changes("1"), changes, [2]string{"cleanup.policy", "compact"}},
		"short retention":         {Changes("1"), changes, [2]string{"retention.ms", "3600000"}},
		"schemas compacted":       {Schemas("1"), forever, [2]string{"cleanup.policy", "compact"}},
		"schemas that expire":     {Schemas("1"), forever, [2]string{"retention.ms", "604800000"}},
		"schemas bounded by size": {Schemas("1"), forever, [2]string{"retention.bytes", "1073741824"}},
		"checkpoints that expire": {Checkpoints("1"), newest, [2]string{"cleanup.policy", "delete"}},
		"either":                  {Checkpoints("1"), newest, [2]string{"cleanup.policy", "compact,delete"}},
		"status that expires":     {Status("1"), newest, [2]string{"cleanup.policy", "delete"}},
	} {
		if bad := checkTopic("1", tt.topic, tt.good); len(bad) != 0 {
			t.Errorf("%s, good settings: %v", name, bad)
		}
		have := maps.Clone(tt.good)
		have[tt.change[0]] = tt.change[1]
		bad := checkTopic("1", tt.topic, have)
		if len(bad) != 1 || !errors.Is(bad[0], log.ErrTopicConfig) {
			t.Errorf("%s: %v", name, bad)
			continue
		}
		for _, want := range []string{tt.topic, tt.change[0], strconv.Quote(tt.change[1]), "wanted"} {
			if !strings.Contains(bad[0].Error(), want) {
				t.Errorf("%s: %v doesn't say %s", name, bad[0], want)
			}
		}
	}
}

// TestPacked: records that were compressed ahead make the same record set, and only as long
// as they are the same, for a producer of the same compression; also again, and by another one.
func TestPacked(t *testing.T) {
	at := time.UnixMilli(1)
	encode := func(p *Producer, r *log.Records) []byte {
		b, err := p.set(r, at)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(b)
	}
	producer := func(c Compression, id int64) *Producer {
		return &Producer{o: ProducerOptions{Compression: c}, id: log.Producer{ID: id, Epoch: 3}, sequence: 5}
	}
	fresh := func(n int) *log.Records {
		r := &log.Records{}
		for range n {
			r.Add([]byte("key"), bytes.Repeat([]byte("value"), 50))
		}
		return r
	}
	for _, c := range []Compression{Uncompressed, LZ4, Zstd} {
		r := fresh(3)
		if err := producer(c, 7).Pack(r); err != nil {
			t.Fatal(err)
		}
		if _, ok := r.Packed(int8(c)); !ok {
			t.Errorf("compression %d: not packed", c)
		}
		for _, id := range []int64{7, 8, 7} {
			for _, other := range []Compression{Uncompressed, LZ4, Zstd} {
				set := encode(producer(other, id), r)
				if !bytes.Equal(set, encode(producer(other, id), fresh(3))) {
					t.Errorf("packed by compression %d, another record set by %d", c, other)
				}
				batch, size, _, err := decodeBatch(set[setLength:], nil)
				if err != nil || size != len(set)-setLength || int(binary.BigEndian.Uint32(set)) != size || batch.Producer.ID != id || batch.Count != 3 || !bytes.Equal(batch.Data, fresh(3).Data()) {
					t.Errorf("packed by compression %d, sent by %d: %+v in %d of %d bytes, %v", c, other, batch, size, len(set), err)
				}
			}
		}
		r.Add([]byte("key"), bytes.Repeat([]byte("value"), 50))
		if !bytes.Equal(encode(producer(c, 7), r), encode(producer(c, 7), fresh(4))) {
			t.Errorf("compression %d: a record more makes another record set", c)
		}
		r.Reset()
		if _, ok := r.Packed(int8(c)); ok {
			t.Errorf("compression %d: packed after a reset", c)
		}
	}
}
