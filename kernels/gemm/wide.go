package gemm

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Wide is N gradients of weights of the same x and of the same shape, whose dy lie side by side: of queries, keys and values, say.
// Its inputs are x, all dy as one tensor, and for each gradient that of the bias, if Of makes one; but for the first
// gradient, whose result is the launch's, these are behind the result.
type Wide struct {
	Of kernels.Kernel // a WeightGradient or Summed
	N  int
}

// Widened makes as many of one input at once, if those of the weights alone can be; nil: they can not.
func (s Summed) Widened(n int) kernels.Kernel {
	if _, ok := s.Weights.(kernels.Widening); !ok {
		return nil
	}
	return Wide{s, n}
}

func (w Wide) String() string { return fmt.Sprintf("%v of %d", w.Of, w.N) }

// part says where gradient i finds what it needs: columns of dy from here on, its inputs behind dy, and its result, −1 for the launch's.
func (w Wide) part(in []tensor.Shape, i int) (dy tensor.Shape, from int, others []int, out int) {
	dy = in[1].Clone()
	dy[len(dy)-1] /= w.N
	out = -1
	_, sums := w.Of.(Summed)
	switch {
	case sums && i == 0:
		others = []int{2}
	case sums:
		out, others = 2*i+1, []int{2*i + 2}
	case i > 0:
		out = i + 1
	}
	return dy, i * dy[len(dy)-1], others, out
}

// Cost is that of all, but that x is read once.
func (w Wide) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	dy, _, others, _ := w.part(in, 0)
	own := []tensor.Shape{in[0], dy}
	for _, at := range others {
		own = append(own, in[at])
	}
	return kernels.Cost{FLOPs: int64(w.N) * w.Of.Cost(own, out).FLOPs, Bytes: kernels.Traffic(out, in...)}
}

// Scratch is that of one after the other.
func (w Wide) Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	dy, _, others, _ := w.part(in, 0)
	own := []tensor.Shape{in[0], dy}
	for _, at := range others {
		own = append(own, in[at])
	}
	return w.Of.Scratch(own, out, threads)
}

// CPU binds one after the other.
func (w Wide) CPU(l kernels.Launch) func(*cpu.Pool) {
	var all []func(*cpu.Pool)
	var in []tensor.Shape
	for _, o := range l.In {
		in = append(in, o.Shape)
	}
	for i := range w.N {
		shape, from, others, out := w.part(in, i)
		dy := l.In[1].Part(0, l.In[1].Rows, from, shape[len(shape)-1])
		dy.Shape = shape
		own := l
		own.In = []kernels.Operand{l.In[0], dy}
		for _, at := range others {
			own.In = append(own.In, l.In[at])
		}
		if out >= 0 {
			own.Out = l.In[out]
		}
		all = append(all, w.Of.CPU(own))
	}
	return func(p *cpu.Pool) {
		for _, one := range all {
			one(p)
		}
	}
}

// products are those of each gradient, and the one that makes all.
func (w Wide) products(l cuda.Launch) (parts []CUDA, all CUDA) {
	product := func(l cuda.Launch) CUDA {
		if s, ok := w.Of.(Summed); ok {
			return s.product(l)
		}
		return w.Of.(WeightGradient).Product(l)
	}
	var in []tensor.Shape
	for _, o := range l.In {
		in = append(in, o.Shape)
	}
	for i := range w.N {
		shape, from, others, out := w.part(in, i)
		dy := l.In[1]
		dy.Address += cuda.Address(from * dy.Type.Size())
		dy.Shape, dy.Cols = shape, shape[len(shape)-1]
		own := l
		own.In = []cuda.Operand{l.In[0], dy}
		for _, at := range others {
			own.In = append(own.In, l.In[at])
		}
		if out >= 0 {
			own.Out = l.In[out]
		}
		parts = append(parts, product(own))
	}
	all = parts[0]
	all.B, all.Width = l.In[1], l.In[1].Cols
	return parts, all
}

// CUDAWidens says that one launch of blocks that leave parts of tiles makes all: not wgmma, nor one that reads element by element.
func (w Wide) CUDAWidens(l cuda.Launch) bool {
	parts, all := w.products(l)
	if all.A.Type != number.BFloat16 {
		return false
	}
	for _, p := range parts {
		if _, ok := p.groups(); ok || p.access() != direct {
			return false
		}
	}
	return true
}

// CUDAScratch is that of the parts.
func (w Wide) CUDAScratch(l cuda.Launch) int {
	_, all := w.products(l)
	return all.leftParts(choose(all, direct), false)
}

// CUDA is one product, and for each gradient what adds up its columns, side by side.
func (w Wide) CUDA(l cuda.Launch) []cuda.Call {
	parts, all := w.products(l)
	c := choose(all, direct)
	call := all.call(c, direct)
	call.Split.Left = 4 * c.m * c.n * c.parts()
	call.Args = all.leavingParts(all.arguments(c, direct), c, false).bytes()
	var sums []cuda.Call
	for i, p := range parts {
		sums = append(sums, p.addingParts(p.arguments(c, direct), c, i*p.Width, false))
	}
	return append([]cuda.Call{call}, cuda.SideBySide(sums)...)
}
