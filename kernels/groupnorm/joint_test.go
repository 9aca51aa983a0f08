package groupnorm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// TestJoint: a launch that makes an input itself gives the bits of two launches,
// in every instruction set, for fewer images than threads and for more, for images
// whose gradients are kept and for larger ones.
func TestJoint(t *testing.T) {
	for _, c := range []struct {
		shape tensor.Shape
		o     Options
		scale bool
	}{
		{tensor.Shape{3, 17, 16, 20}, Options{5, 1e-5, true}, true},
		{tensor.Shape{2, 3, 5, 24}, Options{3, 1e-5, false}, false},
		{tensor.Shape{1, 4, 4, 16}, Options{4, 1e-5, true}, false},
		{tensor.Shape{2, 32, 32, 136}, Options{8, 1e-5, true}, true},
	} {
		for _, name := range cpu.Names() {
			for _, of := range []number.Type{number.Float32, number.BFloat16} {
				for _, threads := range []int{1, 2} {
					t.Run(fmt.Sprint(c, name, of, threads), func(t *testing.T) {
						j := newJointCase(t, name, threads, c.shape, of)
						common := common{o: c.o, scaleShift: c.scale}
						j.check(t, apply{common}, statsOp{o: c.o}, j.shared[:1], common)
						with := append(slices.Clone(j.shared[:common.heads()]), j.dy)
						j.check(t, inputGrad{common}, sums{common}, with, common)
					})
				}
			}
		}
	}
}

type jointCase struct {
	pool    *cpu.Pool
	threads int
	shared  []kernels.Operand // x, stats, gamma, beta, scaleShift
	dy, add kernels.Operand
}

func newJointCase(t *testing.T, name string, threads int, shape tensor.Shape, of number.Type) *jointCase {
	k, err := cpu.Select(name)
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(threads, k)
	t.Cleanup(pool.Close)
	rng := rand.New(rand.NewPCG(1, 2))
	make := func(of number.Type, s ...int) kernels.Operand {
		o := empty(of, s...)
		for i := range o.Data {
			o.Data[i] = float32(rng.NormFloat64())
		}
		for i := range o.BF16 {
			o.BF16[i] = number.Narrow(float32(rng.NormFloat64()))
		}
		return o
	}
	n, c := shape[0], shape[3]
	return &jointCase{pool, threads, []kernels.Operand{
		make(of, shape...), {}, make(number.Float32, c), make(number.Float32, c), make(number.Float32, n, 2*c),
	}, make(of, shape...), make(of, shape...)}
}

// empty is an operand with some columns between its rows, if it has the rank of images.
func empty(of number.Type, s ...int) kernels.Operand {
	cols := s[len(s)-1]
	m := cpu.Matrix{Rows: tensor.Shape(s).TotalSize() / cols, Cols: cols, Pitch: cols}
	if len(s) == 4 {
		m.Pitch += 5
	}
	o := kernels.Operand{Matrix: m, Shape: s, Type: of}
	if of == number.BFloat16 {
		o.BF16 = make([]uint16, m.Rows*m.Pitch+64)
	} else {
		o.Data = make([]float32, m.Rows*m.Pitch+64)
	}
	return o
}

// check runs maker and then kernel, which reads what maker makes behind its inputs,
// and the launch of both.
func (j *jointCase) check(t *testing.T, kernel interface {
	kernels.Kernel
	kernels.Joint
}, maker kernels.Kernel, of []kernels.Operand, c common) {
	t.Helper()
	x := j.shared[0]
	shape := []int{x.Shape[0], 2 * x.Shape[3]}
	at := len(of)
	if at == 1 {
		shape = []int{x.Shape[0], c.o.Groups, 2}
	}
	both := kernel.Joined(at, maker)
	if both == nil || kernel.Joined(at-1, maker) != nil || kernel.Joined(at, kernel) != nil {
		t.Fatalf("%v is not joined to input %d of %v, or to others", maker, at, kernel)
	}
	run := func(k kernels.Kernel, in []kernels.Operand, out, add kernels.Operand) {
		var shapes []tensor.Shape
		for _, o := range in {
			shapes = append(shapes, o.Shape)
		}
		scratch := slices.Repeat([]float32{float32(math.NaN())}, k.Scratch(shapes, out.Shape, j.threads))
		k.CPU(kernels.Launch{In: in, Out: out, Add: add, Scratch: scratch, Threads: j.threads})(j.pool)
	}
	var add kernels.Operand
	if at > 1 {
		add = j.add
	}
	inputs := func(made kernels.Operand) []kernels.Operand {
		in := append(slices.Clone(of), made)
		if at == 1 {
			in = append(in, j.shared[2:c.heads()]...)
		}
		return in
	}
	made, out := empty(number.Float32, shape...), empty(x.Type, x.Shape...)
	run(maker, of, made, kernels.Operand{})
	run(kernel, inputs(made), out, add)
	if at == 1 {
		j.shared[1] = made
	}
	madeToo, outToo := empty(number.Float32, shape...), empty(x.Type, x.Shape...)
	run(both, inputs(madeToo), outToo, add)
	if !slices.Equal(madeToo.Data, made.Data) || !slices.Equal(outToo.Data, out.Data) || !slices.Equal(outToo.BF16, out.BF16) {
		t.Errorf("%v gives other bits than %v and %v", both, maker, kernel)
	}
	if slices.Max(made.Data) == 0 {
		t.Error("nothing was made")
	}
}
