package data

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"fluxion/data/affine"
)

// LoaderOptions of NewLoader.
type LoaderOptions struct {
	Batch int
	Seed  uint64
	// Augment says what becomes of the image at a position of the stream, whose pixels are
	// then float32; nil: nothing.
	Augment func(position int64) affine.Transform
	// Draw fills standard normal numbers for a position, of which images of distributions are
	// drawn; nil: their means are taken.
	Draw       func(position int64, to []float32)
	Flip       bool  // mirror every image with probability ½
	SkipBroken bool  // take the next image for one that cannot be decoded
	Start      int64 // position in the stream: images seen before
	// Of every Step batches in a row, the first of which begins at Start, those from
	// First up to End are in this stream; 0, 0, 0: all.
	Step, First, End int
	Workers          int // goroutines that decode; 0: half the processors
	Ahead            int // batches decoded before they are asked for; 0: 3
}

// Batches is how many batches a Loader holds unless it is told otherwise.
const Batches = 4

// Batch is images next to each other in the stream: what a training step is filled with.
type Batch struct {
	Pixels  Pixels
	Size    Size      // of its images, where the set has several (see BucketsOf); zero: the set's Shape
	Classes []int32   // −1: none
	Numbers []float32 // labels that are no classes, those of each image next to each other, NaN where it has none
	Indices []int64   // positions in the stream, which address an image's random numbers
	Inputs  Pixels    // what images are to be made of, where the set says
	Noise   []int64   // addresses of their noise; nil: Indices
	Sources []int64   // instead of Pixels, in batches of a Resident: the numbers of the images
	Flips   []bool    // and whether they are to be mirrored

	decoding *decoding // nil in batches of a Resident
}

// decoding is what a Loader knows of a batch that it works on.
type decoding struct {
	room    Pixels // of which Pixels is as much as images have
	inputs  Pixels // and of which Inputs
	turn    turn   // whose images they are, where the set has several shapes
	pending atomic.Int32
	done    chan struct{}
	errs    []error // by image
}

// Stream is batches in order, without end: a Loader, or a Resident.
type Stream interface {
	Next(context.Context) (*Batch, error) // the caller's until Release
	Release(*Batch)
	Skipped() []string // names of broken images that were left out so far
	Close()
}

// Loader turns a data set into an endless stream of batches, decoded ahead on
// goroutines of its own. What is at a position of the stream depends on data,
// seed and position alone.
type Loader struct {
	data    Dataset
	buckets *Buckets // that batches are of; nil: images have one shape
	numbers *Numbers // of images; nil: none
	o       LoaderOptions
	places  places
	size    int
	input   int  // values of an image's input; 0: it has none
	keeps   bool // the set holds mirrored images, which are not made here
	free    chan *Batch
	ready   chan *Batch // in order, perhaps not decoded yet
	jobs    chan job
	stop    chan struct{}
	once    sync.Once
	group   sync.WaitGroup

	skipped names
}

type job struct {
	batch *Batch
	i     int
}

// NewLoader starts a loader; it must be closed.
func NewLoader(d Dataset, o LoaderOptions) (*Loader, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if h, w, _ := d.Shape(); o.Augment != nil && (h != w || w < 2 || BucketsOf(d) != nil) {
		return nil, fmt.Errorf("images of %d×%d pixels, or of several shapes, cannot be transformed, want squares of 2×2 or more", w, h)
	}
	if BucketsOf(d) != nil && o.Start%int64(o.Batch) != 0 {
		return nil, fmt.Errorf("a stream of buckets from position %d in batches of %d: want a multiple of that", o.Start, o.Batch)
	}
	if err := o.suits(d); err != nil {
		return nil, err
	}
	at, err := newPlaces(d, o)
	if err != nil {
		return nil, err
	}
	if o.Workers == 0 {
		o.Workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.Ahead == 0 {
		o.Ahead = Batches - 1
	}
	l := &Loader{
		data: d, buckets: BucketsOf(d), numbers: NumbersOf(d), o: o, places: at, size: ValuesOf(d), input: inputValues(d), keeps: KeepsMirrored(d),
		free: make(chan *Batch, o.Ahead+1), ready: make(chan *Batch, o.Ahead+1), jobs: make(chan job, o.Batch), stop: make(chan struct{}),
	}
	kind := d.Kind()
	if o.Augment != nil {
		kind = Floats
	}
	_, input := InputOf(d)
	for range o.Ahead + 1 {
		room, inputs := NewPixels(kind, o.Batch*l.size), NewPixels(input, o.Batch*l.input) // no bucket has more
		l.free <- &Batch{
			Pixels: room, Inputs: inputs, Classes: make([]int32, o.Batch), Indices: make([]int64, o.Batch), Noise: make([]int64, o.Batch), Numbers: make([]float32, o.Batch*l.numbers.width()),
			decoding: &decoding{room: room, inputs: inputs, errs: make([]error, o.Batch), done: make(chan struct{}, 1)},
		}
	}
	l.group.Add(1 + o.Workers)
	go l.dispatch()
	for range o.Workers {
		go l.decode()
	}
	return l, nil
}

// dispatch hands out the images of batches in order.
func (l *Loader) dispatch() {
	defer l.group.Done()
	for n := int64(0); ; n++ {
		position := l.o.position(n)
		var b *Batch
		select {
		case b = <-l.free:
		case <-l.stop:
			return
		}
		if l.buckets != nil {
			l.turn(b, position)
		}
		b.decoding.pending.Store(int32(l.o.Batch))
		for i := range b.Indices {
			b.Indices[i] = position
			position++
		}
		l.ready <- b // has room for all batches there are
		for i := range b.Indices {
			select {
			case l.jobs <- job{b, i}:
			case <-l.stop:
				return
			}
		}
	}
}

// turn makes a batch one of the bucket whose turn it is.
func (l *Loader) turn(b *Batch, position int64) {
	d := b.decoding
	d.turn = l.places.turn(l.buckets, position)
	b.Size = d.turn.of.Sizes[d.turn.bucket]
	values, input := l.values(b)
	b.Pixels, b.Inputs = d.room.Slice(0, l.o.Batch*values), d.inputs.Slice(0, l.o.Batch*input)
}

// values of an image of a batch, and of its input.
func (l *Loader) values(b *Batch) (values, input int) {
	if b.Size == (Size{}) {
		return l.size, l.input
	}
	height, width, _ := l.data.Shape()
	of := b.Size.Height * b.Size.Width
	return l.size / (height * width) * of, l.input / (height * width) * of
}

func (l *Loader) decode() {
	defer l.group.Done()
	var e Example // one for all: a step allocates nothing
	var w *transformed
	if l.o.Augment != nil {
		w = newTransformed(l.data)
	}
	for {
		select {
		case j := <-l.jobs:
			l.image(j.batch, j.i, &e, w)
			if j.batch.decoding.pending.Add(-1) == 0 {
				j.batch.decoding.done <- struct{}{}
			}
		case <-l.stop:
			return
		}
	}
}

// read reads an image. A decoder that panics has met a file that it cannot decode.
func read(d Dataset, i int, e *Example) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &Error{Path: d.Name(), Problem: fmt.Sprintf("image %d cannot be decoded: %v", i, r)}
		}
	}()
	e.Class, e.Noise = -1, Own
	return d.Read(i, e)
}

// image decodes image i of a batch.
func (l *Loader) image(b *Batch, i int, e *Example, w *transformed) {
	position := b.Indices[i]
	flip := l.o.Flip && flipped(l.o.Seed, position)
	e.At, e.Part, e.Draw, e.Mirror = position, partOf(l.o.Seed, position), l.o.Draw, flip && l.keeps
	e.Size = b.Size
	height, width, channels := l.data.Shape()
	if b.Size != (Size{}) {
		height, width = b.Size.Height, b.Size.Width
	}
	size, input := l.values(b)
	to := b.Pixels.Slice(i*size, (i+1)*size)
	if e.Pixels, e.Input = to, b.Inputs.Slice(i*input, (i+1)*input); w != nil {
		e.Pixels = w.raw
	}
	index, err := l.pick(b, i, func(index int) error { return read(l.data, index, e) })
	if err == nil && flip && !l.keeps {
		e.Pixels.Mirror(width, channels)
		e.Input.Mirror(width, input/(height*width))
	}
	if err == nil && w != nil {
		w.raw.Values(w.values)
		w.images.Apply(l.o.Augment(position), w.values, to.Floats)
	}
	l.numbers.put(index, b.Numbers[i*l.numbers.width():][:l.numbers.width()])
	b.Classes[i], b.Noise[i], b.decoding.errs[i] = int32(e.Class), noiseOf(e.Noise, position), err
}

// pick returns image i of a batch.
func (l *Loader) pick(b *Batch, i int, read func(index int) error) (int, error) {
	if l.buckets == nil {
		return l.places.pick(b.Indices[i], read, l.skipped.add)
	}
	t := b.decoding.turn
	members := t.of.members[t.bucket]
	n, at := len(members), t.from+int64(i)
	place := Order(t.of.seed(t.seed, t.bucket), at/int64(n), n, int(at%int64(n)))
	place, err := l.places.readable(n, place, func(place int) error { return read(t.first + int(members[place])) }, l.skipped.add)
	return t.first + int(members[place]), err
}

// transformed is what a goroutine needs to transform images.
type transformed struct {
	raw    Pixels
	values []float32
	images *affine.Images
}

func newTransformed(d Dataset) *transformed {
	side, _, channels := d.Shape()
	images, err := affine.NewImages(side, channels)
	if err != nil {
		panic(err) // NewLoader has looked
	}
	return &transformed{NewPixels(d.Kind(), ValuesOf(d)), make([]float32, ValuesOf(d)), images}
}

// noiseOf is the address of the noise of an image at a position of the stream.
func noiseOf(address, position int64) int64 {
	if address == Own {
		return position
	}
	return address
}

// Skipped names the broken images that were left out so far.
func (l *Loader) Skipped() []string { return l.skipped.all() }

// maxSkipped is how many names of broken images are kept.
const maxSkipped = 1000

// names is a set of broken images.
type names struct {
	mu   sync.Mutex
	list []string
}

func (s *names) add(err error) {
	name := err.Error()
	if e := (*Error)(nil); errors.As(err, &e) {
		name = e.Path
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) < maxSkipped && !slices.Contains(s.list, name) {
		s.list = append(s.list, name)
	}
}

func (s *names) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// Mirror turns images of some width and channels left to right.
func (p Pixels) Mirror(w, c int) {
	mirror(p.Bytes, w, c)
	mirror(p.Floats, w, c)
}

func mirror[T byte | float32](pixels []T, w, c int) {
	for ; len(pixels) > 0; pixels = pixels[w*c:] {
		row := pixels[:w*c]
		switch c { // the loader of a set that is kept decoded does little else
		case 1:
			slices.Reverse(row)
		case 3:
			for a, b := 0, len(row)-3; a < b; a, b = a+3, b-3 {
				p, q := row[a:a+3:a+3], row[b:b+3:b+3]
				p[0], p[1], p[2], q[0], q[1], q[2] = q[0], q[1], q[2], p[0], p[1], p[2]
			}
		default:
			for x := range w / 2 {
				for k := range c {
					a, b := x*c+k, (w-1-x)*c+k
					row[a], row[b] = row[b], row[a]
				}
			}
		}
	}
}

var errClosed = errors.New("the loader is closed")

// Next returns the next batch, the caller's until Release.
func (l *Loader) Next(ctx context.Context) (*Batch, error) {
	var b *Batch
	select {
	case b = <-l.ready:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-l.stop:
		return nil, errClosed
	}
	select {
	case <-b.decoding.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-l.stop:
		return nil, errClosed
	}
	for _, err := range b.decoding.errs {
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Release gives a batch back to be filled again.
func (l *Loader) Release(b *Batch) { l.free <- b }

// Close ends the loader's goroutines.
func (l *Loader) Close() {
	l.once.Do(func() { close(l.stop) })
	l.group.Wait()
}
