// Package muon is the kernel of an optimizer over the flat buffers of a network: clipping
// by the gradients' norm, Muon (K. Jordan et al., "Muon: An optimizer for hidden layers in
// neural networks", 2024) for its matrices, AdamW for all else, and the EMA of the weights.
//
// The direction of a matrix is that of its momentum with all singular values brought near
// 1, by five steps of Newton and Schulz:
//
//	X ← M/‖M‖,  A = XXᵀ,  X ← (3.4445 I − 4.7750 A + 2.0315 A²) X
//
// times 0.2·√max(rows, columns): steps are then as large as those of Adam, whose learning
// rate and weight decay hold for both (Liu et al., arXiv 2502.16982).
package muon

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/gemm"
	"fluxion/kernels/optim"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

// The polynomial of a step of Newton and Schulz, and how many there are.
const (
	linear, cubic, quintic = 3.4445, -4.7750, 2.0315
	iterations             = 5
	smallest               = 1e-7 // joins the norm
)

// Hyper is the hyperparameters of the next step. The engine sets them before each run.
type Hyper struct {
	LearningRate float64
	WeightDecay  float64 // decoupled
	Momentum     float64 // of matrices
	Nesterov     bool    // their directions look ahead by the momentum
	Beta1, Beta2 float64 // of AdamW, as Epsilon and Count
	Epsilon      float64
	Count        int64 // steps done, this one included; from 1
	Clip         optim.Clip
	EMADecay     float64 // share of the old average that is kept
}

// Row is the hyperparameters as the kernels take them: struct Row of muon.cu.
type Row struct {
	GradScale, ClipNorm                          float64
	Rate, Momentum, Beta1, Beta2, Epsilon, Decay float32
	Correction1, Correction2, EMADecay           float32
	Nesterov                                     row.Flag
}

func (h *Hyper) row() Row {
	return Row{
		GradScale: h.Clip.Scale, ClipNorm: h.Clip.Norm, Rate: float32(h.LearningRate), Momentum: float32(h.Momentum),
		Beta1: float32(h.Beta1), Beta2: float32(h.Beta2), Epsilon: float32(h.Epsilon), Decay: float32(h.WeightDecay),
		Correction1: float32(optim.Correction(h.Beta1, h.Count)), Correction2: float32(optim.Correction(h.Beta2, h.Count)),
		EMADecay: float32(h.EMADecay), Nesterov: row.If(h.Nesterov),
	}
}

// Matrix is weights of the flat buffers, row by row.
type Matrix struct{ Offset, Rows, Columns int }

func (m Matrix) size() int { return m.Rows * m.Columns }

// side is that of A, the shorter one; left says whether it multiplies from there.
func (m Matrix) side() int  { return min(m.Rows, m.Columns) }
func (m Matrix) left() bool { return m.Rows <= m.Columns }

func (m Matrix) scale() float64 { return 0.2 * math.Sqrt(float64(max(m.Rows, m.Columns))) }

// polynomial is the coefficients of I, A and A² in a step of Newton and Schulz. The last
// one scales.
func (m Matrix) polynomial(iteration int) (c [3]float32) {
	scale := 1.0
	if iteration == iterations-1 {
		scale = m.scale()
	}
	return [3]float32{float32(scale * linear), float32(scale * cubic), float32(scale * quintic)}
}

// New returns the kernel of a network whose matrices come in their order. Its inputs are
// the flat gradients, the momentum of matrices and first moment of all else, the second
// moment, average, and the gradients' norm, and on CUDA devices the bfloat16 copy of the
// parameters, where there is one (see kernels.Weighted); its output is the flat
// parameters. Moments, average and copy are updated in place. A step whose norm is not
// finite changes nothing.
func New(h *Hyper, matrices []Matrix, undecayed optim.Ranges) kernels.Kernel {
	u := update{Signature: kernels.Signature{Name: "muon", Ranks: []int{1, 1, 1, 1, 0}, Rank: 1}, hyper: h, matrices: matrices, undecayed: undecayed}
	for _, m := range matrices {
		end := (m.Offset + m.size() + optim.Line - 1) / optim.Line * optim.Line
		u.inside.Add(m.Offset, end)
	}
	return u
}

type update struct {
	kernels.Signature
	hyper     *Hyper
	matrices  []Matrix
	inside    optim.Ranges // of all matrices
	undecayed optim.Ranges
}

// The places of the inputs.
const (
	gradients = iota
	moment1
	moment2
	average
	normInput
	copyInput
)

func (u update) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	n := int64(out.TotalSize())
	c := kernels.Cost{FLOPs: 16 * n, Bytes: 4 * 9 * n}
	for _, m := range u.matrices {
		size, side := int64(m.size()), int64(m.side())
		c.FLOPs += m.FLOPs()
		c.Bytes += iterations * 4 * (3*size + 5*side*side)
	}
	if len(in) > copyInput {
		c.Bytes += 2 * n
	}
	return c
}

// FLOPs of what is made orthogonal.
func (m Matrix) FLOPs() int64 {
	size, side := int64(m.size()), int64(m.side())
	return iterations * (4*size*side + 2*side*side*side)
}

// Mixed says that Cost knows the copy to be bfloat16.
func (update) Mixed() {}

// work is where things lie in working memory, in floats: the directions of all weights,
// then what one matrix after the other needs.
type work struct{ x, y, a, b, rest int }

func (u update) work(n int) (w work) {
	const aligned = 64
	up := func(n int) int { return (n + aligned - 1) / aligned * aligned }
	most, side := 0, 0
	for _, m := range u.matrices {
		most, side = max(most, m.size()), max(side, m.side())
	}
	w.x = up(n)
	w.y = w.x + up(most)
	w.a = w.y + up(most)
	w.b = w.a + up(side*side)
	w.rest = w.b + up(side*side)
	return w
}

// Scratch is the working memory of the CPU, with what package gemm may read behind it.
func (u update) Scratch(_ []tensor.Shape, out tensor.Shape, _ int) int {
	need := 0
	for _, m := range u.matrices {
		side, long := m.side(), max(m.Rows, m.Columns)
		need = max(need, gemm.ProductScratch(1, 1, long, side), gemm.ProductScratch(1, 1, side, side), gemm.ProductScratch(1, 1, side, long))
	}
	return u.work(out.TotalSize()).rest + need + 64
}

func (u update) check(n int) {
	if n%optim.Line != 0 {
		panic(fmt.Errorf("muon of %d weights, want whole lines of %d", n, optim.Line))
	}
}
