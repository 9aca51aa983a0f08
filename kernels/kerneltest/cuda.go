package kerneltest

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Budgets of results on a GPU by their type; sums are float32 in either case.
var budgets = map[number.Type]float64{number.Float32: Budget, number.BFloat16: 4e-3}

// simulators run everything that is tested; they differ in the order in which warps run.
var simulators = sync.OnceValue(func() []board { return []board{newSimulator(1), newSimulator(2)} })

// boards are the simulators, or twice the GPU of this machine.
func boards() ([]board, error) {
	if !cudatest.OnGPU() {
		return simulators(), nil
	}
	b, err := gpu()
	return []board{b, b}, err
}

// checkDevice runs every kernel of the graph that has a CUDA implementation on
// the simulator, in plans of either precision.
func (c *testCase) checkDevice(t *testing.T, values map[int64]kernels.Array) {
	t.Helper()
	for _, n := range c.nodes {
		kernel, ok := n.Op().(kernels.Kernel)
		if !ok {
			continue
		}
		device, ok := n.Op().(cuda.Kernel)
		if !ok {
			continue
		}
		var in []kernels.Array
		for _, i := range inputsOf(n) {
			in = append(in, values[i.ID()])
		}
		for precision, d := range deviceCases(kernel, device, in, c.rolesOf(n), n.Shape()) {
			t.Run(fmt.Sprintf("cuda/%v/%v", precision, kernel), func(t *testing.T) { d.check(t, n.Op()) })
		}
	}
}

// deviceCase is one kernel with its inputs in a plan of a precision.
type deviceCase struct {
	kernel  kernels.Kernel
	device  cuda.Kernel
	in      []kernels.Array
	out     tensor.Shape
	types   []number.Type
	outType number.Type
}

// deviceCases gives a case for each precision, one only where they are the same.
func deviceCases(kernel kernels.Kernel, device cuda.Kernel, in []kernels.Array, roles []kernels.Role, out tensor.Shape) iter.Seq2[number.Type, deviceCase] {
	return func(yield func(number.Type, deviceCase) bool) {
		for _, precision := range []number.Type{number.Float32, number.BFloat16} {
			d := deviceCase{kernel: kernel, device: device, in: in, out: out}
			d.types, d.outType = kernels.TypesOf(kernel, precision, roles)
			if precision == number.BFloat16 && d.outType != precision && !slices.Contains(d.types, precision) {
				return
			}
			if !yield(precision, d) {
				return
			}
		}
	}
}

func (d deviceCase) check(t *testing.T, op gorgonia.Op) {
	d.in = slices.Clone(d.in)
	var in []gorgonia.Value
	for i, a := range d.in {
		d.in[i] = rounded(a, d.types[i])
		in = append(in, dense(d.in[i]))
	}
	v, err := op.Do(in...)
	if err != nil {
		t.Fatal(err)
	}
	want := array(v)

	epilogue := kernels.Epilogue{}
	if f, ok := d.kernel.(kernels.Fuser); ok {
		epilogue = f.Fuses()
	}
	on, err := boards()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, gap := range []int{0, 5, 8} {
		for _, fused := range slices.Compact([]kernels.Epilogue{{}, {Add: epilogue.Add}, epilogue}) {
			e := fusedInputs(rng, fused, want, d.outType)
			var results [][]float64
			for _, b := range on {
				got, _, err := d.run(t.Context(), b, gap, e)
				if err != nil {
					t.Fatalf("gap %d, epilogue %+v: %v", gap, fused, err)
				}
				results = append(results, got)
			}
			if e := difference(results[0], e.want); !(e <= budgets[d.outType]) {
				t.Errorf("gap %d, epilogue %+v: relative error %.3g, budget %g", gap, fused, e, budgets[d.outType])
			}
			if !slices.Equal(results[0], results[1]) {
				t.Errorf("gap %d, epilogue %+v: the result depends on the order of warps", gap, fused)
			}
		}
	}
}

// fusedOperands are the operands of an epilogue and what comes of them.
type fusedOperands struct {
	add, perImage kernels.Array // Data is nil where nothing is fused
	want          []float64
}

func fusedInputs(rng *rand.Rand, fused kernels.Epilogue, want kernels.Array, outType number.Type) fusedOperands {
	f := fusedOperands{want: slices.Clone(want.Data)}
	normal := func(shape tensor.Shape, of number.Type) kernels.Array {
		a := kernels.NewArray(shape...)
		for i := range a.Data {
			a.Data[i] = rng.NormFloat64()
		}
		return rounded(a, of)
	}
	if fused.Add {
		f.add = normal(want.Shape, outType)
		for i, x := range f.add.Data {
			f.want[i] += x
		}
	}
	if fused.PerImage {
		n, c := want.Shape[0], want.Shape[3]
		f.perImage = normal(tensor.Shape{n, c}, number.Float32)
		for i := range f.want {
			f.want[i] += f.perImage.Data[i/(len(f.want)/n)*c+i%c]
		}
	}
	return f
}

func rounded(a kernels.Array, of number.Type) kernels.Array {
	r := kernels.NewArray(a.Shape...)
	for i, x := range a.Data {
		if r.Data[i] = float64(float32(x)); of == number.BFloat16 {
			r.Data[i] = float64(number.Round(float32(x)))
		}
	}
	return r
}

// run lays the operands out in memory that holds nothing else, runs the kernel,
// reads its result and returns what it counted.
func (d deviceCase) run(ctx context.Context, b board, gap int, e fusedOperands) ([]float64, sim.Counters, error) {
	m := &layout{board: b}
	defer m.free()
	var l cuda.Launch
	for i, a := range d.in {
		l.In = append(l.In, m.input(a, d.types[i], d.gapOf(i, gap)))
	}
	if e.add.Data != nil {
		l.Add = m.input(e.add, d.outType, gap)
	}
	if e.perImage.Data != nil {
		l.PerImage = m.input(e.perImage, number.Float32, gap)
	}
	result := m.place(d.out, d.outType, d.gapOf(-1, gap))
	l.Out = result.Operand
	l.Scratch = m.alloc(d.device.CUDAScratch(withoutAddresses(l)))
	var total sim.Counters
	for _, call := range d.device.CUDA(l) {
		if m.err == nil {
			var c sim.Counters
			c, m.err = b.run(ctx, call)
			total.Add(c)
		}
	}
	return m.read(result), total, m.err
}

// gapOf is the gap between the rows of input i, of the output for −1: weights and
// their gradients, being parameters, have none.
func (d deviceCase) gapOf(i, gap int) int {
	w, weighted := d.kernel.(kernels.Weighted)
	_, reduces := d.kernel.(kernels.Reducer)
	switch {
	case i >= 0 && weighted && slices.Contains(w.Weights(), i):
		return 0
	case i < 0 && reduces:
		return 0
	}
	return gap
}

// withoutAddresses is the launch as a plan knows it when it asks for scratch memory.
func withoutAddresses(l cuda.Launch) cuda.Launch {
	l.In = slices.Clone(l.In)
	for i := range l.In {
		l.In[i].Address = 0
	}
	l.Out.Address, l.Add.Address, l.PerImage.Address = 0, 0, 0
	return l
}
