package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// message is an encoded message of protocol buffers, to which fields are added in turn.
type message []byte

// Wire types.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func (m message) key(field, wire int) message {
	return binary.AppendUvarint(m, uint64(field)<<3|uint64(wire))
}

func (m message) int(field int, v int64) message {
	return binary.AppendUvarint(m.key(field, wireVarint), uint64(v))
}

func (m message) double(field int, v float64) message {
	return binary.LittleEndian.AppendUint64(m.key(field, wireFixed64), math.Float64bits(v))
}

func (m message) float(field int, v float64) message {
	return binary.LittleEndian.AppendUint32(m.key(field, wireFixed32), math.Float32bits(float32(v)))
}

func (m message) bytes(field int, v []byte) message {
	return append(binary.AppendUvarint(m.key(field, wireBytes), uint64(len(v))), v...)
}

func (m message) string(field int, v string) message { return m.bytes(field, []byte(v)) }

// doubles is a packed list.
func (m message) doubles(field int, list []float64) message {
	var packed message
	for _, v := range list {
		packed = binary.LittleEndian.AppendUint64(packed, math.Float64bits(v))
	}
	return m.bytes(field, packed)
}

// framed is a record of TFRecord: its length, its bytes, and a checksum of each.
func framed(record []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(record)))
	out := binary.LittleEndian.AppendUint32(length, checksum(length))
	return binary.LittleEndian.AppendUint32(append(out, record...), checksum(record))
}

// checksum is TFRecord's: CRC-32C, turned and shifted, so that checksums of checksums are
// none themselves.
func checksum(data []byte) uint32 {
	const shift = 0xa282ead8
	c := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return (c>>15 | c<<17) + shift
}
