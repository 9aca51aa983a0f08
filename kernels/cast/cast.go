// Package cast converts tensors between element types, float32 and bfloat16. It is the only
// operator whose input and output of rank 4 have different types.
package cast

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// New returns the conversion of a tensor of a rank to the type of the output,
// for plans: float32 to bfloat16 (to nearest, ties to even) or back, which is exact.
func New(rank int) kernels.Kernel {
	return Op{kernels.Signature{Name: "cast", Ranks: []int{rank}, Rank: rank}}
}

// Op is the conversion of New.
type Op struct{ kernels.Signature }

// Cost is the traffic of float32 operands; a plan corrects it for their types.
func (Op) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{Bytes: kernels.Traffic(out, in...)}
}

// TakesBFloat16 says yes: this is what it is for.
func (Op) TakesBFloat16() bool { return true }

// CPU binds the conversion; it panics if the operands have one type.
func (Op) CPU(l kernels.Launch) func(*cpu.Pool) {
	from, to := l.In[0], l.Out
	switch {
	case from.Type == number.Float32 && to.Type == number.BFloat16:
		return loop(from, to, func(k *cpu.Kernels, in, out, n int) { k.Narrow(to.BF16[out:][:n], from.Data[in:][:n]) })
	case from.Type == number.BFloat16 && to.Type == number.Float32:
		return loop(from, to, func(k *cpu.Kernels, in, out, n int) { k.Widen(to.Data[out:][:n], from.BF16[in:][:n]) })
	}
	panic(fmt.Sprintf("cast from %v to %v", from.Type, to.Type))
}

// loop binds f, which converts n elements from one place to another: of a row or, where
// nothing lies between rows, which may be of 3 channels, of many.
func loop(from, to kernels.Operand, f func(k *cpu.Kernels, in, out, n int)) func(*cpu.Pool) {
	dense := from.Pitch == to.Cols && to.Pitch == to.Cols
	return kernels.RowLoop(to.Matrix, func(k *cpu.Kernels, r, n int) {
		if dense {
			f(k, r*to.Cols, r*to.Cols, n*to.Cols)
			return
		}
		for ; n > 0; r, n = r+1, n-1 {
			f(k, r*from.Pitch, r*to.Pitch, to.Cols)
		}
	})
}

// Narrow rounds every element.
func Narrow(to []uint16, from []float32) {
	for i, x := range from {
		to[i] = number.Narrow(x)
	}
}

// Widen converts every element, which is exact.
func Widen(to []float32, from []uint16) {
	for i, x := range from {
		to[i] = number.Widen(x)
	}
}
