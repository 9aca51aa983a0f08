package data

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

const maxArrays = 1000 // of a .npz

// npzMembers are the arrays of a .npz, which is a zip of .npy files, by name.
func npzMembers(path string, r io.ReaderAt, size int64) (map[string]*zip.File, error) {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are only compared
		return nil, &Error{Path: path, Problem: "is not a whole .npz, which is a zip of .npy files", Err: err}
	}
	members := map[string]*zip.File{}
	for _, m := range z.File {
		name, ok := strings.CutSuffix(m.Name, ".npy")
		if !ok || m.Mode().IsDir() {
			continue
		}
		if members[name] = m; len(members) > maxArrays {
			return nil, &Error{Path: path, Problem: fmt.Sprintf("holds more than %d arrays", maxArrays)}
		}
	}
	return members, nil
}

// openNpz opens a .npz and lists its arrays.
func openNpz(path string) (f source, members map[string]*zip.File, err error) {
	if f, err = openRegular(path); err != nil {
		return nil, nil, asError(path, err)
	}
	info, err := f.Stat()
	if err == nil {
		members, err = npzMembers(path, f, info.Size())
	}
	if err != nil {
		f.Close()
		return nil, nil, asError(path, err)
	}
	return f, members, nil
}

// CheckNPZ reads all of a .npz and holds it against its checksums.
func CheckNPZ(path string) error {
	f, members, err := openNpz(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, m := range members {
		name := path + "!" + m.Name
		r, err := openMember(name, m)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			r.Close()
		}
		if err != nil {
			return &Error{Path: name, Problem: "is not whole", Err: err}
		}
	}
	return nil
}

// openNpyMember opens an array of a .npz: its header, and a reader of its elements.
func openNpyMember(path string, m *zip.File) (npyHeader, io.ReadCloser, error) {
	name := path + "!" + m.Name
	r, err := openMember(name, m)
	if err != nil {
		return npyHeader{}, nil, asError(name, err)
	}
	h, err := readNpyHeader(name, r)
	if err != nil {
		r.Close()
		return h, nil, err
	}
	return h, r, nil
}

func asError(path string, err error) error {
	if bad := (*Error)(nil); errors.As(err, &bad) {
		return err
	}
	return &Error{Path: path, Problem: "cannot be opened", Err: err}
}

// Doubles is an array of float64.
type Doubles struct {
	Shape  []int
	Values []float64
}

// maxDoubles is how many numbers an array of statistics may have: a covariance of the
// 2048 features of Inception.
const maxDoubles = 1 << 22

// ReadNPZDoubles returns those of the named arrays of a .npz that it holds, of floats or
// whole numbers.
func ReadNPZDoubles(path string, names ...string) (map[string]Doubles, error) {
	f, members, err := openNpz(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := map[string]Doubles{}
	for _, name := range names {
		if m := members[name]; m != nil {
			if found[name], err = readDoubles(path, m); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// ReadNPZFloats returns an array of a .npz, of as many numbers as are wanted at most, in
// float32; there is false where it holds none of the name.
func ReadNPZFloats(path, name string, most int64) (shape []int, values []float32, there bool, err error) {
	f, members, err := openNpz(path)
	if err != nil {
		return nil, nil, false, err
	}
	defer f.Close()
	m := members[name]
	if m == nil {
		return nil, nil, false, nil
	}
	shape, err = readNumbers(path, m, most, func(n int) { values = make([]float32, n) }, func(i int, v float64) { values[i] = float32(v) })
	return shape, values, true, err
}

func readDoubles(path string, m *zip.File) (d Doubles, err error) {
	d.Shape, err = readNumbers(path, m, maxDoubles, func(n int) { d.Values = make([]float64, n) }, func(i int, v float64) { d.Values[i] = v })
	if err != nil {
		return Doubles{}, err
	}
	return d, nil
}

// openNumbers opens an array of as many numbers as are wanted at most, for all of which there is
// room in the file: before memory is taken for them.
func openNumbers(path string, m *zip.File, most int64) (h npyHeader, r io.ReadCloser, err error) {
	if h, r, err = openNpyMember(path, m); err != nil {
		return h, nil, err
	}
	if n, _ := h.elements(); n > most {
		err = &Error{Path: path + "!" + m.Name, Problem: fmt.Sprintf("has the shape %s; want at most %d numbers", h.shapeText(), most)}
	} else if m.UncompressedSize64 < uint64(h.body()) {
		err = h.other(path, m, nil)
	}
	if err != nil {
		r.Close()
		return h, nil, err
	}
	return h, r, nil
}

// other is the error of an array of other than as many bytes as the header says.
func (h npyHeader) other(path string, m *zip.File, err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Path: path + "!" + m.Name, Problem: fmt.Sprintf("holds not the %d bytes of %s of shape %s", h.body(), h.typeText(), h.shapeText())}
	}
	return &Error{Path: path + "!" + m.Name, Problem: "cannot be read", Err: err}
}

// readNumbers makes the numbers of an array, one by one of the bytes. Room is told first
// how many there are.
func readNumbers(path string, m *zip.File, most int64, room func(n int), put func(i int, v float64)) (shape []int, err error) {
	h, r, err := openNumbers(path, m, most)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	n, _ := h.elements()
	room(int(n))
	in, x := bufio.NewReader(r), make([]byte, h.size)
	for i := range int(n) {
		if _, err := io.ReadFull(in, x); err != nil {
			return nil, h.other(path, m, err)
		}
		if h.kind == 'f' {
			put(i, h.float(x))
			continue
		}
		whole, ok := h.integer(x)
		if !ok {
			return nil, &Error{Path: path + "!" + m.Name, Problem: "holds a number that is too large"}
		}
		put(i, float64(whole))
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, h.other(path, m, err)
	}
	return h.shape, nil
}

// textType is that of text as we write it: code points of 32 bits, the lowest byte first.
var textType = regexp.MustCompile(`^<U[0-9]+$`)

// ReadNPZText returns an array of text of a .npz, "" where there is none.
func ReadNPZText(path, name string) (string, error) {
	f, members, err := openNpz(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	m := members[name]
	if m == nil || m.UncompressedSize64 > maxText {
		return "", nil
	}
	r, err := openMember(path+"!"+m.Name, m)
	if err != nil {
		return "", asError(path, err)
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, maxText))
	at := bytes.IndexByte(raw, '\n')
	if d := npyDescr.FindSubmatch(raw[:max(at, 0)]); err == nil && d != nil && !textType.Match(d[1]) {
		return "", nil // of others, who have something else by this name
	}
	if err != nil || at < 0 || (len(raw)-at-1)%4 != 0 {
		return "", &Error{Path: path + "!" + m.Name, Problem: "is not whole", Err: err}
	}
	var text strings.Builder
	for raw = raw[at+1:]; len(raw) > 0; raw = raw[4:] {
		text.WriteRune(rune(binary.LittleEndian.Uint32(raw)))
	}
	return text.String(), nil
}
