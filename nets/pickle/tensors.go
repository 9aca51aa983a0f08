package pickle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"fluxion/data/pickle"
	"fluxion/nets/safetensors"
)

// Values may lie in each other so deep, and be so many: what one takes, and its name,
// is counted in bytes, however often the file says it.
const (
	longest = 1 << 12 // of a name
	deepest = 16
	each    = 1 << 8
	most    = 1 << 27
)

// name finds the tensors in what a pickle made.
func (f *File) name(value any, places map[*pickle.Storage]int64) error {
	kept := 0
	return f.find("", value, places, 0, &kept)
}

func (f *File) find(name string, value any, places map[*pickle.Storage]int64, depth int, kept *int) error {
	if len(name) > longest {
		return fmt.Errorf("%.40q is a name of %d bytes; want at most %d", name, len(name), longest)
	}
	if *kept += each + len(name); depth > deepest || *kept > most {
		return errors.New("holds itself, or more than a file of weights does")
	}
	switch v := value.(type) {
	case *pickle.Dict:
		for i, key := range v.Keys {
			if err := f.find(joined(name, key), v.Values[i], places, depth+1, kept); err != nil {
				return err
			}
		}
	case *pickle.List:
		for i, item := range v.Items {
			if err := f.find(joined(name, int64(i)), item, places, depth+1, kept); err != nil {
				return err
			}
		}
	case *pickle.Object:
		return f.find(name, v.Attributes, places, depth+1, kept)
	case *pickle.Strided:
		return f.add(name, safetensors.Dtype(v.Storage.Dtype), v.Shape, v.Strides, f.r, places[v.Storage]+v.Offset*int64(pickle.Widths[v.Storage.Dtype]))
	case *pickle.Array:
		if v.Dtype == "" {
			return fmt.Errorf("array %.100q has no numbers", name)
		}
		return f.add(name, safetensors.Dtype(v.Dtype), v.Shape, dense(v.Shape, v.Fortran), bytes.NewReader(v.Data), 0)
	case int64, float64:
		// A number of numbers, such as num_images of statistics.
		n, ok := v.(float64)
		if !ok {
			n = float64(v.(int64))
		}
		b, err := binary.Append(nil, binary.LittleEndian, n)
		if err != nil {
			return err
		}
		if name != "" {
			return f.add(name, safetensors.F64, nil, nil, bytes.NewReader(b), 0)
		}
	}
	return nil
}

func joined(name string, key any) string {
	var text string
	switch k := key.(type) {
	case string:
		text = k
	case int64:
		text = strconv.FormatInt(k, 10)
	default:
		text = pickle.Kind(key)
	}
	if name == "" {
		return text
	}
	return name + "." + text
}

func (f *File) add(name string, dtype safetensors.Dtype, shape, strides []int64, at io.ReaderAt, from int64) error {
	t := safetensors.Tensor{Name: name, Dtype: dtype, Shape: make([]int, len(shape))}
	for i, n := range shape {
		t.Shape[i] = int(n)
	}
	if _, twice := f.views[name]; twice {
		return fmt.Errorf("tensor %.100q is there twice", name)
	}
	f.views[name] = view{t, at, from, strides}
	f.Tensors = append(f.Tensors, t)
	return nil
}

// dense is the strides of an array without gaps.
func dense(shape []int64, fortran bool) []int64 {
	strides := make([]int64, len(shape))
	step := int64(1)
	for k := range shape {
		i := len(shape) - 1 - k
		if fortran {
			i = k
		}
		strides[i] = step
		step *= max(shape[i], 1)
	}
	return strides
}

// Path is the name that errors call it.
func (f *File) Path() string { return f.Name }

// List is its tensors.
func (f *File) List() []safetensors.Tensor { return f.Tensors }

// Lookup finds a tensor by name.
func (f *File) Lookup(name string) (safetensors.Tensor, bool) {
	v, ok := f.views[name]
	return v.Tensor, ok
}

// ReadFloat32 reads a tensor into dst, which must have its length, the last axis
// first to change. Numbers of more digits are rounded.
func (f *File) ReadFloat32(name string, dst []float32) error {
	return read(f, name, dst, safetensors.Float32s)
}

// ReadFloat64 reads a tensor as ReadFloat32 does, without rounding.
func (f *File) ReadFloat64(name string, dst []float64) error {
	return read(f, name, dst, safetensors.Float64s)
}

func read[T any](f *File, name string, dst []T, decoders map[safetensors.Dtype]func([]byte) T) error {
	fault := func(format string, args ...any) error {
		return &safetensors.FormatError{File: f.Name, Tensor: name, Problem: fmt.Sprintf(format, args...)}
	}
	v, ok := f.views[name]
	if !ok {
		return fault("is not in the file")
	}
	decode := decoders[v.Dtype]
	if decode == nil {
		return fault("has dtype %s, which cannot be read as %T", v.Dtype, dst)
	}
	if len(dst) != v.Elements() {
		return fault("has shape %v, want %d elements", v.Shape, len(dst))
	}
	if len(dst) == 0 {
		return nil
	}
	width := int64(v.Dtype.Width())
	span := int64(1) // numbers from the first to the last
	for i, n := range v.Shape {
		span += int64(n-1) * v.strides[i]
	}
	raw := make([]byte, span*width)
	if _, err := io.ReadFull(io.NewSectionReader(v.at, v.from, int64(len(raw))), raw); err != nil {
		return fmt.Errorf("%s: tensor %q: %w", f.Name, name, err)
	}
	index := make([]int, len(v.Shape))
	at := int64(0)
	for i := range dst {
		dst[i] = decode(raw[at*width:])
		for axis := len(index) - 1; axis >= 0; axis-- {
			index[axis]++
			at += v.strides[axis]
			if index[axis] < v.Shape[axis] {
				break
			}
			at -= int64(v.Shape[axis]) * v.strides[axis]
			index[axis] = 0
		}
	}
	return nil
}
