package data

import (
	"archive/zip"
	"bytes"
	"errors"
	"fluxion/data/float16"
	"fmt"
	"io"
	"math"
)

// Doubles is an array of float64.
type Doubles struct {
	Shape  []int
	Values []float64
}

// maxDoubles is how many numbers an array of statistics may have: those of 8192 features.
const maxDoubles = 1 << 26

// ReadNPZDoubles returns those of the named arrays of a .npz that it holds, of floats or
// whole numbers.
func ReadNPZDoubles(path string, names ...string) (map[string]Doubles, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are only compared
		return nil, &Error{Path: path, Problem: "is not a whole .npz, which is a zip of .npy files", Err: err}
	}
	found := map[string]Doubles{}
	for _, name := range names {
		for _, m := range z.File {
			if m.Name != name+".npy" {
				continue
			}
			if found[name], err = readDoubles(path+"!"+m.Name, m); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func readDoubles(name string, m *zip.File) (Doubles, error) {
	r, err := m.Open()
	if err != nil {
		return Doubles{}, &Error{Path: name, Problem: "cannot be read", Err: err}
	}
	defer r.Close()
	h, err := readNpyHeader(name, r)
	if err != nil {
		return Doubles{}, err
	}
	n, _ := h.elements()
	if n > maxDoubles {
		return Doubles{}, &Error{Path: name, Problem: fmt.Sprintf("has the shape %s; want at most %d numbers", h.shapeText(), maxDoubles)}
	}
	// What a header announces is not made before it is there.
	var raw bytes.Buffer
	if _, err := io.Copy(&raw, io.LimitReader(r, h.body()+1)); err != nil {
		return Doubles{}, &Error{Path: name, Problem: "cannot be read", Err: err}
	}
	if int64(raw.Len()) != h.body() {
		return Doubles{}, &Error{Path: name, Problem: fmt.Sprintf("holds not the %d bytes of %s of shape %s", h.body(), h.typeText(), h.shapeText())}
	}
	d := Doubles{Shape: h.shape, Values: make([]float64, n)}
	if h.kind != 'f' {
		whole, ok := h.integers(raw.Bytes())
		if !ok {
			return Doubles{}, &Error{Path: name, Problem: "holds a number that is too large"}
		}
		for i, v := range whole {
			d.Values[i] = float64(v)
		}
		return d, nil
	}
	for i := range d.Values {
		x := raw.Bytes()[i*h.size:]
		switch h.size {
		case 2:
			d.Values[i] = float64(float16.Float32(h.order.Uint16(x)))
		case 4:
			d.Values[i] = float64(math.Float32frombits(h.order.Uint32(x)))
		default:
			d.Values[i] = math.Float64frombits(h.order.Uint64(x))
		}
	}
	return d, nil
}
