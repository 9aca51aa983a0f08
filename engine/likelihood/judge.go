package likelihood

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"fluxion/engine/plan"
	"fluxion/engine/process"
)

// Options say how images are judged. What an image comes to depends on them and on
// the image alone: not on the batch, its place there, or the threads.
type Options struct {
	NetworkOptions
	Process process.Process
	Levels  Levels // of images of bytes
	Seed    uint64
	Images  int // that will come: batches are no larger than they fill; 0: not known

	// Of a flow.
	Solver Solver
	Steps  Steps
	Probes int // directions in which a divergence is taken; 0: all, which is exact
	Draws  int // of noise within the levels of an image

	// Of a bound.
	Bound       Bound
	NoiseLevels int // at which an image is denoised

	// Of a chain.
	Times int // steps at which an image is asked; 0: all
}

// Image is one that is judged.
type Image struct {
	Number int64     // the address of its random numbers
	Bytes  []byte    // values of Levels, or
	Values []float32 // numbers that are none
	Class  int       // as the network is told it
}

// levels are those of the image.
func (o Options) levels(i Image) Levels {
	if i.Bytes == nil {
		return Levels{}
	}
	return o.Levels
}

// clean is the image as the network sees it without noise.
func (o Options) clean(i Image) []float64 {
	x := make([]float64, max(len(i.Bytes), len(i.Values)))
	for k, v := range i.Values {
		x[k] = float64(v)
	}
	for k, b := range i.Bytes {
		x[k] = o.Levels.Value(int(b))
	}
	return x
}

// Images are handed out one after the other; each is copied before the next is asked for.
type Images = iter.Seq2[Image, error]

// Progress is told how many images are done, with parts of those that are on their way,
// and how many rows the network was asked.
type Progress func(images float64, rows int64) error

// errStopped ends an image that nobody waits for any more.
var errStopped = errors.New("stopped")

// run is what the images of one judgement share.
type run struct {
	Options
	net      *network
	path     Path
	progress Progress
	done     float64
	rows     int64
	failed   error
}

// newRun has a network with products or without, for so many rows of each image.
func newRun(o Options, products bool, rows int, progress Progress) (*run, error) {
	if o.Images > 0 {
		o.Batch = int(min(int64(o.Batch), plan.Product(o.Images, rows)))
	}
	r := &run{Options: o, progress: progress}
	var err error
	if r.path, err = NewPath(o.Process); err != nil {
		return nil, err
	}
	r.net, err = newNetwork(o.NetworkOptions, products)
	return r, err
}

// judge runs what each image asks, in order of their parts.
func (r *run) judge(ctx context.Context, images Images, parts func(place int, i Image) []iter.Seq[*question]) (err error) {
	defer func() { err = errors.Join(err, r.net.close()) }()
	askers := func(yield func(iter.Seq[*question]) bool) {
		place := 0
		for i, err := range images {
			if err == nil {
				err = r.check(i)
			}
			if err != nil {
				r.failed = err
				return
			}
			for _, asker := range parts(place, i) {
				if !yield(asker) {
					return
				}
			}
			place++
		}
	}
	err = r.net.answer(ctx, askers, func(rows int) error {
		r.rows += int64(rows)
		if r.failed != nil || r.progress == nil {
			return r.failed
		}
		return r.progress(r.done, r.rows)
	})
	if err == nil {
		err = r.failed // after the last batch
	}
	return err
}

// check says what is wrong with an image.
func (r *run) check(i Image) error {
	if n := max(len(i.Bytes), len(i.Values)); n != r.net.dims() {
		return fmt.Errorf("image %d has %d values, want the network's %d", i.Number, n, r.net.dims())
	}
	return nil
}

// fail notes the first error of an image.
func (r *run) fail(i Image, err error) {
	if err != nil && !errors.Is(err, errStopped) && r.failed == nil {
		r.failed = fmt.Errorf("image %d: %w", i.Number, err)
	}
}
