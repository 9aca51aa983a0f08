package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"fluxion/data/float16"
)

// Summary is what the numbers of a tensor are like.
type Summary struct {
	Norm      float64 `json:"norm"` // root of the sum of squares
	Mean      float64 `json:"mean"`
	Least     float64 `json:"least"`
	Largest   float64 `json:"largest"`
	NotFinite int     `json:"not_finite"` // numbers, which the others leave out
	Known     bool    `json:"known"`      // whether the type is one of numbers that are read here

	count int
}

// Add takes one more number.
func (s *Summary) Add(x float64) {
	s.Known = true
	if x-x != 0 {
		s.NotFinite++
		return
	}
	if s.count == 0 || x < s.Least {
		s.Least = x
	}
	if s.count == 0 || x > s.Largest {
		s.Largest = x
	}
	s.count++
	n := float64(s.count)
	s.Mean += x/n - s.Mean/n // neither is too large
	s.Norm = min(math.Hypot(s.Norm, x), math.MaxFloat64)
}

// numbers read one of any type of numbers of whole bytes.
var numbers = map[Dtype]func([]byte) float64{
	F64:       Float64s[F64],
	F32:       Float64s[F32],
	F16:       func(b []byte) float64 { return float64(float16.Float32(binary.LittleEndian.Uint16(b))) },
	BF16:      func(b []byte) float64 { return float64(Float32s[BF16](b)) },
	"F8_E5M2": func(b []byte) float64 { return float64(float16.Float32(uint16(b[0]) << 8)) }, // the first half of a float16
	"F8_E4M3": func(b []byte) float64 { return e4m3(b[0]) },
	"BOOL":    func(b []byte) float64 { return float64(b[0]) },
	"U8":      func(b []byte) float64 { return float64(b[0]) },
	"I8":      func(b []byte) float64 { return float64(int8(b[0])) },
	"U16":     func(b []byte) float64 { return float64(binary.LittleEndian.Uint16(b)) },
	"I16":     func(b []byte) float64 { return float64(int16(binary.LittleEndian.Uint16(b))) },
	"U32":     func(b []byte) float64 { return float64(binary.LittleEndian.Uint32(b)) },
	"I32":     func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) },
	"U64":     func(b []byte) float64 { return float64(binary.LittleEndian.Uint64(b)) },
	I64:       func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) },
}

// e4m3 is an 8-bit float with 4 bits of exponent, which has no infinities (OCP, "8-bit
// Floating Point Specification", 2023).
func e4m3(b byte) float64 {
	exponent, fraction := int(b>>3&15), float64(b&7)/8
	x := math.Ldexp(1+fraction, exponent-7)
	switch {
	case b&127 == 127:
		return math.NaN()
	case exponent == 0:
		x = math.Ldexp(fraction, -6)
	}
	if b&128 != 0 {
		return -x
	}
	return x
}

// Summarise reads a tensor once, whatever its size. Of types that are no numbers of whole
// bytes nothing is known.
func (f *File) Summarise(name string) (s Summary, err error) {
	t, ok := f.Lookup(name)
	if !ok {
		return s, &FormatError{f.Name, name, "is not in the file"}
	}
	decode := numbers[t.Dtype]
	if decode == nil {
		return s, nil
	}
	s.Known = true
	width, r := t.Dtype.Width(), f.Bytes(t)
	buffer := make([]byte, min(t.Size(), 1<<18))
	for left := t.Size(); left > 0; left -= int64(len(buffer)) {
		buffer = buffer[:min(left, int64(len(buffer)))]
		if _, err := io.ReadFull(r, buffer); err != nil {
			return s, fmt.Errorf("%s: tensor %q: %w", f.Name, name, err)
		}
		for i := 0; i < len(buffer); i += width {
			s.Add(decode(buffer[i:]))
		}
	}
	return s, nil
}
