package likelihood

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"fluxion/engine/process"
)

// Options say how images are judged. What an image comes to depends on them and on
// the image alone: not on the batch, its place there, or the threads.
type Options struct {
	NetworkOptions
	Process process.Process
	Levels  Levels // of images of bytes
	Seed    uint64

	// Of a flow.
	Solver Solver
	Steps  Steps
	Probes int // directions in which a divergence is taken; 0: all, which is exact
	Draws  int // of noise within the levels of an image

	// Of a bound.
	Bound  Bound
	Lambda int // noise levels at which an image is denoised
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

func newRun(o Options, products bool, progress Progress) (*run, error) {
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

// Density is what flows say of images: bits per dimension of each, −log₂ p/D, and for
// bytes the interval of a value.
type Density struct {
	Path  Path
	Bits  []float64 // the mean over draws
	Calls float64   // of the velocity, in the mean over flows
}

// Densities integrates the probability flow of each image from data to noise.
func Densities(ctx context.Context, o Options, images Images, progress Progress) (*Density, error) {
	if err := o.Solver.Check(o.Steps); err != nil {
		return nil, err
	}
	r, err := newRun(o, true, progress)
	if err != nil {
		return nil, err
	}
	d := &Density{Path: r.path}
	var all []float64 // of each draw of each image
	calls := 0
	draws := 1
	err = r.judge(ctx, images, func(place int, i Image) []iter.Seq[*question] {
		if i.Bytes != nil {
			draws = o.Draws
		}
		all = append(all, make([]float64, draws)...)
		var parts []iter.Seq[*question]
		for draw := range draws {
			x := r.dequantised(i, draw)
			parts = append(parts, func(yield func(*question) bool) {
				log, n, err := r.path.LogDensity(r.flow(i, draw, 1/float64(draws), yield), x, o.Solver, o.Steps)
				all[place*draws+draw] = o.levels(i).BitsPerDim(log, len(x))
				calls += n
				r.fail(i, err)
			})
		}
		return parts
	})
	for i := 0; i < len(all); i += draws {
		sum := 0.0
		for _, bits := range all[i:][:draws] {
			sum += bits
		}
		d.Bits = append(d.Bits, sum/float64(draws))
	}
	d.Calls = float64(calls) / float64(max(1, len(all)))
	return d, err
}

// dequantised is an image with noise within its levels.
func (o Options) dequantised(i Image, draw int) []float64 {
	x := o.clean(i)
	if i.Bytes != nil {
		noise := make([]float32, len(x))
		Draws{o.Seed, i.Number}.Dequantisation(draw, noise)
		for k, b := range i.Bytes {
			x[k] = o.Levels.Dequantised(int(b), float64(noise[k]))
		}
	}
	return x
}

// flow is the velocity of the network along the linear path, with its divergence: of
// v = Z z + Y y, Z D and Y times that of y, which is told Input z. Its directions stay
// the same along the way, so that the solver sees a smooth function.
func (r *run) flow(i Image, draw int, share float64, yield func(*question) bool) Field {
	draws, n := Draws{r.Seed, i.Number}, r.Probes
	q := &question{points: make([]process.Point, 1), z: make([][]float64, 1), y: make([][]float32, 1), class: float32(i.Class)}
	if q.probes = n; n > 0 {
		q.probe = func(k int, e []float32) { draws.Probe(draw*n+k, e) }
	} else {
		q.probes = r.net.dims()
		q.probe = unit
	}
	q.traces = make([]float64, q.probes)
	way := 0.0
	return func(t float64, z, v []float64) (float64, error) {
		p := r.path.At(t)
		of, err := velocity(p)
		if err != nil {
			return 0, err
		}
		q.points[0], q.z[0] = p, z
		if q.asked, q.answered = 0, 0; !yield(q) {
			return 0, errStopped
		}
		for k, y := range q.y[0] {
			v[k] = of.Z*z[k] + of.Y*float64(y)
		}
		trace := 0.0
		for _, s := range q.traces {
			trace += s
		}
		if n > 0 {
			trace /= float64(n)
		}
		gone := (t - r.path.Data.Time) / (r.path.Noise.Time - r.path.Data.Time) * share
		r.done += gone - way
		way = gone
		return of.Z*float64(len(z)) + of.Y*p.Input*trace, nil
	}
}

// unit is direction k of all.
func unit(k int, e []float32) {
	clear(e)
	e[k] = 1
}

// BoundOf is the bound of a process: between VDM's own limits, as far as it knows them.
func BoundOf(p process.Process) (Bound, error) {
	path, err := NewPath(p)
	return Bound{Max: min(LambdaMax, path.Data.LogSNR), Min: max(LambdaMin, path.Noise.LogSNR)}, err
}

// Bounds takes the variational bound of each image: its terms in bits per dimension.
func Bounds(ctx context.Context, o Options, images Images, progress Progress) ([]Terms, error) {
	if err := o.Bound.Check(); err != nil {
		return nil, err
	}
	if o.Lambda < 1 {
		return nil, fmt.Errorf("%d noise levels of the bound, want at least 1", o.Lambda)
	}
	r, err := newRun(o, false, progress)
	if err != nil {
		return nil, err
	}
	if most, least := r.path.Data.LogSNR, r.path.Noise.LogSNR; o.Bound.Max > most || o.Bound.Min < least {
		err := fmt.Errorf("the bound goes from λ = %.4g to %.4g, but the model knows %.4g to %.4g", o.Bound.Max, o.Bound.Min, most, least)
		return nil, errors.Join(err, r.net.close())
	}
	var all []Terms
	err = r.judge(ctx, images, func(place int, i Image) []iter.Seq[*question] {
		x := o.clean(i)
		i.Bytes, i.Values = append([]byte(nil), i.Bytes...), nil
		all = append(all, Terms{})
		return []iter.Seq[*question]{func(yield func(*question) bool) {
			var err error
			all[place], err = r.bound(i, x, yield)
			r.fail(i, err)
		}}
	})
	return all, err
}

// together is how many noise levels of an image are asked for at once.
const together = 16

// bound is that of one image.
func (r *run) bound(i Image, x []float64, yield func(*question) bool) (Terms, error) {
	draws, n := Draws{r.Seed, i.Number}, r.Lambda
	dims, mean := len(x), 1/float64(n)
	t := Terms{Prior: Bits(r.Bound.PriorTerm(x), dims)}
	noise := make([]float32, dims)
	for first := 0; first < n; first += together {
		count := min(together, n-first)
		q := &question{class: float32(i.Class), y: make([][]float32, count)}
		weights := make([]float64, count)
		for k := range count {
			var lambda float64
			lambda, weights[k] = r.Bound.At(draws.Level(first+k, n))
			p := r.path.AtLogSNR(lambda)
			draws.Noise(first+k, noise)
			z := make([]float64, dims)
			for d, e := range noise {
				z[d] = p.Alpha*x[d] + p.Sigma*float64(e)
			}
			q.points, q.z = append(q.points, p), append(q.z, z)
		}
		if !yield(q) {
			return t, errStopped
		}
		for k, p := range q.points {
			eps, err := p.Eps()
			if err != nil {
				return t, err
			}
			draws.Noise(first+k, noise)
			sum := 0.0
			for d, e := range noise {
				off := float64(e) - eps.Z*q.z[k][d] - eps.Y*float64(q.y[k][d])
				sum += off * off
			}
			if sum-sum != 0 { // of infinities and NaN it is NaN
				return t, &NotFiniteError{p.Time}
			}
			t.Diffusion += weights[k] * Bits(sum, dims) * mean
			t.Reconstruction += r.reconstruct(i, x, draws, first+k, noise) * mean
		}
		r.done += float64(count) * mean
	}
	return t, nil
}

// reconstructions is the first draw of noise that is for them.
const reconstructions = 1 << 31

// reconstruct is the first term of the bound for one draw of noise.
func (r *run) reconstruct(i Image, x []float64, draws Draws, draw int, noise []float32) float64 {
	if len(i.Bytes) == 0 {
		return Bits(r.Bound.ReconstructDensity(), 1)
	}
	draws.Noise(reconstructions+draw, noise)
	deviation, sum := math.Exp(-r.Bound.Max/2), 0.0
	for d, e := range noise {
		sum += r.Bound.Reconstruct(r.Levels, int(i.Bytes[d]), x[d]+deviation*float64(e))
	}
	return Bits(sum, len(x))
}
