package kernels

import (
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"
)

// Elements binds a kernel that makes each element of its result of the same element of its
// first input, x, and of its last, y. It takes bfloat16, too, which it widens and rounds.
func Elements(l Launch, f func(x, y float32) float32) func(*cpu.Pool) {
	last := l.In[len(l.In)-1]
	if l.Out.Type == number.BFloat16 {
		out, x, y := View[uint16](l.Out), View[uint16](l.In[0]), View[uint16](last)
		return RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, n int) {
			for r := from; r < from+n; r++ {
				to, x, y := out.Row(r), x.Row(r), y.Row(r)
				for i := range to {
					to[i] = number.Narrow(f(number.Widen(x[i]), number.Widen(y[i])))
				}
			}
		})
	}
	return RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, n int) {
		for r := from; r < from+n; r++ {
			to, x, y := l.Out.Row(r), l.In[0].Row(r), last.Row(r)
			for i := range to {
				to[i] = f(x[i], y[i])
			}
		}
	})
}
