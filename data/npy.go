package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// arrays is a set of images in NumPy's files: FILE.npy, or an array of FILE.npz, with
// others for classes and noise. Elements of float types are Floats, uint8 are Bytes.
type arrays struct {
	name     string
	path     string // for messages
	images   npyArray
	shape    shape
	shaped   []npyArray // by bucket, of images of several shapes; then images says their number and type
	buckets  *Buckets
	ranged   Range   // what elements are from and to; none: floats as they are
	labels   []int64 // classes; nil: none
	noise    []int64 // addresses; nil: their own
	classes  []string
	numbered bool // labels are numbers, and not classes
	file     source
	size     int64 // of the file
	notes    []string
}

// npyArray is an array, and where its elements are.
type npyArray struct {
	npyHeader
	name string // for messages
	body io.ReaderAt
}

const maxImageBytes = 256 << 20 // of an array's image

func openArrays(spec string, o Options) (Dataset, error) {
	ext := strings.ToLower(filepath.Ext(spec))
	if ext != ".npy" && ext != ".npz" {
		return nil, nil
	}
	if info, err := os.Stat(spec); err == nil && info.IsDir() {
		return nil, nil // a folder's name may end so
	}
	d, err := openArray(spec, o.Labels)
	if err != nil {
		return nil, err
	}
	if err := d.takeRange(o.Range); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	r, err := d.brought(o)
	if err != nil {
		err = errors.Join(err, d.Close())
	}
	return r, err
}

// brought is the set as it is asked for.
func (d *arrays) brought(o Options) (Dataset, error) {
	_, buckets := o.Fit.Buckets()
	switch {
	case d.buckets != nil:
		r, err := o.fromShapes(d, d.path)
		if r == Dataset(d) {
			d.notes = append(d.notes, d.buckets.notes()...)
		}
		return r, err
	case buckets && d.Kind() == Bytes:
		return inBucketsOf(d, o), nil
	}
	return resized(d, o)
}

// openArray opens a file; labels are Options.Labels.
func openArray(path, labels string) (*arrays, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	ext := filepath.Ext(path)
	d := &arrays{name: baseName(strings.TrimSuffix(path, ext)), path: path, file: f}
	_, d.numbered = isNumbers(labels)
	if err := d.read(strings.EqualFold(ext, ".npz")); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d, nil
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
func openNpy(name string, r *io.SectionReader) (npyArray, error) {
	h, err := readNpyHeader(name, r)
	if err != nil {
		return npyArray{}, err
	}
	behind := r.Size() - h.bytes
	return newNpy(name, h, io.NewSectionReader(r, h.bytes, behind), behind)
}

// newNpy is an array whose elements are all there are in body.
func newNpy(name string, h npyHeader, body io.ReaderAt, bytes int64) (npyArray, error) {
	if bytes != h.body() {
		return npyArray{}, &Error{Path: name, Problem: fmt.Sprintf("holds %d bytes behind its header, want %d for %s of shape %s", bytes, h.body(), h.typeText(), h.shapeText())}
	}
	return npyArray{h, name, body}, nil
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
		if s[2] > 1 && s[2] == s[3] && s[1] < s[2] {
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
	case a.kind != 'f' && a.size > 2:
		return bad("; want uint8, uint16, int16, float16, float32 or float64")
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

// Kind is Bytes of pictures of 8 bits as others are, and else Floats.
func (d *arrays) Kind() Kind {
	if c := d.shape.channels; d.images.kind == 'u' && d.images.size == 1 && (c == 1 || c == 3) && d.ranged == (Range{}) {
		return Bytes
	}
	return Floats
}

// pictured says that values are from −1 to 1, as a range or whole numbers are.
func (d *arrays) pictured() bool { return d.images.kind != 'f' || d.ranged != (Range{}) }

// takeRange takes the range that is asked for, or that of the type of whole numbers.
func (d *arrays) takeRange(asked Range) error {
	a := d.images
	if asked != (Range{}) {
		d.ranged = asked
	}
	switch {
	case d.ranged != Range{}, a.kind == 'f':
	case a.kind == 'i':
		return &Error{Path: a.name, Problem: fmt.Sprintf("holds %s, whose range is not known; want --range LOW,HIGH", a.typeText())}
	case a.size == 2:
		d.ranged = Range{0, math.MaxUint16}
	case d.Kind() == Floats:
		d.ranged = Range{0, math.MaxUint8}
	}
	return nil
}

// otherShape refuses an image of a set that keeps several shapes where all are to have one.
func otherShape(path, what string, i int, size Size) error {
	return &Error{Path: path, Problem: fmt.Sprintf("%s %d is of %v: it keeps several shapes, and one is wanted of all; want the pictures that it was made of, which are brought to one", what, i, size)}
}

func (d *arrays) Read(i int, e *Example) error {
	raw := e.Bytes
	_, _, size := d.element(i)
	if n := size.Height * size.Width * d.shape.channels; n != e.Len() {
		return otherShape(d.images.name, "image", i, size)
	}
	if d.Kind() == Floats {
		n := e.Len() * d.images.size
		e.stored = slices.Grow(e.stored[:0], n)[:n]
		raw = e.stored
	}
	err := d.raw(i, raw)
	if err == nil && d.Kind() == Floats {
		err = d.images.floats(e.Floats, raw, d.ranged)
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
	a, at, _ := d.element(i)
	n, err := a.body.ReadAt(to, int64(at)*int64(len(to)))
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
		if d.buckets != nil {
			fmt.Fprintln(h, d.buckets.Sizes, d.buckets.of)
		}
		_ = binary.Write(h, binary.LittleEndian, slices.Concat(d.labels, d.noise)) // into memory
		room := make([]byte, d.shape.size()*d.images.size)
		for _, i := range spread(d.Len(), 64) {
			_, _, size := d.element(i)
			raw := room[:size.Height*size.Width*d.shape.channels*d.images.size]
			err := d.raw(i, raw)
			fmt.Fprintln(h, err != nil)
			h.Write(raw)
		}
	})
	return p
}
