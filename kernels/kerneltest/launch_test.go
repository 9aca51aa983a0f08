package kerneltest

import (
	"math"
	"strings"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/feed"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// fed is a kernel that brings its numbers, launched in somebody's own way.
type fed struct {
	*feed.Vector
	cpu    func(to []float32)
	launch func(l *cuda.Launch)
	put    func(row []byte)
}

func (f fed) CPU(l kernels.Launch) func(*cpu.Pool) {
	run := f.Vector.CPU(l)
	return func(p *cpu.Pool) {
		run(p)
		f.cpu(l.Out.Data)
	}
}

func (f fed) CUDA(l cuda.Launch) []cuda.Call {
	f.launch(&l)
	return f.Vector.CUDA(l)
}

func (f fed) PutParameters(row []byte) {
	f.Vector.PutParameters(row)
	f.put(row)
}

// The suite sees wrong values, an operand that is touched and should not be, one that
// is left out, and the row of another run.
func TestMistakesOfLaunches(t *testing.T) {
	const n = 70
	shape := tensor.Shape{n}
	portable, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	right := func() (Launch, *fed) {
		f := &fed{feed.New(n, 1), func([]float32) {}, func(*cuda.Launch) {}, func([]byte) {}}
		var want []float64
		for i := range f.Values {
			f.Values[i] = float32(i) + 0.5
			want = append(want, float64(f.Values[i]))
		}
		kept := Operand{Shape: tensor.Shape{5}, Type: number.Uint8, Before: []float64{1, 2, 3, 4, 5}}
		return Launch{Kernel: f, In: []Operand{kept}, Out: Operand{Shape: shape, After: want}}, f
	}
	for name, c := range map[string]struct {
		change       func(l *Launch, f *fed)
		onCPU, onGPU string // parts of the errors
	}{
		"right": {func(*Launch, *fed) {}, "", ""},
		"another value": {func(l *Launch, f *fed) {
			f.cpu, f.put = func(to []float32) { to[3] += 1e-5 }, func(row []byte) { row[12]++ }
		}, "the output, value 3", "the output, value 3"},
		"a number for an infinity":    {func(l *Launch, f *fed) { l.Within, l.Out.After[3] = 1e-6, math.Inf(1) }, "the output, value 3", "the output, value 3"},
		"a value that nobody expects": {func(l *Launch, f *fed) { l.Out.After = l.Out.After[:n-1] }, "70 values, want 69", "70 values, want 69"},
		"a value is missing": {func(l *Launch, f *fed) {
			l.Out.Shape = tensor.Shape{n + 1}
			l.Out.After = append(l.Out.After, 0)
		}, "the output, value 70", "were not written"},
		"an input should have been written": {func(l *Launch, f *fed) { l.In[0].After = []float64{1, 2, 3, 4, 9} }, "input 0, value 4", "input 0, value 4"},
		"the row before": {func(l *Launch, f *fed) {
			f.launch = func(l *cuda.Launch) { l.Parameters.Table -= cuda.Address(l.Parameters.Stride) }
		}, "", "nobody wrote"},
		"the first row": {func(l *Launch, f *fed) {
			f.launch = func(l *cuda.Launch) { l.Parameters.Stride = 0 }
		}, "", "nobody wrote"},
		"a part of the row is not put": {func(l *Launch, f *fed) {
			f.put = func(row []byte) { copy(row[8:12], []byte{0xFF, 0xFF, 0xFF, 0xFF}) }
		}, "", "the output, value 2"},
	} {
		t.Run(name, func(t *testing.T) {
			l, f := right()
			c.change(&l, f)
			r, err := l.runCUDA(t.Context(), simulators()[0], 0)
			if err == nil {
				err = l.check(r.values)
			}
			expect(t, "a GPU", err, c.onGPU)
			expect(t, "the CPU", l.check(l.runCPU(t, portable, 1, 0)), c.onCPU)
		})
	}
}

func expect(t *testing.T, where string, err error, part string) {
	t.Helper()
	if part == "" && err != nil || part != "" && (err == nil || !strings.Contains(err.Error(), part)) {
		t.Errorf("%s: %v, want an error with %q", where, err, part)
	}
}
