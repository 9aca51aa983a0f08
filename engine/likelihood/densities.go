package likelihood

import (
	"context"
	"iter"
	"slices"

	"fluxion/engine/process"
)

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
	rows := o.Probes
	if rows == 0 {
		rows = o.Height * o.Width * o.Network.Spec().Channels
	}
	r, err := newRun(o, true, max(1, o.Draws)*rows, progress)
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
		i.Bytes, i.Values = slices.Clone(i.Bytes), slices.Clone(i.Values)
		var parts []iter.Seq[*question]
		for draw := range draws {
			parts = append(parts, func(yield func(*question) bool) {
				x := o.dequantised(i, draw)
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
