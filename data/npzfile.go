package data

import (
	"archive/zip"
	"fmt"
)

// NPZ is an open .npz, of which nothing but the list of its arrays is in memory.
type NPZ struct {
	path    string
	f       source
	members map[string]*zip.File
}

// OpenNPZ opens a file.
func OpenNPZ(path string) (*NPZ, error) {
	f, members, err := openNpz(path)
	if err != nil {
		return nil, err
	}
	return &NPZ{path, f, members}, nil
}

// Path is that of the file.
func (z *NPZ) Path() string { return z.path }

// Close closes the file.
func (z *NPZ) Close() error { return z.f.Close() }

// Shape is that of an array, of as many numbers as are wanted at most; there is false where it
// holds none of the name.
func (z *NPZ) Shape(name string, most int64) (shape []int, there bool, err error) {
	m := z.members[name]
	if m == nil {
		return nil, false, nil
	}
	h, r, err := openNumbers(z.path, m, most)
	if err != nil {
		return nil, true, err
	}
	return h.shape, true, r.Close()
}

// Floats reads an array, which must have as many numbers as dst.
func (z *NPZ) Floats(name string, dst []float32) error {
	m := z.members[name]
	if m == nil {
		return &Error{Path: z.path, Problem: "holds no array " + name}
	}
	n := 0
	_, err := readNumbers(z.path, m, int64(len(dst)), func(has int) { n = has }, func(i int, v float64) { dst[i] = float32(v) })
	if err == nil && n != len(dst) {
		err = &Error{Path: z.path + "!" + m.Name, Problem: fmt.Sprintf("has %d numbers, want %d", n, len(dst))}
	}
	return err
}
