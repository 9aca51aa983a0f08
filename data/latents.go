package data

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"fluxion/data/durable"
	"fluxion/data/float16"
)

// Latents is what a folder of latents is: of each image of a set, in its order, the mean and
// the deviation of its posterior, as an autoencoder gives it. It is LatentsFile in JSON.
type Latents struct {
	Count    int      `json:"count"` // of all images
	Shard    int      `json:"shard"` // images of a file; the last may have fewer
	Height   int      `json:"height"`
	Width    int      `json:"width"`
	Channels int      `json:"channels"`
	Image    [3]int   `json:"image"`             // height, width and channels of the images
	Type     string   `json:"type"`              // of LatentTypes
	Tile     int      `json:"tile"`              // side of the tiles that images were encoded in; 0: whole
	Flipped  bool     `json:"flipped"`           // with those of the mirrored images
	Buckets  []Size   `json:"buckets,omitempty"` // of latents, where images have several shapes; Height and Width are those of a square then
	Classes  []string `json:"classes"`

	// A denoiser's latents are (x − shift)·scale, of each channel.
	Shift []float64 `json:"shift"`
	Scale []float64 `json:"scale"`

	Autoencoder string            `json:"autoencoder"` // digest of that in AutoencoderDir
	Images      Fingerprint       `json:"images"`      // of the set
	Made        map[string]string `json:"made"`        // with what
}

// Files of a folder of latents.
const (
	LatentsFile    = "latents.json"
	AutoencoderDir = "vae"        // the autoencoder, as diffusers has it
	LatentsNames   = "names.json" // of the images, where they have some
)

// LatentTypes are those in which latents are stored: bf16 as the upper halves of float32.
var LatentTypes = []string{"fp32", "fp16", "bf16"}

// Shards is the number of files.
func (l Latents) Shards() int { return (l.Count + l.Shard - 1) / l.Shard }

// Range is the images of a file: from one up to another.
func (l Latents) Range(shard int) (from, to int) {
	return shard * l.Shard, min((shard+1)*l.Shard, l.Count)
}

// Values of a latent.
func (l Latents) Values() int { return l.Height * l.Width * l.Channels }

// LatentsShard is the path of a file.
func LatentsShard(dir string, shard int) string {
	return filepath.Join(dir, fmt.Sprintf("latents-%05d.npz", shard))
}

// Write writes LatentsFile, and the names of the images of a set, if they have some.
func (l Latents) Write(disk durable.Disk, dir string, set Dataset) error {
	if named(set) {
		names := make([]string, set.Len())
		for i := range names {
			names[i] = NameOf(set, i)
		}
		text, _ := json.Marshal(names) // plain values always encode
		if err := disk.WriteFile(filepath.Join(dir, LatentsNames), append(text, '\n')); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(dir, LatentsFile), append(text, '\n'))
}

// moments are the arrays of a file, NHWC: the last two of the mirrored images.
var moments = []string{"mean", "deviation", "mean_flipped", "deviation_flipped"}

func (l Latents) moments() []string {
	if l.Flipped {
		return moments
	}
	return moments[:2]
}

// WriteShard writes a file: as many arrays as moments has, and classes, −1 for none, where
// there are some. Values of images lie one behind the other; sizes are theirs, of latents that have
// several, of which each has arrays of its own.
func (l Latents) WriteShard(disk durable.Disk, dir string, shard int, values [][]float32, sizes []Size, classes []int64) error {
	from, to := l.Range(shard)
	var arrays []Array
	add := func(name string, n int, of Size, values []float32) {
		a := Array{Name: name, Shape: []int{n, of.Height, of.Width, l.Channels}}
		switch l.Type {
		case "fp16":
			a.Halves = narrowed(values, float16.Narrow)
		case "bf16":
			a.Words = narrowed(values, upperHalf)
		default:
			a.Floats = values
		}
		arrays = append(arrays, a)
	}
	if l.Buckets == nil {
		for i, name := range l.moments() {
			add(name, to-from, Size{l.Height, l.Width}, values[i])
		}
	}
	for _, s := range l.Buckets {
		for i, name := range l.moments() {
			if own, n := l.ofSize(values[i], sizes, s); n > 0 {
				add(shapedMoment(name, s), n, s, own)
			}
		}
	}
	if l.Buckets != nil {
		a := Array{Name: sizesArray, Shape: []int{len(sizes), 2}}
		for _, s := range sizes {
			a.Integers = append(a.Integers, int64(s.Height), int64(s.Width))
		}
		arrays = append(arrays, a)
	}
	if len(l.Classes) > 0 {
		arrays = append(arrays, Array{Name: labelNames[0], Shape: []int{to - from}, Integers: classes})
	}
	return disk.Write(LatentsShard(dir, shard), func(w io.Writer) error { return WriteNPZ(w, arrays...) })
}

// shapedMoment is the array of a moment of latents of a size.
func shapedMoment(name string, s Size) string {
	return fmt.Sprintf("%s_%dx%d", name, s.Height, s.Width)
}

// ofSize are the values of the latents of a size, and how many these are.
func (l Latents) ofSize(values []float32, sizes []Size, of Size) (own []float32, n int) {
	for _, s := range sizes {
		size := s.Height * s.Width * l.Channels
		if s == of {
			own, n = append(own, values[:size]...), n+1
		}
		values = values[size:]
	}
	return own, n
}

func narrowed(values []float32, narrow func(float32) uint16) []uint16 {
	out := make([]uint16, len(values))
	for i, x := range values {
		out[i] = narrow(x)
	}
	return out
}

// upperHalf rounds to the nearest bfloat16, ties to even.
func upperHalf(x float32) uint16 {
	bits := math.Float32bits(x)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// ReadLatents reads LatentsFile; an error that is fs.ErrNotExist says that there is none.
func ReadLatents(dir string) (l Latents, err error) {
	path := filepath.Join(dir, LatentsFile)
	if err := readJSON(path, maxPairsText, &l); err != nil {
		return l, err
	}
	bad := l.Count < 1 || l.Count > maxFiles || l.Shard < 1 || l.Shard > maxFiles || l.Shards() > MostShards ||
		min(l.Height, l.Width, l.Channels) < 1 || max(l.Height, l.Width) > MaxSide || l.Channels > maxImageBytes || 4*int64(l.Height)*int64(l.Width)*int64(l.Channels) > maxImageBytes ||
		len(l.Shift) != l.Channels || len(l.Buckets) > MostBuckets || slices.ContainsFunc(l.Buckets, func(s Size) bool {
		return min(s.Height, s.Width) < 1 || s.most() > MaxSide || s.Height*s.Width > l.Height*l.Width
	}) || len(l.Scale) != l.Channels || slices.Contains(l.Scale, 0) || !slices.Contains(LatentTypes, l.Type)
	if bad {
		return l, &Error{Path: path, Problem: fmt.Sprintf("is not that of latents: count %d, shard %d, latents of %d×%d×%d, type %q, %d shifts and %d scales", l.Count, l.Shard, l.Height, l.Width, l.Channels, l.Type, len(l.Shift), len(l.Scale))}
	}
	return l, nil
}

// readJSON reads a file of at most so many bytes.
func readJSON(path string, most int64, into any) error {
	f, err := openRegular(path)
	if err != nil {
		return &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return &Error{Path: path, Problem: "is not whole", Err: err}
	}
	return nil
}

// HasShard says whether a file is there and as it is to be.
func (l Latents) HasShard(dir string, shard int) (bool, error) {
	s, err := l.open(dir, shard)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.file.Close()
}

// latentShard is an open file.
type latentShard struct {
	file    io.Closer
	moments [][]npyArray // by bucket; of one shape there is one
	bucket  []int        // of each image; nil: they have one shape
	place   []int        // and which of its array it is
	labels  []int64
}

// element says in which arrays image i lies, and as which of them.
func (s latentShard) element(i int) ([]npyArray, int) {
	if s.bucket == nil {
		return s.moments[0], i
	}
	return s.moments[s.bucket[i]], s.place[i]
}

func (l Latents) open(dir string, shard int) (s latentShard, err error) {
	path := LatentsShard(dir, shard)
	f, members, err := openNpz(path)
	if err != nil {
		return s, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return s, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	s.file = f
	d := arrays{path: path, file: f, size: info.Size()}
	from, to := l.Range(shard)
	bad := func(name, problem string) error {
		return &Error{Path: path + "!" + name + ".npy", Problem: fmt.Sprintf("%s; %s wants latents %d to %d of %d×%d×%d as %s", problem, LatentsFile, from, to-1, l.Height, l.Width, l.Channels, l.Type)}
	}
	kind, size := byte('f'), 4
	switch l.Type {
	case "fp16":
		size = 2
	case "bf16":
		kind, size = 'u', 2
	}
	open := func(name string, n int, of Size) (npyArray, error) {
		if members[name] == nil {
			return npyArray{}, bad(name, "is not there")
		}
		a, err := d.member(members[name])
		if err == nil && (!slices.Equal(a.npyHeader.shape, []int{n, of.Height, of.Width, l.Channels}) || a.kind != kind || a.size != size) {
			err = bad(name, fmt.Sprintf("is %s of shape %s", a.typeText(), a.shapeText()))
		}
		return a, err
	}
	counts := []int{to - from}
	if l.Buckets != nil {
		if counts, err = s.readSizes(d, members[sizesArray], l, to-from); err != nil {
			return s, err
		}
	}
	for k, n := range counts {
		var all []npyArray
		for _, name := range l.moments() {
			of := Size{l.Height, l.Width}
			if l.Buckets != nil {
				of = l.Buckets[k]
				name = shapedMoment(name, of)
			}
			if n == 0 {
				continue
			}
			a, err := open(name, n, of)
			if err != nil {
				return s, err
			}
			all = append(all, a)
		}
		s.moments = append(s.moments, all)
	}
	if len(l.Classes) == 0 {
		return s, nil
	}
	name := labelNames[0]
	if members[name] == nil {
		return s, bad(name, "is not there")
	}
	if s.labels, err = d.column(members[name], int64(len(l.Classes)-1), "classes, −1 for none"); err == nil && len(s.labels) != to-from {
		err = bad(name, fmt.Sprintf("has %d numbers", len(s.labels)))
	}
	return s, err
}

// readSizes reads which bucket each of n images is of, and counts those of each.
func (s *latentShard) readSizes(d arrays, m *zip.File, l Latents, n int) (counts []int, err error) {
	name := d.path + "!" + sizesArray + ".npy"
	if m == nil {
		return nil, &Error{Path: name, Problem: "is not there: height and width of each latent"}
	}
	list, err := d.column(m, MaxSide, "heights and widths")
	if err != nil {
		return nil, err
	}
	if len(list) != 2*n {
		return nil, &Error{Path: name, Problem: fmt.Sprintf("has %d numbers; want height and width of %d latents", len(list), n)}
	}
	counts = make([]int, len(l.Buckets))
	for i := range n {
		of := Size{int(list[2*i]), int(list[2*i+1])}
		k := slices.Index(l.Buckets, of)
		if k < 0 {
			return nil, &Error{Path: name, Problem: fmt.Sprintf("says that latent %d is of %v, which %s does not have", i, of, LatentsFile)}
		}
		s.bucket, s.place = append(s.bucket, k), append(s.place, counts[k])
		counts[k]++
	}
	return counts, nil
}

// read reads one of the moments of an image.
func (s latentShard) read(which, i int, stored []byte, to []float32) error {
	all, i := s.element(i)
	a := all[which]
	if n, err := a.body.ReadAt(stored, int64(i)*int64(len(stored))); n < len(stored) {
		return &Error{Path: a.name, Problem: fmt.Sprintf("latent %d cannot be read", i), Err: err}
	}
	if a.kind == 'f' {
		if err := a.floats(to, stored, Range{}); err != nil {
			return &Error{Path: a.name, Problem: fmt.Sprintf("latent %d: %v", i, err)}
		}
		return nil
	}
	for k := range to {
		to[k] = math.Float32frombits(uint32(a.order.Uint16(stored[2*k:])) << 16)
		if to[k]-to[k] != 0 {
			return &Error{Path: a.name, Problem: fmt.Sprintf("latent %d: value %d %v", i, k, errNotFloat32)}
		}
	}
	return nil
}

// latents is a folder of them as a data set: as a denoiser has them, drawn of their
// posteriors where an example brings a Draw.
type latents struct {
	Latents
	dir     string
	shards  []latentShard
	names   func() []string
	buckets *Buckets // nil: all have one shape
}

const latentsPrefix = "latents:"

func openLatents(spec string, o Options) (Dataset, error) {
	dir, ok := strings.CutPrefix(spec, latentsPrefix)
	if !ok {
		return nil, nil
	}
	if dir == "" {
		return nil, &Error{Path: spec, Problem: "names no folder; want one of latents, as in latents:DIR"}
	}
	l, err := ReadLatents(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = &Error{Path: dir, Problem: "is no folder of latents; want one that fluxion latents made", Err: err}
	}
	if err != nil {
		return nil, err
	}
	d := &latents{Latents: l, dir: dir}
	d.names = sync.OnceValue(func() (names []string) {
		if readJSON(filepath.Join(dir, LatentsNames), 1<<30, &names) != nil || len(names) != l.Count {
			return nil
		}
		return names
	})
	if d.shards, err = openParts(dir, "latents", l.Shards(), LatentsShard, l.open); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if l.Buckets != nil {
		var all []int
		for _, s := range d.shards {
			all = append(all, s.bucket...)
		}
		d.buckets = newBuckets(l.Buckets, all)
	}
	if _, asked := o.Fit.Buckets(); asked && l.Buckets == nil {
		return nil, errors.Join(&Error{Path: spec, Problem: "holds latents of one shape; fluxion latents --fit buckets makes those of several"}, d.Close())
	}
	if o.Range != (Range{}) {
		return nil, errors.Join(&Error{Path: spec, Problem: "holds latents, whose range is that of their autoencoder; want no --range"}, d.Close())
	}
	r, err := Dataset(nil), error(nil)
	if d.buckets != nil {
		r, err = o.fromShapes(d, spec)
	} else {
		r, err = resized(d, o)
	}
	if err != nil {
		err = errors.Join(err, d.Close())
	}
	return r, err
}

// LatentsOf says what a set of latents is, and its folder; nil: it is none.
func LatentsOf(d Dataset) (l *Latents, dir string) {
	if l, ok := stored(d).(*latents); ok {
		return &l.Latents, l.dir
	}
	return nil, ""
}

// KeepsMirrored says whether a set holds its mirrored images, and those of its inputs: latents
// of them are others than mirrored latents, as an encoder does not commute with the mirror.
func KeepsMirrored(d Dataset) bool {
	l, _ := LatentsOf(d)
	inputs := Inputs(d)
	return l != nil && l.Flipped && (inputs == nil || KeepsMirrored(inputs))
}

// cheap says that latents are as fast read as kept, and those that are drawn are others each time.
func (d *latents) cheap() bool                          { return true }
func (d *latents) Name() string                         { return baseName(d.dir) }
func (d *latents) Len() int                             { return d.Count }
func (d *latents) Shape() (height, width, channels int) { return d.Height, d.Width, d.Channels }
func (d *latents) Kind() Kind                           { return Floats }
func (d *latents) Classes() []string                    { return d.Latents.Classes }

// Read gives the latent of image i as a denoiser has it: z = (mean + deviation·ξ − shift)·scale.
func (d *latents) Read(i int, e *Example) error {
	s, at := d.shards[i/d.Shard], i%d.Shard
	own := SizeOf(d, i)
	n := own.Height * own.Width * d.Channels
	if n != len(e.Floats) {
		return otherShape(d.dir, "latent", i, own)
	}
	all, _ := s.element(at)
	size := n * all[0].size
	e.stored = slices.Grow(e.stored[:0], size)[:size]
	first := 0
	if e.Mirror {
		if !d.Flipped {
			return &Error{Path: d.dir, Problem: "holds no latents of mirrored images; fluxion latents --flip makes them"}
		}
		first = 2
	}
	if err := s.read(first, at, e.stored, e.Floats); err != nil {
		return err
	}
	if e.Draw != nil {
		e.drawn = slices.Grow(e.drawn[:0], 2*n)[:2*n]
		deviation, xi := e.drawn[:n], e.drawn[n:]
		if err := s.read(first+1, at, e.stored, deviation); err != nil {
			return err
		}
		e.Draw(e.At, xi)
		for k, x := range xi {
			e.Floats[k] += float32(deviation[k] * x) // rounded: the same where a compiler would fuse
		}
	}
	for k, x := range e.Floats {
		c := k % d.Channels
		e.Floats[k] = float32((float64(x) - d.Shift[c]) * d.Scale[c])
	}
	if s.labels != nil {
		e.Class = int(s.labels[at])
	}
	return nil
}

func (d *latents) Close() error {
	var err error
	for _, s := range d.shards {
		err = errors.Join(err, s.file.Close())
	}
	return err
}

// Notes say of which images and autoencoder the latents are.
func (d *latents) Notes() []string {
	text := fmt.Sprintf("latents of images of %d×%d×%d", d.Image[1], d.Image[0], d.Image[2])
	for _, k := range []string{"data", "vae"} {
		if v := d.Made[k]; v != "" {
			text += ", " + k + " " + v
		}
	}
	if !d.Flipped {
		text += "; without those of mirrored images"
	}
	return append([]string{text}, d.buckets.notes()...)
}

func (d *latents) inBuckets() *Buckets { return d.buckets }

// Fingerprint is made of LatentsFile and of some latents.
func (d *latents) Fingerprint() Fingerprint {
	p := Fingerprint{Images: d.Count, Classes: d.Latents.Classes, Counts: make([]int, len(d.Latents.Classes))}
	for _, s := range d.shards {
		for _, l := range s.labels {
			if l >= 0 {
				p.Counts[l]++
			}
		}
	}
	p.Digest = digest(func(h hash.Hash) {
		said := d.Latents
		said.Made = nil // where things lay
		text, _ := json.Marshal(said)
		h.Write(text)
		e := NewExample(d)
		for _, i := range spread(d.Count, 64) {
			_, err := e.ReadShaped(d, i)
			fmt.Fprintln(h, err != nil)
			_ = binary.Write(h, binary.LittleEndian, e.Floats) // into memory
		}
	})
	return p
}
