package kerneltest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Operand of a Launch: what it holds before, and what after.
type Operand struct {
	Shape  tensor.Shape
	Type   number.Type
	Before []float64 // nil: nothing; all of it must be written
	After  []float64 // nil: what it held before
}

// Launch is one of a kernel that is no operator of a graph: it may work in place, and
// write to operands among its inputs. What is expected comes of the kernel's reference.
type Launch struct {
	Kernel kernels.Kernel
	In     []Operand
	Out    Operand
	Within float64 // largest error of a float32, as a share of its value, or of 1 if that is more; 0: none, of any type
	Bits   bool    // a GPU gives the bits of the CPU
	Moves  int     // bytes that a GPU must move at least, and hardly more; 0: nobody counts
	Gap    int     // another gap between rows, at which the kernel goes another way on GPUs; 0: none
}

// CheckLaunch compares a kernel's results with those expected: on every instruction set, with
// several numbers of threads and pitches, among guard cells, and once more on the memory that
// a first launch left behind; and on GPUs, as CheckLaunchCUDA does. It returns the PTX
// functions that were launched.
func CheckLaunch(t *testing.T, l Launch) (functions []string) {
	t.Helper()
	first := l.checkCPU(t)
	return l.checkCUDA(t, first)
}

// CheckLaunchCPU holds the kernel against what is expected on the CPU alone.
func CheckLaunchCPU(t *testing.T, l Launch) {
	t.Helper()
	l.checkCPU(t)
}

// CheckLaunchCUDA compares a kernel's results on simulated GPUs with those expected: with
// several orders of warps and pitches, and with memory around the operands, and rows of
// other runs, that must not be read. It also bounds the memory traffic. It returns the PTX
// functions that were launched.
func CheckLaunchCUDA(t *testing.T, l Launch) (functions []string) {
	t.Helper()
	return l.checkCUDA(t, nil)
}

// operands are all, the output behind the inputs.
func (l Launch) operands() []Operand { return append(l.In[:len(l.In):len(l.In)], l.Out) }

func (o Operand) name(i, n int) string {
	if i == n-1 {
		return "the output"
	}
	return fmt.Sprint("input ", i)
}

// check says what is wrong with the values of the operands after a launch.
func (l Launch) check(got [][]float64) error {
	var all error
	for i, o := range l.operands() {
		want := o.After
		if want == nil {
			want = o.Before
		}
		if len(want) != len(got[i]) {
			all = errors.Join(all, fmt.Errorf("%s has %d values, want %d", o.name(i, len(got)), len(got[i]), len(want)))
			continue
		}
		for j, w := range want {
			if err := l.checkValue(o, got[i][j], w); err != nil {
				all = errors.Join(all, fmt.Errorf("%s, value %d: %w", o.name(i, len(got)), j, err))
				break
			}
		}
	}
	return all
}

func (l Launch) checkValue(o Operand, got, want float64) error {
	within := l.Within * math.Max(1, math.Abs(want))
	switch {
	case o.After == nil: // as it was
		within, want = 0, rounded(kernels.Array{Shape: tensor.Shape{1}, Data: []float64{want}}, o.Type).Data[0]
	case l.Within == 0:
	case o.Type == number.Uint8: // rounded, of what may itself be off
		within = 0.51
	case o.Type == number.BFloat16:
		within = budgets[number.BFloat16] * math.Abs(want)
	}
	if got == want || got != got && want != want || !math.IsInf(want, 0) && math.Abs(got-want) <= within {
		return nil
	}
	return fmt.Errorf("%v, want %v", got, want)
}

// same says where two launches differ in bits.
func (l Launch) same(a, b [][]float64) error {
	for i, o := range l.operands() {
		for j, x := range a[i] {
			if y := b[i][j]; math.Float64bits(x) != math.Float64bits(y) && (x == x || y == y) {
				return fmt.Errorf("%s, value %d: %v and %v", o.name(i, len(a)), j, x, y)
			}
		}
	}
	return nil
}

// has says whether an operand is of a type.
func (l Launch) has(of number.Type) bool {
	return slices.ContainsFunc(l.operands(), func(o Operand) bool { return o.Type == of })
}

// gaps are those that make a difference, the first of them 0: only tensors of rank 4 have any.
func (l Launch) gaps(all ...int) []int {
	if !slices.ContainsFunc(l.operands(), func(o Operand) bool { return len(o.Shape) == 4 }) {
		return all[:1]
	}
	if all[len(all)-1] == 0 {
		return all[:len(all)-1]
	}
	return all
}

// gapOf gives operands pitches of their own where these are odd anyway.
func gapOf(i, gap int) int {
	if gap%2 == 1 {
		return gap + i
	}
	return gap
}

// checkCPU returns the values of all operands.
func (l Launch) checkCPU(t *testing.T) (first [][]float64) {
	t.Helper()
	for _, name := range cpu.Names() {
		k, err := cpu.Select(name)
		if err != nil {
			t.Fatal(err)
		}
		if k.BF16 != nil && !l.has(number.BFloat16) { // whose kernels for float32 are those of another
			continue
		}
		var before [][]float64
		for _, gap := range l.gaps(0, 5) {
			for _, threads := range []int{1, 3} {
				got := l.runCPU(t, k, threads, gap)
				if err := l.check(got); err != nil {
					t.Fatalf("%s, %d threads, gap %d: %v", name, threads, gap, err)
				}
				if before == nil {
					before = got
				}
				if err := l.same(before, got); err != nil {
					t.Fatalf("%s, %d threads, gap %d: other bits than with one thread and no gap: %v", name, threads, gap, err)
				}
			}
		}
		first = before
	}
	return first // of the portable one, the last
}

func (l Launch) runCPU(t *testing.T, k *cpu.Kernels, threads, gap int) [][]float64 {
	t.Helper()
	pool := cpu.NewPool(threads, k)
	defer pool.Close()
	var all []kernels.Operand
	var shapes []tensor.Shape
	for i, o := range l.operands() {
		all = append(all, operandOf(kernels.NewArray(o.Shape...), o.Type, gapOf(i, gap), false))
		shapes = append(shapes, o.Shape)
	}
	n := len(l.In)
	b := kernels.Launch{In: all[:n], Out: all[n], Threads: threads, Scratch: poisoned(l.Kernel.Scratch(shapes[:n], shapes[n], threads))}
	run := l.Kernel.CPU(b)
	for range 2 { // nothing may depend on what a run left behind
		for i, o := range l.operands() {
			fill(all[i], o.Before)
		}
		run(pool)
	}
	var got [][]float64
	for _, o := range all {
		got = append(got, readOf(t, o))
	}
	if allocations := Allocations(func() { run(pool) }); allocations > 0 && threads == 1 {
		t.Errorf("a launch allocates %v times", allocations)
	}
	return got
}

// fill gives an operand its values; without any it is poisoned.
func fill(o kernels.Operand, values []float64) {
	for i := range o.Rows * o.Cols {
		at := i/o.Cols*o.Pitch + i%o.Cols
		switch {
		case o.Type == number.BFloat16 && values == nil:
			o.BF16[at] = poison
		case o.Type == number.BFloat16:
			o.BF16[at] = number.Narrow(float32(values[i]))
		case o.Type == number.Uint8 && values == nil:
			o.Bytes[at] = poisonByte
		case o.Type == number.Uint8:
			o.Bytes[at] = byte(values[i])
		case values == nil:
			o.Data[at] = float32(math.NaN())
		default:
			o.Data[at] = float32(values[i])
		}
	}
}
