package data

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// arrays is a set of images in NumPy's files: FILE.npy, or an array of FILE.npz, with
// others for classes and noise. Elements of float types are Floats, uint8 are Bytes.
type arrays struct {
	name    string
	path    string // for messages
	images  npyArray
	shape   shape
	labels  []int64 // classes; nil: none
	noise   []int64 // addresses; nil: their own
	classes []string
	file    *os.File
	size    int64 // of the file
	notes   []string
}

// npyArray is an array, and where its elements are.
type npyArray struct {
	npyHeader
	name string // for messages
	body io.ReaderAt
}

// The arrays of a .npz are known by these names; images also by having more than one
// dimension, if there is one such array.
var (
	imageNames = []string{"images", "x", "latents", "samples", "data", "arr_0"}
	labelNames = []string{"labels", "label", "y", "classes", "arr_1"}
	noiseNames = []string{"noise"}
)

// maxLabel is the highest number of a class: there is a row of a table for each.
const maxLabel = 1<<16 - 1

func openArrays(spec string, o Options) (Dataset, error) {
	ext := strings.ToLower(filepath.Ext(spec))
	if ext != ".npy" && ext != ".npz" {
		return nil, nil
	}
	if info, err := os.Stat(spec); err == nil && info.IsDir() {
		return nil, nil // a folder's name may end so
	}
	f, err := openRegular(spec)
	if err != nil {
		return nil, &Error{Path: spec, Problem: "cannot be opened", Err: err}
	}
	d := &arrays{name: baseName(strings.TrimSuffix(spec, filepath.Ext(spec))), path: spec, file: f}
	if err := d.read(ext == ".npz"); err != nil {
		f.Close()
		return nil, err
	}
	r, err := resized(d, o)
	if err != nil {
		f.Close()
	}
	return r, err
}

func (d *arrays) read(packed bool) error {
	info, err := d.file.Stat()
	if err != nil {
		return &Error{Path: d.path, Problem: "cannot be opened", Err: err}
	}
	if d.size = info.Size(); packed {
		return d.readNpz()
	}
	if d.images, err = openNpy(d.path, io.NewSectionReader(d.file, 0, d.size)); err != nil {
		return err
	}
	return d.takeShape()
}

// openNpy reads the header of a file that lies somewhere as a whole.
func openNpy(name string, r *io.SectionReader) (a npyArray, err error) {
	a.name = name
	if a.npyHeader, err = readNpyHeader(name, r); err != nil {
		return a, err
	}
	behind := r.Size() - a.bytes
	if behind != a.npyHeader.body() {
		return a, &Error{Path: name, Problem: fmt.Sprintf("holds %d bytes behind its header, want %d for %s of shape %s", behind, a.npyHeader.body(), a.typeText(), a.shapeText())}
	}
	a.body = io.NewSectionReader(r, a.bytes, behind)
	return a, nil
}

// readNpz finds the arrays of a .npz, which is a zip of .npy files.
func (d *arrays) readNpz() error {
	z, err := zip.NewReader(d.file, d.size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are only compared
		return &Error{Path: d.path, Problem: "is not a whole .npz, which is a zip of .npy files", Err: err}
	}
	members := map[string]*zip.File{}
	headers := map[string]npyHeader{}
	for _, m := range z.File {
		name, ok := strings.CutSuffix(m.Name, ".npy")
		if !ok || m.Mode().IsDir() {
			continue
		}
		if len(members) == maxArrays {
			return &Error{Path: d.path, Problem: fmt.Sprintf("holds more than %d arrays", maxArrays)}
		}
		members[name] = m
		if h, err := d.header(m); err == nil { // of what is not meant it does not matter
			headers[name] = h
		}
	}
	images, err := d.choose(members, headers)
	if err != nil {
		return err
	}
	if d.images, err = d.member(members[images]); err == nil {
		err = d.takeShape()
	}
	if err != nil {
		return err
	}
	used := []string{images}
	for _, side := range []struct {
		names []string
		into  *[]int64
		most  int64
		what  string
	}{{labelNames, &d.labels, maxLabel, "classes, −1 for none"}, {noiseNames, &d.noise, 1<<62 - 1, "addresses of noise, −1 for an image's own"}} {
		for _, name := range side.names {
			if h, ok := headers[name]; !ok || len(h.shape) != 1 || h.kind == 'f' {
				continue
			}
			if *side.into, err = d.column(members[name], side.most, side.what); err != nil {
				return err
			}
			used = append(used, name)
			break
		}
	}
	if d.labels != nil {
		d.classes = numbers(int(1 + slices.Max(d.labels)))
	}
	var others []string
	for name := range members {
		if !slices.Contains(used, name) {
			others = append(others, name)
		}
	}
	if slices.Sort(others); len(others) > 0 {
		d.notes = append(d.notes, fmt.Sprintf("left out %s of %s: %s", count(len(others), "array"), filepath.Base(d.path), some(others)))
	}
	return nil
}

const (
	maxArrays     = 1000      // of a .npz
	maxImageBytes = 256 << 20 // of an array's image
)

// choose names the array of the images.
func (d *arrays) choose(members map[string]*zip.File, headers map[string]npyHeader) (string, error) {
	for _, name := range imageNames {
		if members[name] != nil && (len(headers[name].shape) > 1 || headers[name].shape == nil) {
			return name, nil
		}
	}
	var found []string
	for name, h := range headers {
		if len(h.shape) > 1 {
			found = append(found, name)
		}
	}
	if slices.Sort(found); len(found) == 1 {
		return found[0], nil
	}
	problem := "holds no array of images"
	if len(found) > 1 {
		problem = "holds several arrays that could be images: " + strings.Join(found, ", ")
	}
	return "", &Error{Path: d.path, Problem: problem + "; want one, called images, as numpy.savez(FILE, images=x, labels=y) writes it"}
}

func (d *arrays) header(m *zip.File) (npyHeader, error) {
	name := d.path + "!" + m.Name
	r, err := openMember(name, m)
	if err != nil {
		return npyHeader{}, err
	}
	defer r.Close()
	return readNpyHeader(name, r)
}

// member opens an array of a .npz: where it lies if it is only stored, else in memory.
func (d *arrays) member(m *zip.File) (npyArray, error) {
	name := d.path + "!" + m.Name
	if m.Method == zip.Store && m.Flags&zipEncrypted == 0 {
		at, err := m.DataOffset()
		if err != nil || at > d.size || m.CompressedSize64 > uint64(d.size-at) {
			return npyArray{}, &Error{Path: name, Problem: "is not whole: the zip ends before it", Err: err}
		}
		return openNpy(name, io.NewSectionReader(d.file, at, int64(m.CompressedSize64)))
	}
	h, err := d.header(m)
	if err != nil {
		return npyArray{}, asError(name, err)
	}
	if h.body() > maxUnpacked {
		return npyArray{}, &Error{Path: name, Problem: fmt.Sprintf("announces %d bytes; want at most %d GiB of a compressed array: save it with numpy.savez, or as .npy", h.body(), maxUnpacked>>30)}
	}
	r, err := openMember(name, m)
	if err != nil {
		return npyArray{}, asError(name, err)
	}
	defer r.Close()
	var b bytes.Buffer // grows with what is there
	if _, err := io.CopyN(&b, r, h.bytes+h.body()+1); err != nil && !errors.Is(err, io.EOF) {
		return npyArray{}, &Error{Path: name, Problem: "is not whole", Err: err}
	}
	return openNpy(name, io.NewSectionReader(bytes.NewReader(b.Bytes()), 0, int64(b.Len())))
}

func asError(path string, err error) error {
	if bad := (*Error)(nil); errors.As(err, &bad) {
		return err
	}
	return &Error{Path: path, Problem: "cannot be opened", Err: err}
}

// column reads whole numbers from −1 to most, one for each image.
func (d *arrays) column(m *zip.File, most int64, what string) ([]int64, error) {
	a, err := d.member(m)
	if err != nil {
		return nil, err
	}
	if a.shape[0] != d.images.shape[0] {
		return nil, &Error{Path: a.name, Problem: fmt.Sprintf("has the shape %s for the images of shape %s; want one number for each image", a.shapeText(), d.images.shapeText())}
	}
	raw := make([]byte, a.npyHeader.body())
	if _, err := a.body.ReadAt(raw, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, &Error{Path: a.name, Problem: "cannot be read", Err: err}
	}
	list, ok := a.integers(raw)
	for i, n := range list {
		if n < -1 || n > most {
			return nil, &Error{Path: a.name, Problem: fmt.Sprintf("has %d for image %d; want %s, up to %d", n, i, what, most)}
		}
	}
	if !ok {
		return nil, &Error{Path: a.name, Problem: fmt.Sprintf("has numbers out of range; want %s, up to %d", what, most)}
	}
	return list, nil
}

// takeShape takes the shape of the images from that of the array.
func (d *arrays) takeShape() error {
	a := d.images
	bad := func(problem string) error {
		return &Error{Path: a.name, Problem: fmt.Sprintf("has the shape %s of %s%s", a.shapeText(), a.typeText(), problem)}
	}
	s := a.npyHeader.shape
	switch len(s) {
	case 2: // points
		s = []int{s[0], 1, 1, s[1]}
	case 3: // grey pictures
		s = append(slices.Clone(s), 1)
	case 4:
		if s[2] > 1 && s[2] == s[3] && s[1] != s[2] {
			return bad(", which is channels first; want images × height × width × channels, as numpy.transpose(x, (0, 2, 3, 1)) has it")
		}
	default:
		return bad("; want images × height × width × channels (or images × values, or images × height × width)")
	}
	d.shape = shape{s[1], s[2], s[3]}
	n, _ := a.elements()
	switch {
	case n == 0:
		return bad("; want one image or more")
	case s[0] > maxFiles:
		return bad(fmt.Sprintf("; want at most %d images", maxFiles))
	case a.npyHeader.body()/int64(s[0]) > maxImageBytes || max(s[1], s[2]) > MaxSide:
		return bad(fmt.Sprintf("; want images of at most %d MiB, and of sides up to %d", maxImageBytes>>20, MaxSide))
	case a.kind == 'i' || a.kind == 'u' && a.size > 1:
		return bad("; want uint8, float16, float32 or float64")
	case d.Kind() == Bytes && s[3] != 1 && s[3] != 3:
		return bad("; want 1 or 3 channels of uint8, or float32")
	}
	return nil
}

func (d *arrays) Name() string { return d.name }
func (d *arrays) Len() int     { return d.images.npyHeader.shape[0] }
func (d *arrays) Shape() (height, width, channels int) {
	return d.shape.height, d.shape.width, d.shape.channels
}
func (d *arrays) Classes() []string { return d.classes }
func (d *arrays) Notes() []string   { return d.notes }
func (d *arrays) Close() error      { return d.file.Close() }

func (d *arrays) Kind() Kind {
	if d.images.kind == 'f' {
		return Floats
	}
	return Bytes
}

func (d *arrays) Read(i int, e *Example) error {
	raw := e.Bytes
	if d.Kind() == Floats {
		raw = make([]byte, d.shape.size()*d.images.size)
	}
	err := d.raw(i, raw)
	if err == nil && d.Kind() == Floats {
		err = d.images.floats(e.Floats, raw)
	}
	switch {
	case errors.Is(err, errNotFloat32):
		return &Error{Path: d.images.name, Problem: fmt.Sprintf("image %d: %v; --skip-broken leaves it out", i, err)}
	case err != nil:
		return &Error{Path: d.images.name, Problem: fmt.Sprintf("image %d cannot be read", i), Err: err}
	}
	if d.labels != nil {
		e.Class = int(d.labels[i])
	}
	if d.noise != nil {
		e.Noise = d.noise[i]
	}
	return nil
}

// raw reads the elements of image i as they are stored.
func (d *arrays) raw(i int, to []byte) error {
	n, err := d.images.body.ReadAt(to, int64(i)*int64(len(to)))
	if n == len(to) {
		return nil
	}
	return err
}

// Fingerprint is made of classes, noise, type, shape, and at most 64 images, evenly spread.
func (d *arrays) Fingerprint() Fingerprint {
	p := Fingerprint{Images: d.Len(), Classes: d.classes, Counts: make([]int, len(d.classes))}
	for _, l := range d.labels {
		if l >= 0 {
			p.Counts[l]++
		}
	}
	p.Digest = digest(func(h hash.Hash) {
		fmt.Fprintln(h, d.images.typeText(), d.images.shapeText())
		_ = binary.Write(h, binary.LittleEndian, slices.Concat(d.labels, d.noise)) // into memory
		raw := make([]byte, d.shape.size()*d.images.size)
		for _, i := range spread(d.Len(), 64) {
			err := d.raw(i, raw)
			fmt.Fprintln(h, err != nil)
			h.Write(raw)
		}
	})
	return p
}
