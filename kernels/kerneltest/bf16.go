package kerneltest

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// CheckBF16 runs only the kernels of the operator and its gradients that multiply
// bfloat16, on the instruction sets of this machine that do: for large shapes.
func CheckBF16(t *testing.T, inputs []Input, build func(in []*gorgonia.Node) *gorgonia.Node) {
	t.Helper()
	c := newCase(t, inputs, build)
	values := c.evaluate(c.given)
	for _, name := range cpu.Names() {
		if k, err := cpu.Select(name); err == nil && k.BF16 != nil {
			c.checkBF16(t, k, values)
		}
	}
}

// checkBF16 runs every kernel of the graph that takes bfloat16 on an instruction
// set, or multiplies it there, against the reference. Operands are rounded, those that
// come of others, too: they are what a plan would give the kernel.
func (c *testCase) checkBF16(t *testing.T, k *cpu.Kernels, values map[int64]kernels.Array) {
	t.Helper()
	values = maps.Clone(values)
	for _, n := range c.nodes {
		kernel, ok := n.Op().(kernels.Kernel)
		if !ok {
			continue
		}
		h := bf16Case{kernel: kernel}
		h.types, h.outType = kernels.TypesOf(kernel, number.BFloat16, c.rolesOf(n))
		var given []gorgonia.Value
		for i, input := range inputsOf(n) {
			h.in = append(h.in, rounded(values[input.ID()], h.types[i]))
			given = append(given, dense(h.in[i]))
		}
		v, err := n.Op().Do(given...)
		if err != nil {
			t.Fatal(err)
		}
		h.want = array(v)
		values[n.ID()] = h.want
		if h.outType != number.BFloat16 && !slices.Contains(h.types, number.BFloat16) {
			continue
		}
		native, takes := n.Op().(kernels.Native)
		product, multiplies := n.Op().(kernels.NativeProduct)
		switch {
		case multiplies && k.BF16 != nil:
			h.scratch = product.BFloat16Scratch
		case takes && native.TakesBFloat16():
			h.scratch = kernel.Scratch
		default:
			continue
		}
		t.Run(fmt.Sprintf("%s/%v/%v", k.Name, number.BFloat16, kernel), func(t *testing.T) { h.check(t, k) })
	}
}

// bf16Case is one kernel with its inputs in a plan of bfloat16.
type bf16Case struct {
	kernel  kernels.Kernel
	scratch func(in []tensor.Shape, out tensor.Shape, threads int) int
	in      []kernels.Array
	types   []number.Type
	outType number.Type
	want    kernels.Array
}

func (h bf16Case) check(t *testing.T, k *cpu.Kernels) {
	epilogue := kernels.Epilogue{}
	if f, ok := h.kernel.(kernels.Fuser); ok {
		epilogue = f.Fuses()
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, gap := range []int{0, 5} {
		for _, fused := range slices.Compact([]kernels.Epilogue{{}, {Add: epilogue.Add}, epilogue}) {
			e := fusedInputs(rng, fused, h.want, h.outType)
			var results [][]float64
			for _, threads := range []int{1, 3} {
				results = append(results, h.run(t, k, threads, gap, e))
			}
			if d := difference(results[0], e.want); !(d <= budgets[number.BFloat16]) {
				t.Errorf("gap %d, epilogue %+v: relative error %.3g, budget %g", gap, fused, d, budgets[number.BFloat16])
			}
			if !slices.Equal(results[0], results[1]) {
				t.Errorf("gap %d, epilogue %+v: 1 and 3 threads give different bits", gap, fused)
			}
		}
	}
}

// run lays the operands out in poisoned memory, runs the kernel and reads its result.
func (h bf16Case) run(t *testing.T, k *cpu.Kernels, threads, gap int, e fusedOperands) []float64 {
	pool := cpu.NewPool(threads, k)
	defer pool.Close()
	l := kernels.Launch{Out: operandOf(h.want, h.outType, gap, false), Threads: threads, Cut: &kernels.Cut{}}
	var shapes []tensor.Shape
	for i, a := range h.in {
		l.In = append(l.In, operandOf(a, h.types[i], gap, true))
		shapes = append(shapes, a.Shape)
	}
	if w, ok := h.kernel.(kernels.Weighted); ok {
		for _, i := range w.Weights() { // parameters have no gaps, and are float32
			l.In[i] = operandOf(h.in[i], number.Float32, 0, true)
		}
	}
	if e.add.Data != nil {
		l.Add = operandOf(e.add, h.outType, gap, true)
	}
	if e.perImage.Data != nil {
		l.PerImage = operandOf(e.perImage, number.Float32, 0, true)
	}
	l.Scratch = poisoned(h.scratch(shapes, h.want.Shape, threads))
	run := h.kernel.CPU(l)
	run(pool)
	run(pool) // nothing may depend on what a run left behind
	if n := Allocations(func() { run(pool) }); n > 0 && threads == 1 {
		t.Errorf("a launch allocates %v times", n)
	}
	result := readOf(t, l.Out)
	checkCuts(t, pool, run, l, readOf)
	checkPrepared(t, pool, h.kernel, l, shapes, readOf)
	return result
}

// poison is a NaN that no kernel writes, twice in a float32; poisonByte lies around bytes.
const (
	poison     = 0x7fc1
	poisonByte = 0xa5
)

func poisoned(floats int) []float32 {
	data := make([]float32, floats)
	bf16 := asBF16(data)
	for i := range bf16 {
		bf16[i] = poison
	}
	return data
}

func asBF16(data []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(data))), 2*len(data))
}

// operandOf is operand of an element type, with rows of bfloat16 at odd addresses where there is a gap;
// bytes are never filled.
func operandOf(a kernels.Array, of number.Type, gap int, fill bool) kernels.Operand {
	o := operand(a, gap, fill)
	o.Type = of
	switch of {
	case number.Float32:
		return o
	case number.Uint8:
		o.Data, o.Bytes = nil, bytes.Repeat([]byte{poisonByte}, guard+o.Rows*o.Pitch+guard)[guard:]
		return o
	}
	o.BF16 = asBF16(poisoned(guard + (o.Rows*o.Pitch+1)/2 + guard))[2*guard+gap:]
	for i, x := range a.Data {
		if fill {
			o.BF16[i/o.Cols*o.Pitch+i%o.Cols] = number.Narrow(float32(x))
		}
	}
	o.Data = nil
	return o
}

// readOf is read of an element type.
func readOf(t *testing.T, o kernels.Operand) []float64 {
	t.Helper()
	if o.Type == number.Float32 {
		return read(t, o)
	}
	var values []float64
	for i, x := range o.Bytes {
		switch r, c := i/o.Pitch, i%o.Pitch; {
		case r < o.Rows && c < o.Cols:
			values = append(values, float64(x))
		case x != poisonByte:
			t.Fatalf("wrote outside the result, %d bytes behind its start", i)
		}
	}
	for i, x := range o.BF16 {
		switch r, c := i/o.Pitch, i%o.Pitch; {
		case r < o.Rows && c < o.Cols:
			values = append(values, float64(number.Widen(x)))
		case x != poison:
			t.Fatalf("wrote outside the result, %d elements behind its start", i)
		}
	}
	return values
}
