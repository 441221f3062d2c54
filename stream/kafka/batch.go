package kafka

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/tributary-cdc/tributary/stream/log"
)

// Compression is how a batch's records are compressed, with the codes of the
// record batch's attributes.
type Compression int8

// The compressions that are written. Gzip and snappy aren't read either, because
// only Tributary writes these topics.
const (
	Uncompressed Compression = 0
	LZ4          Compression = 3
	Zstd         Compression = 4
)

// Layout of a record batch of format v2 (Kafka protocol guide, "Record Batch").
const (
	batchOverhead = 61 // bytes before the records
	lengthEnd     = 12 // batchLength counts what follows this place
	crcStart      = 21 // the checksum covers what follows its own four bytes
	compressMask  = 0x07
	appendTimeBit = 0x08
	controlBit    = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what a producer decides about a batch.
type header struct {
	producer log.Producer
	sequence int32
	at       time.Time
}

// packedAt is where the records of packed ones begin: before them is room for a record set's
// length and a batch's header, so that they are sent from where they lie.
const packedAt = setLength + batchOverhead

// setLength is the bytes of a record set's length, which stands before its batches.
const setLength = 4

// encodeBatch appends the records as one batch to dst.
func encodeBatch(dst []byte, h header, r *log.Records, c Compression) ([]byte, error) {
	start := len(dst)
	dst, err := compress(append(dst, make([]byte, batchOverhead)...), r.Data(), c)
	if err != nil {
		return nil, fmt.Errorf("compress batch of %d records: %w", r.Count(), err)
	}
	h.put(dst[start:], r.Count(), c)
	return dst, nil
}

// put writes the header of a batch of so many records, whose bytes lie behind it in b.
func (h *header) put(b []byte, records int, c Compression) {
	binary.BigEndian.PutUint64(b, 0) // the broker's
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-lengthEnd))
	binary.BigEndian.PutUint32(b[12:], 0xffffffff) // partition leader epoch: unknown to a producer
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], uint16(c))
	binary.BigEndian.PutUint32(b[23:], uint32(records-1))
	ms := uint64(h.at.UnixMilli())
	binary.BigEndian.PutUint64(b[27:], ms)
	binary.BigEndian.PutUint64(b[35:], ms)
	binary.BigEndian.PutUint64(b[43:], uint64(h.producer.ID))
	binary.BigEndian.PutUint16(b[51:], uint16(h.producer.Epoch))
	binary.BigEndian.PutUint32(b[53:], uint32(h.sequence))
	binary.BigEndian.PutUint32(b[57:], uint32(records))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[crcStart:], castagnoli))
}

// decodeBatch reads the batch at the front of b. It returns how many bytes the
// batch takes; 0 without an error if b ends within it, as the last batch of a
// fetch may. The records are decompressed behind scratch, which is returned.
func decodeBatch(b, scratch []byte) (batch log.Batch, size int, _ []byte, err error) {
	if len(b) < batchOverhead {
		return log.Batch{}, 0, scratch, nil
	}
	base := log.Offset(binary.BigEndian.Uint64(b))
	length := int64(int32(binary.BigEndian.Uint32(b[8:])))
	if length < batchOverhead-lengthEnd {
		return log.Batch{}, 0, scratch, fmt.Errorf("batch at offset %d of length %d: %w", base, length, log.ErrCorrupt)
	}
	if int64(len(b)) < lengthEnd+length {
		return log.Batch{}, 0, scratch, nil
	}
	b = b[:lengthEnd+length]
	if b[16] != 2 {
		return log.Batch{}, 0, scratch, fmt.Errorf("batch at offset %d of format %d: %w", base, b[16], log.ErrCorrupt)
	}
	if got, want := crc32.Checksum(b[crcStart:], castagnoli), binary.BigEndian.Uint32(b[17:]); got != want {
		return log.Batch{}, 0, scratch, fmt.Errorf("batch at offset %d: checksum %08x, want %08x: %w", base, got, want, log.ErrCorrupt)
	}
	attributes := binary.BigEndian.Uint16(b[21:])
	stamp := binary.BigEndian.Uint64(b[35:])
	count := int32(binary.BigEndian.Uint32(b[57:]))
	if count < 0 || int64(count) > 1<<26 {
		return log.Batch{}, 0, scratch, fmt.Errorf("batch at offset %d with %d records: %w", base, count, log.ErrCorrupt)
	}
	batch = log.Batch{
		Base:      base,
		Last:      base + log.Offset(int32(binary.BigEndian.Uint32(b[23:]))),
		Producer:  log.Producer{ID: int64(binary.BigEndian.Uint64(b[43:])), Epoch: int16(binary.BigEndian.Uint16(b[51:]))},
		Appended:  time.UnixMilli(int64(stamp)),
		LogAppend: attributes&appendTimeBit != 0,
		Control:   attributes&controlBit != 0,
		Count:     int(count),
		Size:      len(b),
	}
	from := len(scratch)
	scratch, err = decompress(scratch, b[batchOverhead:], Compression(attributes&compressMask))
	if err != nil {
		return log.Batch{}, 0, scratch, fmt.Errorf("batch at offset %d: %w: %w", base, log.ErrCorrupt, err)
	}
	batch.Data = scratch[from:]
	return batch, len(b), scratch, nil
}

var (
	lz4Writers = sync.Pool{New: func() any { return new(lz4Encoder) }}
	lz4Readers = sync.Pool{New: func() any { return lz4.NewReader(nil) }}
	zstdOnce   sync.Once
	zstdEnc    *zstd.Encoder
	zstdDec    *zstd.Decoder
	errZstd    error
)

// maxBatch bounds what one batch may decompress to, against forged sizes.
const maxBatch = 256 << 20

func zstdCodecs() error {
	zstdOnce.Do(func() {
		zstdEnc, errZstd = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if errZstd == nil {
			zstdDec, errZstd = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBatch))
		}
	})
	return errZstd
}

// appender lets a writer append to a slice.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// compress appends data to dst in compressed form.
func compress(dst, data []byte, c Compression) ([]byte, error) {
	switch c {
	case Uncompressed:
		return append(dst, data...), nil
	case LZ4:
		w := lz4Writers.Get().(*lz4Encoder)
		defer lz4Writers.Put(w)
		return w.appendFrame(dst, data), nil
	case Zstd:
		if err := zstdCodecs(); err != nil {
			return nil, err
		}
		return zstdEnc.EncodeAll(data, dst), nil
	}
	return nil, fmt.Errorf("compression %d isn't known", c)
}

// decompress appends the plain form of data to dst.
func decompress(dst, data []byte, c Compression) ([]byte, error) {
	switch c {
	case Uncompressed:
		return append(dst, data...), nil
	case LZ4:
		r := lz4Readers.Get().(*lz4.Reader)
		defer lz4Readers.Put(r)
		r.Reset(&reader{data})
		out := &appender{b: dst}
		_, err := io.Copy(out, io.LimitReader(r, maxBatch))
		return out.b, err
	case Zstd:
		if err := zstdCodecs(); err != nil {
			return dst, err
		}
		out, err := zstdDec.DecodeAll(data, dst)
		if err != nil {
			return dst, err
		}
		return out, nil
	}
	return dst, fmt.Errorf("compression %d isn't supported", c)
}

// reader reads a slice; unlike bytes.Reader it has no WriteTo, which would hand
// the whole frame to the decompressor's writer.
type reader struct{ b []byte }

func (r *reader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}
