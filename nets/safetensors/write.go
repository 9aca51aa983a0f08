package safetensors

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"fluxion/data/float16"
	"fluxion/kernels/number"
)

func putLength(b []byte, n int) { binary.LittleEndian.PutUint64(b, uint64(n)) }

// Write writes a file. fill is called once a tensor, in the order of the file,
// and writes that tensor's bytes; a metadata of nil leaves the entry out.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string, fill func(Tensor, io.Writer) error) error {
	if err := check(tensors); err != nil {
		return err
	}
	tensors, _ = layOut(tensors)
	out := bufio.NewWriterSize(w, 1<<18)
	if _, err := out.Write(header(tensors, metadata)); err != nil {
		return err
	}
	for _, t := range tensors {
		c := counter{w: out}
		if err := fill(t, &c); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if c.n != t.Size() {
			return fmt.Errorf("tensor %q: %d bytes were written, want %d for %s%v", t.Name, c.n, t.Size(), t.Dtype, t.Shape)
		}
	}
	return out.Flush()
}

// Sizes returns, without writing anything, the length that Write gives the
// header (as it stands in the first eight bytes) and the whole file.
func Sizes(tensors []Tensor, metadata map[string]string) (headerBytes, fileBytes int64, err error) {
	if err := check(tensors); err != nil {
		return 0, 0, err
	}
	tensors, data := layOut(tensors)
	n := int64(len(header(tensors, metadata)))
	return n - 8, n + data, nil
}

func check(tensors []Tensor) error {
	seen := map[string]bool{}
	for _, t := range tensors {
		_, ok := t.elements()
		switch {
		case t.Dtype.rank() < 0:
			return fmt.Errorf("tensor %q: unknown dtype %q", t.Name, t.Dtype)
		case !ok:
			return fmt.Errorf("tensor %q: impossible shape %v", t.Name, t.Shape)
		case !t.whole():
			return fmt.Errorf("tensor %q: %s%v does not fill its last byte", t.Name, t.Dtype, t.Shape)
		case t.Name == "__metadata__" || seen[t.Name]:
			return fmt.Errorf("tensor %q: the name is taken, want unique ones", t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}

// appends adds a number of an element type, rounded to nearest, ties to even, behind some bytes.
var appends = map[Dtype]func([]byte, float32) []byte{
	F32:  func(b []byte, x float32) []byte { return binary.LittleEndian.AppendUint32(b, math.Float32bits(x)) },
	F16:  func(b []byte, x float32) []byte { return binary.LittleEndian.AppendUint16(b, float16.Narrow(x)) },
	BF16: func(b []byte, x float32) []byte { return binary.LittleEndian.AppendUint16(b, number.Narrow(x)) },
}

// WriteFloat32 writes the bytes of an F32 tensor.
func WriteFloat32(w io.Writer, values []float32) error { return WriteNumbers(w, F32, values) }

// WriteNumbers writes the bytes of a tensor of F32, F16 or BF16. What F16 cannot hold,
// from float16.Infinite on, becomes infinite.
func WriteNumbers(w io.Writer, as Dtype, values []float32) error {
	add := appends[as]
	if add == nil {
		return fmt.Errorf("numbers cannot be written as %s, want F32, F16 or BF16", as)
	}
	buffer := make([]byte, 0, as.Width()*min(len(values), 1<<16))
	for len(values) > 0 {
		n := min(len(values), 1<<16)
		buffer = buffer[:0]
		for _, x := range values[:n] {
			buffer = add(buffer, x)
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
