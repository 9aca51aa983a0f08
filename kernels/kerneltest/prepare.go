package kerneltest

import (
	"math"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// checkPrepared runs a launch again with weights that were laid out before, and
// lost since: it must write the same bits.
func checkPrepared(t *testing.T, pool *cpu.Pool, kernel kernels.Kernel, l kernels.Launch, shapes []tensor.Shape, read func(*testing.T, kernels.Operand) []float64) {
	t.Helper()
	p, ok := kernel.(kernels.Preparer)
	if !ok {
		return
	}
	want := read(t, l.Out)
	floats, scratch := p.Prepared(shapes, l.Out.Shape, l.In[0].Type, l.Threads)
	l.Prepared, l.Scratch = poisoned(floats), poisoned(scratch)
	preparation := l
	preparation.Preparing = true
	kernel.CPU(preparation)(pool)
	if !slices.Equal(read(t, l.Out), want) {
		t.Error("laying out the weights changes the result")
	}
	for _, i := range kernel.(kernels.Weighted).Weights() {
		for j := range l.In[i].Data {
			l.In[i].Data[j] = float32(math.NaN())
		}
		for j := range l.In[i].BF16 {
			l.In[i].BF16[j] = poison
		}
	}
	erase(l.Out)
	run := kernel.CPU(l)
	run(pool)
	if !slices.Equal(read(t, l.Out), want) {
		t.Error("weights laid out before give other bits")
	}
	if n := Allocations(func() { run(pool) }); n > 0 && l.Threads == 1 {
		t.Errorf("a launch on weights laid out before allocates %v times", n)
	}
}
