package safetensors

import (
	"encoding/binary"
	"fluxion/data/float16"
	"fmt"
	"io"
	"math"
	"os"
)

// File is an open safetensors file. Nothing but its header is in memory.
type File struct {
	Name     string
	Tensors  []Tensor          // in the order of their data
	Metadata map[string]string // nil if the header has none

	r     io.ReaderAt
	data  int64 // where the data begin
	index map[string]int
}

// Open opens a file and checks its whole header. Errors of the content are
// *FormatError.
func Open(path string) (*File, error) {
	f, size, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	file, err := NewFile(f, size, path)
	if err != nil {
		f.Close()
	}
	return file, err
}

// OpenFile opens a file of weights of any format, and says its size in bytes. A pipe
// would be waited for: what is no file is a *FormatError.
func OpenFile(path string) (f *os.File, size int64, err error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, 0, &FormatError{path, "", "is a folder, pipe or device, want a file"}
	}
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// NewFile reads from r, which holds size bytes; errors call it name.
func NewFile(r io.ReaderAt, size int64, name string) (*File, error) {
	if size < 8 {
		return nil, &FormatError{name, "", fmt.Sprintf("has %d bytes, want at least the 8 of the header length", size)}
	}
	var length [8]byte
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	switch {
	case n > maxHeader:
		return nil, &FormatError{name, "", fmt.Sprintf("announces a header of %d bytes, want at most %d: is it a safetensors file?", n, maxHeader)}
	case n > uint64(size-8):
		return nil, &FormatError{name, "", fmt.Sprintf("announces a header of %d bytes, but has only %d after it: it was cut short", n, size-8)}
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(r, 8, int64(n)), header); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	tensors, metadata, err := parseHeader(name, header, size-8-int64(n))
	if err != nil {
		return nil, err
	}
	f := &File{Name: name, Tensors: tensors, Metadata: metadata, r: r, data: 8 + int64(n), index: map[string]int{}}
	for i, t := range tensors {
		f.index[t.Name] = i
	}
	return f, nil
}

// Close closes the file under it.
func (f *File) Close() error {
	if c, ok := f.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Path is the name that errors call it.
func (f *File) Path() string { return f.Name }

// List is its tensors.
func (f *File) List() []Tensor { return f.Tensors }

// Lookup finds a tensor by name.
func (f *File) Lookup(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// Bytes returns a reader of a tensor's bytes.
func (f *File) Bytes(t Tensor) io.Reader { return io.NewSectionReader(f.r, f.data+t.offset, t.Size()) }

// Float32s read a number of an element type from the beginning of its bytes.
var Float32s = map[Dtype]func([]byte) float32{
	F32:  func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) },
	F16:  func(b []byte) float32 { return float16.Float32(binary.LittleEndian.Uint16(b)) },
	BF16: func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) },
	F64:  func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) },
}

// Float64s read as Float32s do, without rounding.
var Float64s = map[Dtype]func([]byte) float64{
	F64: func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) },
	F32: func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) },
}

// ReadFloat32 reads a tensor of F32, F16, BF16 or F64 into dst, which must have
// its length. F64 is rounded.
func (f *File) ReadFloat32(name string, dst []float32) error {
	return read(f, name, dst, Float32s)
}

// ReadFloat64 reads a tensor of F64 or F32.
func (f *File) ReadFloat64(name string, dst []float64) error {
	return read(f, name, dst, Float64s)
}

// ReadInt64 reads a tensor of I64.
func (f *File) ReadInt64(name string, dst []int64) error {
	return read(f, name, dst, map[Dtype]func([]byte) int64{
		I64: func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) },
	})
}

func read[T any](f *File, name string, dst []T, decoders map[Dtype]func([]byte) T) error {
	t, ok := f.Lookup(name)
	if !ok {
		return &FormatError{f.Name, name, "is not in the file"}
	}
	decode := decoders[t.Dtype]
	if decode == nil {
		return &FormatError{f.Name, name, fmt.Sprintf("has dtype %s, which cannot be read as %T", t.Dtype, dst)}
	}
	if len(dst) != t.Elements() {
		return &FormatError{f.Name, name, fmt.Sprintf("has shape %v, want %d elements", t.Shape, len(dst))}
	}
	width := t.Dtype.Width()
	r := f.Bytes(t)
	buffer := make([]byte, min(t.Size(), 1<<18))
	for len(dst) > 0 {
		n := min(len(dst), len(buffer)/width)
		if _, err := io.ReadFull(r, buffer[:n*width]); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", f.Name, name, err)
		}
		for i := range n {
			dst[i] = decode(buffer[i*width:])
		}
		dst = dst[n:]
	}
	return nil
}
