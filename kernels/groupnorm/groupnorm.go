// Package groupnorm is group normalisation, fused with what follows it in a network: a
// scale and shift from the time embedding, and SiLU. It consists of small operations, so
// that statistics and sums are computed once:
//
//	stats = mean and 1/√(variance+ε) of each group of each image
//	y     = act(((x − mean)·rstd·γ + β)·(1+scale) + shift)
//	sums  = Σdu and Σdu·x over the pixels, du the gradient before the activation
//
// and the gradients of x, γ, β and of (scale, shift), all from the sums.
package groupnorm

import (
	"fmt"

	"fluxion/kernels"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Options of a normalisation.
type Options struct {
	Groups  int // divides the channels
	Epsilon float64
	SiLU    bool
}

// GroupNorm normalises x (N,H,W,C) with gamma and beta (C).
func GroupNorm(x, gamma, beta *gorgonia.Node, o Options) *gorgonia.Node {
	c := common{o: o}
	return kernels.Apply(apply{c.sign("groupnorm", 4, 4, 3, 1, 1)}, x, stats(x, o), gamma, beta)
}

// GroupNormScaleShift does the same and then multiplies by 1+scale and adds
// shift, the two halves of scaleShift (N,2C), before the activation.
func GroupNormScaleShift(x, gamma, beta, scaleShift *gorgonia.Node, o Options) *gorgonia.Node {
	c := common{o: o, scaleShift: true}
	return kernels.Apply(apply{c.sign("groupnorm", 4, 4, 3, 1, 1, 2)}, x, stats(x, o), gamma, beta, scaleShift)
}

func stats(x *gorgonia.Node, o Options) *gorgonia.Node {
	name := fmt.Sprintf("groupnorm.stats %d %g", o.Groups, o.Epsilon)
	return kernels.Apply(statsOp{kernels.Signature{Name: name, Ranks: []int{4}, Rank: 3}, o}, x)
}

// common is what every operation of a normalisation knows. Their inputs begin
// with x, stats, gamma, beta and, if there is one, scaleShift.
type common struct {
	kernels.Signature
	o          Options
	scaleShift bool
}

func (c common) sign(name string, rank int, ranks ...int) common {
	if c.o.SiLU {
		name += " silu"
	}
	if c.scaleShift {
		name += " scaleshift"
	}
	c.Signature = kernels.Signature{Name: fmt.Sprintf("%s %d", name, c.o.Groups), Ranks: ranks, Rank: rank}
	return c
}

// heads is the number of inputs that all operations share.
func (c common) heads() int {
	if c.scaleShift {
		return 5
	}
	return 4
}

// ranks of the shared inputs, then of others.
func (c common) ranks(more ...int) []int {
	r := []int{4, 3, 1, 1}
	if c.scaleShift {
		r = append(r, 2)
	}
	return append(r, more...)
}

// statsOp computes (N,Groups,2): mean and 1/√(variance+ε).
type statsOp struct {
	kernels.Signature
	o Options
}

// Reduces activations to statistics.
func (statsOp) Reduces() {}

func (s statsOp) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	x, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if c := x[0][3]; s.o.Groups < 1 || c%s.o.Groups != 0 {
		return nil, fmt.Errorf("group norm: %d channels do not divide into %d groups", c, s.o.Groups)
	}
	return tensor.Shape{x[0][0], s.o.Groups, 2}, nil
}

func (s statsOp) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array { return referenceStats(in[0], s.o) }, v)
}

// DiffWRT says no: the gradient through the statistics is part of the normalisation's.
func (statsOp) DiffWRT(int) []bool { return []bool{false} }

func (statsOp) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{nil}, nil
}

// apply is the normalisation itself.
type apply struct{ common }

func (a apply) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	x := s[0]
	if s[2][0] != x[3] || s[3][0] != x[3] {
		return nil, fmt.Errorf("group norm of %v with gamma %v and beta %v", x, s[2], s[3])
	}
	if a.scaleShift && !s[4].Eq(tensor.Shape{x[0], 2 * x[3]}) {
		return nil, fmt.Errorf("group norm of %v with scale and shift %v: want (N,2C)", x, s[4])
	}
	return x.Clone(), nil
}

func (a apply) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array { return a.reference(in) }, v)
}

func (a apply) DiffWRT(int) []bool { return []bool{true, false, true, true, true}[:a.heads()] }

func (a apply) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	shared := append(gorgonia.Nodes{}, in...)
	with := func(more ...*gorgonia.Node) gorgonia.Nodes {
		return append(append(gorgonia.Nodes{}, shared...), more...)
	}
	sum := kernels.Apply(sums{a.sign("groupnorm.sums", 2, a.ranks(4)...)}, with(dy)...)
	grads := gorgonia.Nodes{
		kernels.Apply(inputGrad{a.sign("groupnorm.dx", 4, a.ranks(4, 2)...)}, with(dy, sum)...),
		nil,
		a.parameterGrad("gamma", 1, shared, sum),
		a.parameterGrad("beta", 1, shared, sum),
	}
	if a.scaleShift {
		grads = append(grads, a.parameterGrad("scaleshift", 2, shared, sum))
	}
	return grads, nil
}

// sums is (N,2C): Σdu, then Σdu·x, over the pixels; inputs shared, dy.
type sums struct{ common }

// Reduces activations to sums.
func (sums) Reduces() {}

func (s sums) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	x, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{x[0][0], 2 * x[0][3]}, nil
}

func (s sums) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array { return s.referenceSums(in, in[s.heads()]) }, v)
}

// inputGrad: inputs shared, dy, sums.
type inputGrad struct{ common }

func (g inputGrad) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	x, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return x[0].Clone(), nil
}

func (g inputGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		return g.referenceInputGrad(in, in[g.heads()], in[g.heads()+1])
	}, v)
}

// parameterGrad is the gradient of one of the small inputs, named by which;
// inputs stats, gamma, beta, scaleShift if any, sums.
type parameterGrad struct {
	common
	which string
}

func (c common) parameterGrad(which string, rank int, shared gorgonia.Nodes, sum *gorgonia.Node) *gorgonia.Node {
	ranks := append(append([]int{}, c.ranks()[1:]...), 2)
	op := parameterGrad{c.sign("groupnorm.d"+which, rank, ranks...), which}
	return kernels.Apply(op, append(append(gorgonia.Nodes{}, shared[1:]...), sum)...)
}

func (g parameterGrad) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if g.which == "scaleshift" {
		return s[3].Clone(), nil
	}
	return s[1].Clone(), nil
}

func (g parameterGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		var scaleShift []float64
		if g.scaleShift {
			scaleShift = in[3].Data
		}
		channels := len(in[1].Data)
		shape := []int{channels}
		if g.which == "scaleshift" {
			shape = []int{in[0].Shape[0], 2 * channels}
		}
		out := kernels.NewArray(shape...)
		f := fields[float64]{in[0].Data, in[1].Data, in[2].Data, scaleShift, g.o.Groups, channels}
		f.parameterGrad(g.which, out.Data, in[len(in)-1].Data, 0, channels)
		return out
	}, v)
}
