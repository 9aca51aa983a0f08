package optim

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

// MaxStates is the most flat buffers that a method keeps.
const MaxStates = 2

// Method is an optimizer that changes each weight by what it knows of this weight. Row is
// the numbers of a step as its kernel on CUDA devices takes them, which is one call of
// step in optim.cuh.
type Method[Row any] struct {
	Name      string
	States    int    // flat buffers that it keeps
	FLOPs     int64  // of a weight
	Undecayed Ranges // weights that have no decay

	Module   *cuda.Module
	Function string
	Row      func() Row

	Clip func() Clip
	// Bind returns what is told of each step, and what changes some of the weights in it.
	Bind func() (begin func(factor float32), update func(k *cpu.Kernels, w Weights))
}

// Loop is Bind of a method that is a loop over weights, which is told the row of the step
// and what gradients are multiplied by.
func Loop[Row any](row func() Row, loop func(r *Row, scale float32, w Weights)) func() (func(float32), func(*cpu.Kernels, Weights)) {
	return func() (func(float32), func(*cpu.Kernels, Weights)) {
		var r Row
		var scale float32
		begin := func(factor float32) { r, scale = row(), factor }
		return begin, func(_ *cpu.Kernels, w Weights) { loop(&r, scale, w) }
	}
}

// Weights are neighbours in the flat buffers, which have decay or have none.
type Weights struct {
	Parameters, Gradients, Average []float32
	States                         [MaxStates][]float32
	Decay                          bool
}

// New returns the kernel of a method. Its inputs are the flat gradients, the states, the
// average, and the gradients' norm, and on CUDA devices the bfloat16 copy of the
// parameters, where there is one (see kernels.Weighted); its output is the flat
// parameters. States, average and copy are updated in place. A step whose norm is not
// finite changes nothing.
func New[Row any](m Method[Row]) kernels.Kernel {
	ranks := make([]int, m.States+3) // the norm is a scalar
	for i := range ranks[:m.States+2] {
		ranks[i] = 1
	}
	return flat[Row]{kernels.Signature{Name: m.Name, Ranks: ranks, Rank: 1}, m, m.Undecayed.Lines()}
}

type flat[Row any] struct {
	kernels.Signature
	method Method[Row]
	edges  []uint32 // of Undecayed
}

// normInput is the place of the norm among the inputs; the copy is behind it.
func (f flat[Row]) normInput() int { return f.method.States + 2 }

func (f flat[Row]) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	n := int64(out.TotalSize())
	bytes := 4 * int64(5+2*f.method.States) * n // all are read, and written but for the gradients
	if len(in) > f.normInput()+1 {
		bytes += 2 * n
	}
	return kernels.Cost{FLOPs: f.method.FLOPs * n, Bytes: bytes}
}

// Mixed says that Cost knows the copy to be bfloat16.
func (flat[Row]) Mixed() {}

func (f flat[Row]) CPU(l kernels.Launch) func(*cpu.Pool) {
	n := l.Out.Shape.TotalSize()
	begin, update := f.method.Bind()
	var k *cpu.Kernels
	block := func(i, _ int) {
		for at, end := i*Block, min((i+1)*Block, n); at < end; {
			to, undecayed := f.method.Undecayed.Next(at, end)
			w := Weights{Parameters: l.Out.Data[at:to], Gradients: l.In[0].Data[at:to], Average: l.In[1+f.method.States].Data[at:to], Decay: !undecayed}
			for s := range f.method.States {
				w.States[s] = l.In[1+s].Data[at:to]
			}
			update(k, w)
			at = to
		}
	}
	return func(p *cpu.Pool) {
		factor, ok := f.method.Clip().Factor(float64(l.In[f.normInput()].Data[0]))
		if !ok {
			return
		}
		begin(float32(factor))
		k = p.Kernels()
		Run(p, n, block)
	}
}

// ParameterBytes is the size of a step's row, and of the edges behind it.
func (f flat[Row]) ParameterBytes() int { return row.Bytes[Row](1) + row.Bytes[uint32](len(f.edges)) }

// PutParameters writes the row of a step.
func (f flat[Row]) PutParameters(to []byte) { row.Put(row.Put(to, f.method.Row()), f.edges...) }

// CUDAScratch is none.
func (flat[Row]) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch. Buffers are 16-byte aligned.
func (f flat[Row]) CUDA(l cuda.Launch) []cuda.Call {
	return []cuda.Call{{
		Module: f.method.Module, Function: f.method.Function, Grid: Grid(l.Out.Shape.TotalSize()), Block: [3]int{Threads, 1, 1},
		Args: cuda.Args(append(Buffers(f, l, f.normInput()), len(f.edges), l.Parameters)...),
	}}
}

// Grid of a function that takes four elements a thread.
func Grid(n int) [3]int { return [3]int{(n + 4*Threads - 1) / (4 * Threads), 1, 1} }

// Buffers are the first fields of Flat in optim.cuh: the parameters, what is before the
// norm among the inputs, the bf16 copy of the parameters or null, norm and size.
func Buffers(kernel fmt.Stringer, l cuda.Launch, norm int) (args []any) {
	n := l.Out.Shape.TotalSize()
	all := append([]cuda.Operand{l.Out}, l.In[:norm]...)
	var to cuda.Operand
	if len(l.In) > norm+1 {
		if to = l.In[norm+1]; to.Type != number.BFloat16 {
			panic(fmt.Errorf("%v: a copy of the parameters in %v, want bf16", kernel, to.Type))
		}
	}
	for i, o := range append(all, to) {
		if o.Address%16 != 0 || o.Address == 0 && i < len(all) || o.Address != 0 && o.Shape.TotalSize() != n {
			panic(fmt.Errorf("%v: buffer %d of %v at %#x, want %d elements, 16-byte aligned", kernel, i, o.Shape, uint64(o.Address), n))
		}
		args = append(args, o.Address)
	}
	return append(args, l.In[norm].Address, int64(n))
}
