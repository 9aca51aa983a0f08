package loss

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Numbers of each image that Variational is told, by column.
const (
	Weight   = iota // of the image's term
	Scale           // by which y − target becomes the distance of a mean, in deviations of v = −1
	Spread          // what the logarithm of the variance grows by from v = −1 to v = 1
	Constant        // k₀
	Own             // k₁
	Bin             // half of an interval between levels, in the same deviations; 0: none
	Columns
)

// Variational returns plus and the mean over n of weight[n]·mean(L), a scalar, for y, v, target and
// x (N,H,W,C), numbers (N,Columns) and a scalar plus: L is a term of the variational bound for a
// Gaussian of learnt variance e^u times the least one, u = spread·(1+v)/2, in bits (A. Nichol,
// P. Dhariwal, "Improved Denoising Diffusion Probabilistic Models", 2021, equations 4 to 6 and
// 15). With d = scale·(y−target) it is
//
//	½(k₀ + u + e^{−u}(k₁ + d²))                      a divergence (k₀ = −1, k₁ = 1) or a density
//	−ln(Φ((d+bin)e^{−u/2}) − Φ((d−bin)e^{−u/2}))      where there is a bin
//
// over ln 2; at the ends of ±1, of which x tells, the intervals of the latter have no end. Only v
// and plus have a gradient: the mean is learnt by its square alone.
func Variational(y, v, target, x, numbers, plus *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(variational{Signature: kernels.Signature{Name: "variational", Ranks: []int{4, 4, 4, 4, 2, 0}, Rank: 0}}, y, v, target, x, numbers, plus)
}

// Bound is the same with nothing added, of which the mean is learnt, too: y and v have a gradient.
func Bound(y, v, target, x, numbers *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(variational{kernels.Signature{Name: "bound", Ranks: []int{4, 4, 4, 4, 2}, Rank: 0}, true}, y, v, target, x, numbers)
}

// Terms returns mean(L) of each image, (N), without weights. It has no gradient.
func Terms(y, v, target, x, numbers *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(terms{kernels.Signature{Name: "bound of images", Ranks: []int{4, 4, 4, 4, 2}, Rank: 1}}, y, v, target, x, numbers)
}

// nextToEnd is the x beyond which a value is the least or the largest level.
const nextToEnd = 0.999

// leastMass bounds the mass of an interval, whose logarithm is taken.
const leastMass = 1e-12

// Term is L of a value, in nats, and its derivatives by v and by y.
func Term(y, v, target, x float64, k []float64) (l, slope, mean float64) {
	d, u := k[Scale]*(y-target), k[Spread]*(1+v)/2
	if k[Bin] == 0 {
		r := math.Exp(-u) * (k[Own] + d*d)
		return (k[Constant] + u + r) / 2, k[Spread] / 4 * (1 - r), math.Exp(-u) * d * k[Scale]
	}
	shrink := math.Exp(-u / 2)
	a, b := (d+k[Bin])*shrink, (d-k[Bin])*shrink
	switch {
	case x < -nextToEnd:
		b = math.Inf(-1)
	case x > nextToEnd:
		a = math.Inf(1)
	}
	mean = -shrink * k[Scale]
	if a+b > 0 { // of two numbers near 1 the difference would be nothing
		a, b, mean = -b, -a, -mean
	}
	mass := phi(a) - phi(b)
	if !(mass > leastMass) {
		return -math.Log(leastMass), 0, 0
	}
	return -math.Log(mass), k[Spread] / 2 * (moment(a) - moment(b)) / (2 * mass), mean * (density(a) - density(b)) / mass
}

// phi is the normal distribution Φ.
func phi(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// moment is z times the normal density.
func moment(z float64) float64 {
	if math.IsInf(z, 0) {
		return 0
	}
	return z * density(z)
}

// density is the normal one.
func density(z float64) float64 { return math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) }

type variational struct {
	kernels.Signature
	mean bool // is learnt, and nothing is added
}

// InferShape checks that there is everything for each value.
func (variational) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	for _, of := range s[1:4] {
		if !of.Eq(s[0]) {
			return nil, fmt.Errorf("variational bound of %v with %v", s[0], of)
		}
	}
	if !s[4].Eq(tensor.Shape{s[0][0], Columns}) {
		return nil, fmt.Errorf("variational bound of %v with numbers %v, want %d of each image", s[0], s[4], Columns)
	}
	return tensor.ScalarShape(), nil
}

// Exact holds for the network's output as the loss sees it.
func (variational) Exact() {}

// Reduces activations to the loss.
func (variational) Reduces() {}

// Do evaluates the reference.
func (variational) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		total := kernels.NewArray()
		values := len(in[0].Data)
		per := values / in[0].Shape[0]
		for i := range in[0].Data {
			k := in[4].Data[i/per*Columns:][:Columns]
			l, _, _ := Term(in[0].Data[i], in[1].Data[i], in[2].Data[i], in[3].Data[i], k)
			total.Data[0] += k[Weight] * l / math.Ln2 / float64(values)
		}
		for _, plus := range in[5:] {
			total.Data[0] += plus.Data[0]
		}
		return total
	}, v)
}

// DiffWRT says that the variance and what is added have a gradient, or the mean and the variance.
func (o variational) DiffWRT(int) []bool {
	by := []bool{o.mean, true, false, false, false}
	if !o.mean {
		by = append(by, true)
	}
	return by
}

// SymDiff is that by v, and by y, and hands on that of what is added. The gradient of the loss itself is one.
func (o variational) SymDiff(in gorgonia.Nodes, _, one *gorgonia.Node) (gorgonia.Nodes, error) {
	by := func(name string, mean bool) *gorgonia.Node {
		return kernels.Apply(variationalGrad{kernels.Signature{Name: o.Name + name, Ranks: []int{4, 4, 4, 4, 2}, Rank: 4}, mean}, in[:5]...)
	}
	if o.mean {
		return gorgonia.Nodes{by(".dy", true), by(".dv", false), nil, nil, nil}, nil
	}
	return gorgonia.Nodes{nil, by(".dv", false), nil, nil, nil, one}, nil
}

// Cost counts an exponential as 20 operations.
func (variational) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 30 * int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// CPU binds the loss; sums are float64.
func (variational) CPU(l kernels.Launch) func(*cpu.Pool) {
	images := l.In[4].Shape[0]
	sums := make([]float64, images)
	image := func(n, _ int) {
		sums[n] = 0
		each(l.In, n, images, func(_, _ int, value, _, _, weight float64) { sums[n] += weight * value })
	}
	return func(p *cpu.Pool) {
		p.Run(images, image)
		total := 0.0
		for _, s := range sums {
			total += s
		}
		l.Out.Data[0] = float32(total / float64(l.In[0].Shape.TotalSize()))
		for _, plus := range l.In[5:] {
			l.Out.Data[0] += plus.Data[0]
		}
	}
}

// each visits the values of an image: its row and column, its term in bits and the derivatives
// of that by v and y, and its weight.
func each(in []kernels.Operand, image, images int, visit func(r, c int, value, slope, mean, weight float64)) {
	var k [Columns]float64
	for i, x := range in[4].Data[image*Columns:][:Columns] {
		k[i] = float64(x)
	}
	rows := in[0].Rows / images
	for r := image * rows; r < (image+1)*rows; r++ {
		y, v, target, x := in[0].Row(r), in[1].Row(r), in[2].Row(r), in[3].Row(r)
		for c := range y {
			l, slope, mean := Term(float64(y[c]), float64(v[c]), float64(target[c]), float64(x[c]), k[:])
			visit(r, c, l/math.Ln2, slope/math.Ln2, mean/math.Ln2, k[Weight])
		}
	}
}

// variationalGrad: inputs y, v, target, x, numbers.
type variationalGrad struct {
	kernels.Signature
	mean bool // by y, not by v
}

func (variationalGrad) Exact() {}

func (variationalGrad) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return s[1].Clone(), nil
}

func (o variationalGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		g := kernels.NewArray(in[1].Shape...)
		per := len(g.Data) / in[1].Shape[0]
		for i := range g.Data {
			k := in[4].Data[i/per*Columns:][:Columns]
			_, slope, mean := Term(in[0].Data[i], in[1].Data[i], in[2].Data[i], in[3].Data[i], k)
			if o.mean {
				slope = mean
			}
			g.Data[i] = k[Weight] * slope / math.Ln2 / float64(len(g.Data))
		}
		return g
	}, v)
}

func (variationalGrad) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 30 * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (o variationalGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	images, values := l.In[4].Shape[0], float64(l.Out.Shape.TotalSize())
	image := func(n, _ int) {
		each(l.In, n, images, func(r, c int, _, slope, mean, weight float64) {
			if o.mean {
				slope = mean
			}
			l.Out.Row(r)[c] = float32(weight * slope / values)
		})
	}
	return func(p *cpu.Pool) { p.Run(images, image) }
}

// bound is struct Bound of loss.cu, with blocks of so many values.
func (g geometry) bound(l cuda.Launch, span int) []byte {
	return cuda.Args(l.In[0].View(), l.In[1].View(), l.In[2].View(), l.In[3].View(), l.In[4].Address, g.pixels, g.channels, span, g.images)
}

// CUDAScratch is one float64 a block.
func (variational) CUDAScratch(l cuda.Launch) int { return 8 * layout(l, l.In[4].Shape[0]).grid[0] }

// CUDA returns the two stages of the loss; sums are float64.
func (variational) CUDA(l cuda.Launch) []cuda.Call {
	g := layout(l, l.In[4].Shape[0], l.In[:4]...)
	block := [3]int{threads, 1, 1}
	plus := cuda.Address(0)
	if len(l.In) > 5 {
		plus = l.In[5].Address
	}
	return []cuda.Call{
		{Module: module, Function: "loss_variational", Grid: g.grid, Block: block, Args: cuda.Args(l.Scratch, g.bound(l, span))},
		{Module: module, Function: "loss_variational_mean", Grid: [3]int{1, 1, 1}, Block: block,
			Args: cuda.Args(l.Out.Address, l.Scratch, g.grid[0], int64(g.images*g.pixels*g.channels), plus)},
	}
}

// CUDAScratch is none.
func (variationalGrad) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch of the gradient.
func (o variationalGrad) CUDA(l cuda.Launch) []cuda.Call {
	g := layout(l, l.In[4].Shape[0], append(l.In[:4:4], l.Out)...)
	function := "loss_variational_grad"
	if o.mean {
		function = "loss_variational_grad_mean"
	}
	return []cuda.Call{{
		Module: module, Function: function, Grid: g.grid, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.View(), g.bound(l, span)),
	}}
}

type terms struct{ kernels.Signature }

func (terms) Exact() {}

// Reduces activations to errors.
func (terms) Reduces() {}

// InferShape checks that there is everything for each value.
func (terms) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	if _, err := (variational{}).InferShape(in...); err != nil {
		return nil, err
	}
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{s[0][0]}, nil
}

// Do evaluates the reference.
func (terms) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		images := in[0].Shape[0]
		e, per := kernels.NewArray(images), len(in[0].Data)/images
		for i := range in[0].Data {
			l, _, _ := Term(in[0].Data[i], in[1].Data[i], in[2].Data[i], in[3].Data[i], in[4].Data[i/per*Columns:][:Columns])
			e.Data[i/per] += l / math.Ln2 / float64(per)
		}
		return e
	}, v)
}

// DiffWRT says that nothing has a gradient.
func (terms) DiffWRT(n int) []bool { return make([]bool, n) }

func (terms) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 30 * int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// CPU binds the kernel; sums are float64.
func (terms) CPU(l kernels.Launch) func(*cpu.Pool) {
	images := l.In[4].Shape[0]
	per := float64(l.In[0].Shape.TotalSize() / images)
	image := func(n, _ int) {
		sum := 0.0
		each(l.In, n, images, func(_, _ int, value, _, _, _ float64) { sum += value })
		l.Out.Data[n] = float32(sum / per)
	}
	return func(p *cpu.Pool) { p.Run(images, image) }
}

// CUDAScratch is none.
func (terms) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch: one block an image.
func (terms) CUDA(l cuda.Launch) []cuda.Call {
	g := layout(l, l.In[4].Shape[0], l.In[:4]...)
	return []cuda.Call{{
		Module: module, Function: "loss_variational_images", Grid: [3]int{g.images, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.Address, g.bound(l, g.pixels*g.channels)),
	}}
}
