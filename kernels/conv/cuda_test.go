package conv

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// bench is a simulated device with operands on it.
type bench struct {
	t       *testing.T
	memory  *sim.Memory
	machine *sim.Machine
}

func newBench(t *testing.T) bench {
	m := sim.NewMemory(1 << 28)
	return bench{t, m, sim.New(m, sim.Options{Seed: 1})}
}

func (b bench) alloc(bytes int) cuda.Address {
	b.t.Helper()
	if bytes == 0 {
		return 0
	}
	a, err := b.memory.Alloc(bytes)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// place allocates a tensor with gap elements between its rows.
func (b bench) place(shape tensor.Shape, of number.Type, gap int) cuda.Operand {
	cols := shape[len(shape)-1]
	o := cuda.Operand{Type: of, Shape: shape, Rows: shape.TotalSize() / cols, Cols: cols, Pitch: cols + gap}
	o.Address = b.alloc(o.Rows * o.Pitch * of.Size())
	return o
}

func (b bench) put(a kernels.Array, of number.Type, gap int) cuda.Operand {
	o := b.place(a.Shape, of, gap)
	row := make([]byte, o.Cols*of.Size())
	for r := range o.Rows {
		for c := range o.Cols {
			x := float32(a.Data[r*o.Cols+c])
			if of == number.BFloat16 {
				binary.LittleEndian.PutUint16(row[2*c:], number.Narrow(x))
			} else {
				binary.LittleEndian.PutUint32(row[4*c:], math.Float32bits(x))
			}
		}
		if err := b.memory.Write(o.Address+cuda.Address(r*o.Pitch*of.Size()), row); err != nil {
			b.t.Fatal(err)
		}
	}
	return o
}

func (b bench) get(o cuda.Operand) []float64 {
	b.t.Helper()
	var values []float64
	row := make([]byte, o.Cols*o.Type.Size())
	for r := range o.Rows {
		if err := b.memory.Read(o.Address+cuda.Address(r*o.Pitch*o.Type.Size()), row); err != nil {
			b.t.Fatal(err)
		}
		for c := range o.Cols {
			if o.Type == number.BFloat16 {
				values = append(values, float64(number.Widen(binary.LittleEndian.Uint16(row[2*c:]))))
			} else {
				values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(row[4*c:]))))
			}
		}
	}
	return values
}

// run launches a kernel and returns what the simulator counted.
func (b bench) run(t *testing.T, k cuda.Kernel, l cuda.Launch) (counters sim.Counters, launches int) {
	t.Helper()
	l.Scratch = b.alloc(k.CUDAScratch(l))
	for _, call := range k.CUDA(l) {
		c, err := b.machine.Run(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		counters.Add(c)
		launches++
	}
	return counters, launches
}

// whole is an array of whole numbers from −4 to 4.
func whole(rng *rand.Rand, shape ...int) kernels.Array {
	a := kernels.NewArray(shape...)
	for i := range a.Data {
		a.Data[i] = float64(rng.IntN(9) - 4)
	}
	return a
}

// operation is the convolution or a gradient of it with its operands.
type operation struct {
	name string
	op   gorgonia.Op
	in   []kernels.Array
	want kernels.Array
}

func operations(s size) []operation {
	rng := rand.New(rand.NewPCG(5, 6))
	x, w, b := whole(rng, s.n, s.h, s.w, s.cin), whole(rng, s.kh, s.kw, s.cin, s.cout), whole(rng, s.cout)
	dy := whole(rng, s.output()...)
	return []operation{
		{"forward", newForward(s.Options, w.Shape), []kernels.Array{x, w, b}, reference(s.Options, x, w, b)},
		{"inputGrad", newInputGrad(s.Options, x.Shape), []kernels.Array{dy, w}, referenceInputGrad(s.Options, dy, w, s.h, s.w)},
		{"weightGrad", newWeightGrad(s.Options, w.Shape), []kernels.Array{x, dy}, referenceWeightGrad(s.Options, x, dy, s.kh, s.kw)},
	}
}

// launch places the operands of an operation as a plan of this precision does.
func (b bench) launch(o operation, precision number.Type, gap int) (cuda.Kernel, cuda.Launch) {
	var shapes []tensor.Shape
	for _, a := range o.in {
		shapes = append(shapes, a.Shape)
	}
	types, out := kernels.TypesOf(o.op.(kernels.Kernel), precision, shapes, o.want.Shape)
	var l cuda.Launch
	for i, a := range o.in {
		own := gap
		if o.name != "weightGrad" && i > 0 {
			own = 0 // parameters
		}
		l.In = append(l.In, b.put(a, types[i], own))
	}
	if o.name == "weightGrad" {
		gap = 0
	}
	l.Out = b.place(o.want.Shape, out, gap)
	return o.op.(cuda.Kernel), l
}

// Sums of products of small whole numbers are exact in float32, in any order: the
// results have the reference's bits, or those of its nearest bf16.
func TestWholeNumbersAreExact(t *testing.T) {
	b := newBench(t)
	shared := map[string]bool{} // operations, with precision, of which several blocks shared a sum
	for _, c := range []struct {
		n, h, w, cin, cout, side int
		o                        Options
	}{
		{2, 5, 3, 4, 17, 3, Same(3)},
		{1, 7, 9, 24, 40, 3, Same(3)},
		{1, 3, 5, 16, 136, 1, Same(1)},
		{2, 6, 6, 8, 72, 3, Options{Stride: 2, PadBottom: 1, PadRight: 1}},
		{1, 6, 5, 12, 8, 3, Options{Stride: 2, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}},
		{1, 5, 5, 8, 8, 1, Options{Stride: 2}},
		{1, 4, 4, 136, 64, 3, Same(3)},
		{1, 4, 4, 64, 136, 3, Same(3)},
		{1, 40, 32, 8, 8, 1, Same(1)},
		{1, 12, 12, 3, 64, 3, Same(3)},
		{1, 12, 12, 64, 3, 3, Same(3)},
		{1, 9, 4, 5, 6, 5, Options{Stride: 3, PadTop: 2, PadLeft: 1}},
	} {
		s := mustSize(c.o, tensor.Shape{c.n, c.h, c.w, c.cin}, tensor.Shape{c.side, c.side, c.cin, c.cout})
		for _, o := range operations(s) {
			for _, precision := range []number.Type{number.Float32, number.BFloat16} {
				for _, gap := range []int{0, 8} {
					t.Run(fmt.Sprintf("%v/%s/%v/gap %d", c, o.name, precision, gap), func(t *testing.T) {
						k, l := b.launch(o, precision, gap)
						_, launches := b.run(t, k, l)
						if launches == 2 {
							shared[fmt.Sprint(o.name, precision)] = true
						}
						got := b.get(l.Out)
						for i, want := range o.want.Data {
							if l.Out.Type == number.BFloat16 {
								want = float64(number.Round(float32(want)))
							}
							if got[i] != want {
								t.Fatalf("element %d is %v, want %v", i, got[i], want)
							}
						}
					})
				}
			}
		}
	}
	if len(shared) != 6 {
		t.Errorf("blocks shared their sums in %v only: want all three operations in both precisions", shared)
	}
}
