package data

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// Array is an array for a .npy or .npz: one of its fields of elements, in C order.
type Array struct {
	Name     string // in a .npz
	Shape    []int
	Floats   []float32
	Halves   []uint16 // float16
	Words    []uint16
	Doubles  []float64
	Integers []int64
	Bytes    func(io.Writer) error // that writes them
	Text     string                // an array without dimensions
}

// WriteNPY writes an array as numpy.save does.
func WriteNPY(w io.Writer, a Array) error {
	descr, elements := "<f4", inParts(a.Floats)
	switch {
	case a.Doubles != nil:
		descr, elements = "<f8", inParts(a.Doubles)
	case a.Halves != nil:
		descr, elements = "<f2", inParts(a.Halves)
	case a.Words != nil:
		descr, elements = "<u2", inParts(a.Words)
	case a.Integers != nil:
		descr, elements = "<i8", inParts(a.Integers)
	case a.Bytes != nil:
		descr, elements = "|u1", a.Bytes
	case a.Text != "":
		descr, elements = fmt.Sprintf("<U%d", utf8.RuneCountInString(a.Text)), inParts([]rune(a.Text))
	}
	if err := writeNpyHeader(w, descr, a.Shape); err != nil {
		return err
	}
	return elements(w)
}

// writeNpyHeader writes what stands before the elements.
func writeNpyHeader(w io.Writer, descr string, shape []int) error {
	h := npyHeader{shape: shape}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, h.shapeText())
	header := append([]byte(npyMagic), 1, 0)
	padded := (len(header) + 2 + len(dict) + 1 + 63) / 64 * 64 // as NumPy pads it
	dict += strings.Repeat(" ", padded-len(header)-2-len(dict)-1) + "\n"
	header = append(binary.LittleEndian.AppendUint16(header, uint16(len(dict))), dict...)
	_, err := w.Write(header)
	return err
}

// inParts writes elements, a part at a time: binary.Write copies what it is given.
func inParts[T any](list []T) func(io.Writer) error {
	return func(w io.Writer) error {
		for part := range slices.Chunk(list, 1<<13) {
			if err := binary.Write(w, binary.LittleEndian, part); err != nil {
				return err
			}
		}
		return nil
	}
}

// WriteNPZ writes arrays as numpy.savez does.
func WriteNPZ(w io.Writer, arrays ...Array) error { return WriteNPZOf(w, slices.Values(arrays)) }

// WriteNPZOf is the same for arrays of which not all are there at once.
func WriteNPZOf(w io.Writer, arrays iter.Seq[Array]) error {
	z := zip.NewWriter(w)
	for a := range arrays {
		m, err := z.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: zip.Store})
		if err == nil {
			err = WriteNPY(m, a)
		}
		if err != nil {
			return err
		}
	}
	return z.Close()
}

// CutNPZ says whether a file is the beginning of what WriteNPZ writes, and no more, where the first array has
// this name and is of so many images of this height, width and channels, in float32 or bytes.
func CutNPZ(path, name string, kind Kind, shape [4]int) bool {
	f, _, err := openNpz(path)
	if err == nil {
		f.Close()
		return false
	}
	if f, err = openRegular(path); err != nil {
		return false
	}
	defer f.Close()
	begin := make([]byte, 1<<10)
	n, err := io.ReadFull(io.NewSectionReader(f, 0, int64(len(begin))), begin)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	begin = begin[:n]
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if _, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store}); err != nil || z.Flush() != nil {
		return false
	}
	rest, ours := bytes.CutPrefix(begin, b.Bytes())
	if !ours {
		return bytes.HasPrefix(b.Bytes(), begin)
	}
	h, err := readNpyHeader(path, bytes.NewReader(rest))
	if err != nil {
		return len(rest) < len(npyMagic) || n < cap(begin) && bytes.HasPrefix(rest, []byte(npyMagic))
	}
	return slices.Equal(h.shape, shape[:]) && h.size == kind.Size() && (h.kind == 'f') == (kind == Floats)
}
