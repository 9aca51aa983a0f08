package data

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Resident is the stream of a data set that lies somewhere as a whole, decoded:
// its batches say which image is where and whether it is mirrored. It is the
// stream of a Loader with the same options.
type Resident struct {
	data    Dataset
	o       LoaderOptions
	places  places
	classes []int32
	numbers *Numbers // of images; nil: none
	noise   []int64  // addresses, or Own
	errs    []error  // of images that cannot be decoded
	next    int64    // batch
	batches []Batch  // in turn
	skipped names
}

// chunkBytes is about how much is decoded before it is handed on.
const chunkBytes = 16 << 20

// NewResident decodes all images, hands them to write in order (the number of the
// first, and the pixels of some and of their inputs; broken images are zeros), and returns
// their stream.
func NewResident(ctx context.Context, d Dataset, o LoaderOptions, write func(first int, pixels, inputs Pixels) error) (*Resident, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := o.suits(d); err != nil {
		return nil, err
	}
	if BucketsOf(d) != nil {
		return nil, fmt.Errorf("%s has images of several shapes: it cannot lie somewhere as a whole", d.Name())
	}
	if o.Draw != nil || o.Flip && KeepsMirrored(d) {
		return nil, fmt.Errorf("%s is drawn, or holds mirrored images: it cannot lie somewhere as a whole", d.Name())
	}
	at, err := newPlaces(d, o)
	if err != nil {
		return nil, err
	}
	r := &Resident{data: d, o: o, places: at, numbers: NumbersOf(d), classes: make([]int32, d.Len()), noise: make([]int64, d.Len()), errs: make([]error, d.Len())}
	for n := o.Batch; len(r.batches) <= o.Ahead; {
		r.batches = append(r.batches, Batch{Classes: make([]int32, n), Indices: make([]int64, n), Noise: make([]int64, n), Sources: make([]int64, n), Flips: make([]bool, n), Numbers: make([]float32, n*r.numbers.width())})
	}
	size, input := ValuesOf(d), inputValues(d)
	_, kind := InputOf(d)
	chunk := max(1, chunkBytes/(size*d.Kind().Size()+input*kind.Size()))
	pixels, inputs := NewPixels(d.Kind(), min(chunk, d.Len())*size), NewPixels(kind, min(chunk, d.Len())*input)
	for first := 0; first < d.Len(); first += chunk {
		n := min(chunk, d.Len()-first)
		if err := r.decode(ctx, first, n, Size{}, pixels.Slice(0, n*size), inputs.Slice(0, n*input)); err != nil {
			return nil, err
		}
		if err := write(first, pixels.Slice(0, n*size), inputs.Slice(0, n*input)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// decode reads n images from first on, on all processors: of a size, where the set has several.
func (r *Resident) decode(ctx context.Context, first, n int, of Size, pixels, inputs Pixels) error {
	size, input := pixels.Len()/n, inputs.Len()/n
	workers := runtime.GOMAXPROCS(0)
	var group errgroup.Group
	for worker := range workers {
		group.Go(func() error {
			e := Example{Size: of}
			for i := worker; i < n; i += workers {
				if err := context.Cause(ctx); err != nil {
					return err
				}
				e.Pixels, e.Input = pixels.Slice(i*size, (i+1)*size), inputs.Slice(i*input, (i+1)*input)
				err := read(r.data, first+i, &e)
				if err != nil {
					e.Clear()
					e.Input.Clear()
				}
				r.classes[first+i], r.noise[first+i], r.errs[first+i] = int32(e.Class), e.Noise, err
			}
			return nil
		})
	}
	return group.Wait()
}

// Next returns the next batch, which has no pixels. It is valid until Options.Ahead others
// have followed.
func (r *Resident) Next(ctx context.Context) (*Batch, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	start := r.o.position(r.next)
	b := &r.batches[r.next%int64(len(r.batches))]
	for i := range b.Indices {
		position := start + int64(i)
		index, err := r.places.pick(position, func(index int) error { return r.errs[index] }, r.skipped.add)
		if err != nil {
			return nil, err
		}
		b.Indices[i], b.Sources[i], b.Classes[i] = position, int64(index), r.classes[index]
		r.numbers.put(index, b.Numbers[i*r.numbers.width():][:r.numbers.width()])
		b.Noise[i] = noiseOf(r.noise[index], position)
		b.Flips[i] = r.o.Flip && flipped(r.o.Seed, position)
	}
	r.next++
	return b, nil
}

// Release does nothing: batches come in turn.
func (*Resident) Release(*Batch) {}

// Skipped names the broken images that were left out so far.
func (r *Resident) Skipped() []string { return r.skipped.all() }

// Close does nothing.
func (*Resident) Close() {}

func (o LoaderOptions) check() error {
	if o.Batch < 1 || o.Start < 0 {
		return fmt.Errorf("loader of batches of %d from position %d: want a positive batch and position", o.Batch, o.Start)
	}
	if o.Step != 0 && (o.First < 0 || o.First >= o.End || o.End > o.Step) {
		return fmt.Errorf("loader of batches %d to %d of every %d: want some of them", o.First, o.End, o.Step)
	}
	return nil
}

// suits says why a set cannot be streamed so.
func (o LoaderOptions) suits(d Dataset) error {
	l, dir := LatentsOf(d)
	switch {
	case l == nil:
		return nil
	case o.Augment != nil:
		return &Error{Path: dir, Problem: "holds latents, which cannot be transformed as images: their autoencoder does not commute with that"}
	case o.Flip && !KeepsMirrored(d):
		return &Error{Path: dir, Problem: "holds no latents of mirrored images, which are others than mirrored latents; fluxion latents --flip makes them"}
	}
	return nil
}

// position of batch n of the stream.
func (o LoaderOptions) position(n int64) int64 {
	if o.Step > 0 {
		share := int64(o.End - o.First)
		n = n/share*int64(o.Step) + int64(o.First) + n%share
	}
	return o.Start + n*int64(o.Batch)
}
