package parquet

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// The codecs that are read.
const (
	stored   = 0
	snappied = 1
	gzipped  = 2
	zstded   = 6
)

// maxWindow bounds what zstd keeps of what it has unpacked.
const maxWindow = 64 << 20

// codecs that are met and not read.
var codecs = map[int64]string{3: "LZO", 4: "Brotli", 5: "LZ4", 7: "LZ4"}

// unpack returns the n bytes that b unpacks to.
func unpack(codec int64, b []byte, n int64) (out []byte, err error) {
	switch codec {
	case stored:
		out = b
	case snappied:
		if announced, err := snappy.DecodedLen(b); err != nil || int64(announced) != n {
			return nil, fmt.Errorf("a page of %d bytes announces others", n)
		}
		out, err = snappy.Decode(nil, b)
	case gzipped:
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(b)); err == nil {
			out, err = io.ReadAll(io.LimitReader(r, n+1))
		}
	case zstded:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			out, err = io.ReadAll(io.LimitReader(d, n+1))
			d.Close()
		}
	default:
		return nil, fmt.Errorf("pages are compressed by %s, which is not read; write them with snappy, zstd or gzip", codecName(codec))
	}
	if err == nil && int64(len(out)) != n {
		err = fmt.Errorf("a page has %d bytes of %d", len(out), n)
	}
	return out, err
}

func codecName(codec int64) string {
	if name := codecs[codec]; name != "" {
		return name
	}
	return fmt.Sprintf("codec %d", codec)
}

// prefixed reads a length, and sees that so many bytes follow.
func prefixed(b []byte) (int64, error) {
	if len(b) < 4 {
		return 0, errShort
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n > int64(len(b)-4) {
		return 0, errShort
	}
	return n, nil
}

// plain splits n values of a width, 0: each with its length before it.
func plain(b []byte, n int64, width int) ([][]byte, error) {
	least := max(int64(width), 1)
	if width == 0 {
		least = 4
	}
	if width < 0 {
		return nil, errors.New("values of a type that is not read")
	}
	if n < 0 || n > int64(len(b))/least {
		return nil, errShort
	}
	list := make([][]byte, n)
	for i := range list {
		size := int64(width)
		if width == 0 {
			var err error
			if size, err = prefixed(b); err != nil {
				return nil, err
			}
			b = b[4:]
		}
		if size > int64(len(b)) {
			return nil, errShort
		}
		list[i], b = b[:size:size], b[size:]
	}
	return list, nil
}

// bools are n values of a bit each, as bytes of 0 and 1: packed, or in runs.
func bools(b []byte, n int64, inRuns bool) (list [][]byte, err error) {
	values := [2][]byte{{0}, {1}}
	if !inRuns {
		if n < 0 || n > 8*int64(len(b)) {
			return nil, errShort
		}
		for i := range n {
			list = append(list, values[b[i/8]>>(i%8)&1])
		}
		return list, nil
	}
	size, err := prefixed(b)
	if err != nil {
		return nil, err
	}
	err = runs(b[4:4+size], 1, n, func(bit uint32) error {
		list = append(list, values[bit&1])
		return nil
	})
	return list, err
}

// chosen are n values of a dictionary by their numbers, whose width in bits comes first.
func chosen(b []byte, n int64, dictionary [][]byte) ([][]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if len(b) == 0 || b[0] > 32 {
		return nil, errShort
	}
	var list [][]byte
	err := runs(b[1:], int(b[0]), n, func(i uint32) error {
		if int64(i) >= int64(len(dictionary)) {
			return fmt.Errorf("value %d of a dictionary of %d", i, len(dictionary))
		}
		list = append(list, dictionary[i])
		return nil
	})
	return list, err
}

func bitsFor(most int) int { return bits.Len(uint(most)) }

// runs reads n numbers of a width in bits: runs of one, or groups of eight packed.
func runs(b []byte, width int, n int64, take func(uint32) error) error {
	c := compact{b: b}
	for n > 0 {
		head, err := c.unsigned()
		if err != nil {
			return err
		}
		count := int64(head >> 1)
		if count <= 0 || count > 8*maxPage {
			return fmt.Errorf("a run of %d numbers", count)
		}
		if head&1 == 0 {
			raw, err := c.bytes(uint64(width+7) / 8)
			if err != nil {
				return err
			}
			var wide [4]byte
			copy(wide[:], raw)
			v := binary.LittleEndian.Uint32(wide[:])
			for range min(count, n) {
				if err := take(v); err != nil {
					return err
				}
			}
			n -= count
			continue
		}
		raw, err := c.bytes(uint64(count) * uint64(width))
		if err != nil {
			return err
		}
		for i := range min(8*count, n) {
			if err := take(packedAt(raw, int(i)*width, width)); err != nil {
				return err
			}
		}
		n -= 8 * count
	}
	return nil
}

// packedAt is the number of a width in bits that begins at a bit, the lowest first.
func packedAt(b []byte, bit, width int) uint32 {
	var v uint64
	for k := 0; k < 5 && bit/8+k < len(b); k++ {
		v |= uint64(b[bit/8+k]) << (8 * k)
	}
	return uint32(v >> (bit % 8) & (1<<width - 1))
}
