package data

import (
	"encoding/binary"
	"errors"
	"fluxion/data/float16"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// npyHeader is the beginning of a .npy file (NumPy's format, versions 1 to 3).
type npyHeader struct {
	kind  byte // of an element: f, u or i
	size  int  // of an element, in bytes
	order binary.ByteOrder
	shape []int
	bytes int64 // of the header; the elements follow
}

const (
	npyMagic     = "\x93NUMPY"
	maxNpyHeader = 64 << 10
	maxNpyRank   = 32 // as NumPy has it for versions 1 to 3
)

// The header is a dictionary as Python writes it.
var (
	npyDescr   = regexp.MustCompile(`'descr'\s*:\s*'([^']*)'`)
	npyFortran = regexp.MustCompile(`'fortran_order'\s*:\s*(True|False)`)
	npyShape   = regexp.MustCompile(`'shape'\s*:\s*\(([0-9L,\s]*)\)`)
	npyType    = regexp.MustCompile(`^([<>|=]?)([fui])([1248])$`)
)

// readNpyHeader reads a header; name is for messages.
func readNpyHeader(name string, r io.Reader) (h npyHeader, err error) {
	bad := func(format string, args ...any) (npyHeader, error) {
		return h, &Error{Path: name, Problem: fmt.Sprintf(format, args...)}
	}
	var begin [12]byte
	if _, err := io.ReadFull(r, begin[:10]); err != nil || string(begin[:6]) != npyMagic {
		return bad("is not a NumPy array; want a .npy file as numpy.save writes it")
	}
	h.bytes = 10
	n := int64(binary.LittleEndian.Uint16(begin[8:]))
	if major := begin[6]; major == 2 || major == 3 {
		if _, err := io.ReadFull(r, begin[10:]); err != nil {
			return bad("ends in its header")
		}
		h.bytes, n = 12, int64(binary.LittleEndian.Uint32(begin[8:]))
	} else if major != 1 {
		return bad("is a NumPy array of format version %d; want 1, 2 or 3", major)
	}
	if n > maxNpyHeader {
		return bad("has a header of %d bytes; want at most %d", n, maxNpyHeader)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return bad("ends in its header")
	}
	h.bytes += n
	only := func(e *regexp.Regexp) (string, bool) {
		found := e.FindAllSubmatch(text, 2)
		if len(found) != 1 {
			return "", false
		}
		return string(found[0][1]), true
	}
	descr, ok1 := only(npyDescr)
	fortran, ok2 := only(npyFortran)
	shape, ok3 := only(npyShape)
	if !ok1 || !ok2 || !ok3 {
		return bad("has a header that is not of a plain array (one type, one shape); want one of numbers, as numpy.save writes it")
	}
	t := npyType.FindStringSubmatch(descr)
	if t == nil || t[2] == "f" && t[3] == "1" {
		return bad("holds elements of type %.40q; want uint8, float16, float32 or float64 (or whole numbers, for labels)", descr)
	}
	h.kind, h.size, h.order = t[2][0], int(t[3][0]-'0'), binary.LittleEndian
	if t[1] == ">" {
		h.order = binary.BigEndian
	}
	for part := range strings.SplitSeq(strings.ReplaceAll(shape, "L", ""), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || len(h.shape) == maxNpyRank {
			return bad("has the shape (%.60s); want at most %d whole numbers below 2^63", shape, maxNpyRank)
		}
		h.shape = append(h.shape, n)
	}
	if _, ok := h.elements(); !ok {
		return bad("has the shape %s, more than can be", h.shapeText())
	}
	if fortran == "True" && len(h.shape) > 1 {
		return bad("is in Fortran order; save numpy.ascontiguousarray of it")
	}
	return h, nil
}

// elements of the array; ok is false where their bytes are more than can be counted.
func (h npyHeader) elements() (n int64, ok bool) {
	n = 1
	if slices.Contains(h.shape, 0) {
		return 0, true
	}
	for _, d := range h.shape {
		if n > math.MaxInt64/16/int64(d) {
			return 0, false
		}
		n *= int64(d)
	}
	return n, true
}

// body is the bytes behind the header.
func (h npyHeader) body() int64 {
	n, _ := h.elements()
	return n * int64(h.size)
}

// shapeText is the shape as NumPy shows it.
func (h npyHeader) shapeText() string {
	text := strings.Trim(strings.ReplaceAll(fmt.Sprint(h.shape), " ", ", "), "[]")
	if len(h.shape) == 1 {
		text += ","
	}
	return "(" + text + ")"
}

// typeText is the type as NumPy names it.
func (h npyHeader) typeText() string {
	return map[byte]string{'f': "float", 'u': "uint", 'i': "int"}[h.kind] + strconv.Itoa(8*h.size)
}

var errNotFloat32 = errors.New("is not a finite float32")

// floats converts elements to float32, those of a range to −1 to 1; the error says which
// does not fit.
func (h npyHeader) floats(to []float32, from []byte, of Range) error {
	for i := range to {
		x := h.element(from[i*h.size:])
		if to[i] = float32(x); of != (Range{}) {
			to[i] = of.value(x)
		}
		if to[i]-to[i] != 0 {
			return fmt.Errorf("value %d %w", i, errNotFloat32)
		}
	}
	return nil
}

// element is that which x begins with, of at most 16 bits if it is a whole number.
func (h npyHeader) element(x []byte) float64 {
	if h.kind == 'f' {
		return h.float(x)
	}
	n, _ := h.integer(x)
	return float64(n)
}

// float is the element of a float type that x begins with.
func (h npyHeader) float(x []byte) float64 {
	switch h.size {
	case 2:
		return float64(float16.Float32(h.order.Uint16(x)))
	case 4:
		return float64(math.Float32frombits(h.order.Uint32(x)))
	}
	return math.Float64frombits(h.order.Uint64(x))
}

// integers converts elements; ok is false where one does not fit.
func (h npyHeader) integers(from []byte) (list []int64, ok bool) {
	list = make([]int64, len(from)/h.size)
	for i := range list {
		if list[i], ok = h.integer(from[i*h.size:]); !ok {
			return nil, false
		}
	}
	return list, true
}

// integer is the element of a type of whole numbers that x begins with.
func (h npyHeader) integer(x []byte) (n int64, ok bool) {
	var bits uint64
	switch h.size {
	case 1:
		bits = uint64(x[0])
	case 2:
		bits = uint64(h.order.Uint16(x))
	case 4:
		bits = uint64(h.order.Uint32(x))
	default:
		bits = h.order.Uint64(x)
	}
	if h.kind == 'i' {
		shift := 64 - 8*h.size
		return int64(bits<<shift) >> shift, true
	}
	return int64(bits), int64(bits) >= 0
}
