// Package mix is everything that is linear in images, with coefficients of each image's
// own: z = αx + σε, a target y = ax + bε, a step of a sampler from z and y, the clean
// image that a network's output tells of.
package mix

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// MaxTerms is how many tensors can be mixed.
const MaxTerms = 4

// Options of Images.
type Options struct {
	Clip     float32 // results are limited to ±Clip; 0: they are not. It implies Detached
	Detached bool    // there is no gradient: what the result is made from learns nothing by way of it
}

// Images returns Σ_k c[n,k]·x_k[n] for tensors x_k (N, …) of one shape and coefficients c
// (N,K). Where a coefficient is 0, its image is left out, whatever it holds. Only the
// x_k have gradients.
func Images(o Options, c *gorgonia.Node, x ...*gorgonia.Node) *gorgonia.Node {
	if len(x) < 1 || len(x) > MaxTerms {
		panic(fmt.Errorf("a mix of %d tensors, want 1 to %d", len(x), MaxTerms))
	}
	return kernels.Apply(newOp(o, x[0].Dims(), 0, len(x)), append(x[:len(x):len(x)], c)...)
}

// Op is the mix of Images, of its first inputs; the last are the coefficients.
type Op struct {
	kernels.Signature
	Options
	from int // column of the first coefficient; in the gradient of x_k it is k
}

func newOp(o Options, rank, from, terms int) Op {
	s := kernels.Signature{Name: fmt.Sprintf("mix %d terms", terms), Rank: rank}
	if from > 0 {
		s.Name += fmt.Sprintf(" by column %d", from)
	}
	if o.Clip > 0 {
		o.Detached = true
		s.Name += fmt.Sprintf(" within ±%g", o.Clip)
	} else if o.Detached {
		s.Name += ", detached"
	}
	for range terms {
		s.Ranks = append(s.Ranks, rank)
	}
	s.Ranks = append(s.Ranks, 2)
	return Op{s, o, from}
}

func (o Op) terms() int { return len(o.Ranks) - 1 }

// Exact holds for images that are not a network's own activations.
func (Op) Exact() {}

// InferShape checks that images and coefficients agree.
func (o Op) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	images, c := s[:o.terms()], s[o.terms()]
	for _, x := range images {
		if !x.Eq(images[0]) {
			return nil, fmt.Errorf("mix of %v and %v, want equal shapes", images[0], x)
		}
	}
	if images[0].Dims() < 2 || c[0] != images[0][0] || c[1] < o.from+o.terms() {
		return nil, fmt.Errorf("mix of %d tensors of shape %v by %v coefficients from column %d on", o.terms(), images[0], c, o.from)
	}
	return images[0].Clone(), nil
}

// Do evaluates the reference.
func (o Op) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		out, c := kernels.NewArray(in[0].Shape...), in[o.terms()]
		images, columns := c.Shape[0], c.Shape[1]
		per := len(out.Data) / images
		for i := range out.Data {
			for k := range o.terms() {
				if a := c.Data[i/per*columns+o.from+k]; a != 0 {
					out.Data[i] += a * in[k].Data[i]
				}
			}
			if o.Clip > 0 {
				out.Data[i] = min(max(out.Data[i], -float64(o.Clip)), float64(o.Clip))
			}
		}
		return out
	}, v)
}

// DiffWRT says that coefficients have no gradient, nor has anything that is detached.
func (o Op) DiffWRT(n int) []bool {
	with := make([]bool, n)
	for k := range n - 1 {
		with[k] = !o.Detached
	}
	return with
}

// SymDiff returns c[n,k]·dy for x_k.
func (o Op) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.Detached {
		return nil, fmt.Errorf("%v has no gradient", o)
	}
	all := make(gorgonia.Nodes, len(in))
	for k := range o.terms() {
		all[k] = kernels.Apply(newOp(Options{}, o.Rank, o.from+k, 1), dy, in[o.terms()])
	}
	return all, nil
}

// Cost of one launch in which no coefficient is 0.
func (o Op) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	operations := 2*o.terms() - 1
	if o.Clip > 0 {
		operations += 2
	}
	return kernels.Cost{FLOPs: int64(operations) * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// CPU binds the kernel.
func (o Op) CPU(l kernels.Launch) func(*cpu.Pool) {
	pixels := l.Out.Rows / l.In[o.terms()].Rows
	dense := l.Out.Pitch == l.Out.Cols
	for _, x := range l.In[:o.terms()] {
		dense = dense && x.Pitch == x.Cols
	}
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, r, n int) {
		for n > 0 {
			image, rows := r/pixels, 1
			if dense { // what is left of the image lies in one piece
				rows = min(n, (image+1)*pixels-r)
			}
			o.rows(l, image, r, rows)
			r, n = r+rows, n-rows
		}
	})
}

// rows mixes rows of an image. Terms are added from the first to the last. The
// explicit float32() of each product keeps compilers from fusing it with the addition:
// the same bits everywhere.
func (o Op) rows(l kernels.Launch, image, row, rows int) {
	values := func(m cpu.Matrix) []float32 { return m.Data[row*m.Pitch:][:rows*m.Cols] }
	out := values(l.Out.Matrix)
	var factors [MaxTerms]float32
	var x [MaxTerms][]float32
	n := 0
	for k, c := range l.In[o.terms()].Row(image)[o.from:][:o.terms()] {
		if c != 0 {
			factors[n], x[n] = c, values(l.In[k].Matrix)
			n++
		}
	}
	switch n {
	case 0:
		clear(out)
	case 1:
		for i, x := range x[0] {
			out[i] = factors[0] * x
		}
	default:
		a, b, second := factors[0], factors[1], x[1][:len(out)]
		for i, x := range x[0][:len(out)] {
			out[i] = float32(a*x) + float32(b*second[i])
		}
	}
	for k := 2; k < n; k++ {
		for i, x := range x[k] {
			out[i] += float32(factors[k] * x)
		}
	}
	if o.Clip > 0 {
		for i, x := range out {
			out[i] = min(max(x, -o.Clip), o.Clip)
		}
	}
}

// limit is what results are limited to, infinity where they are not.
func (o Op) limit() float32 {
	if o.Clip > 0 {
		return o.Clip
	}
	return float32(math.Inf(1))
}
