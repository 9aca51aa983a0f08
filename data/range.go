package data

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Range is what values of a set are from and to, in its own units: a network sees them
// from −1 to 1, with the precision that they have. The zero Range is none.
type Range struct{ Low, High float64 }

// UnmarshalText reads LOW,HIGH.
func (r *Range) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = Range{}
		return nil
	}
	low, high, ok := strings.Cut(string(text), ",")
	a, err1 := strconv.ParseFloat(strings.TrimSpace(low), 64)
	b, err2 := strconv.ParseFloat(strings.TrimSpace(high), 64)
	if err := errors.Join(err1, err2); !ok || err != nil || !(a < b) || math.IsInf(b-a, 0) {
		return fmt.Errorf("%q is no range; want the least and the largest value, such as 0,65535", text)
	}
	*r = Range{a, b}
	return nil
}

// MarshalText writes it as String does.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String is it as UnmarshalText reads it.
func (r Range) String() string {
	if r == (Range{}) {
		return ""
	}
	return strconv.FormatFloat(r.Low, 'g', -1, 64) + "," + strconv.FormatFloat(r.High, 'g', -1, 64)
}

// value is x as a network sees it.
func (r Range) value(x float64) float32 {
	return float32((2*x - (r.Low + r.High)) / (r.High - r.Low))
}

// deep takes the pictures' values as numbers, if that is asked for.
func (f *files) deep(first photo, o Options) {
	f.bits = bitsOf(first.ColorModel())
	switch {
	case o.Range != Range{}:
		f.ranged = &o.Range
	case f.bits == 16:
		f.notes = append(f.notes, "pictures of 16 bits are taken as 8; --range 0,65535 keeps them")
	}
}

func (f *files) Kind() Kind {
	if f.ranged != nil {
		return Floats
	}
	return Bytes
}

// pictured says that values are those of pictures, from −1 to 1.
func (f *files) pictured() bool { return true }

// readDeep reads picture i as numbers, in units of its own depth.
func (f *files) readDeep(i int, p photo, s shape, e *Example) error {
	if bits := bitsOf(p.ColorModel()); bits != f.bits {
		return &Error{Path: f.root + f.entries[i].path, Problem: fmt.Sprintf("has %d bits where the first picture has %d; --range wants all alike", bits, f.bits)}
	}
	convertDeep(p, s, f.fit, e.Floats)
	unit := 1.0
	if f.bits == 8 {
		unit = 1.0 / 257 // that 16 bits have in one of 8
	}
	for k, x := range e.Floats {
		e.Floats[k] = f.ranged.value(float64(x) * unit)
	}
	return nil
}

// ranges refuses a range for a set that has its own.
func (o Options) ranges(d Dataset) error {
	if o.Range == (Range{}) {
		return nil
	}
	switch stored(d).(type) {
	case *files, *arrays, *listed:
		return nil
	}
	return &Error{Path: d.Name(), Problem: "has values of its own range; --range is for pictures and arrays"}
}
