package kerneltest

import (
	"slices"
	"strings"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
	"fluxion/kernels/number"
	"fluxion/kernels/pointwise"

	"gorgonia.org/tensor"
)

// launched is an addition that somebody launches in their own way.
type launched struct {
	pointwise.AddOp
	launch func(l cuda.Launch) []cuda.Call
}

func (o launched) CUDA(l cuda.Launch) []cuda.Call { return o.launch(l) }

// newHardware is the board of a GPU that the simulated driver poses as.
func newHardware(t *testing.T) board {
	t.Helper()
	device, err := simdriver.New(simdriver.Options{}).Direct().Open(0, cuda.WaitAsDriver)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := device.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := device.Close(); err != nil {
			t.Error(err)
		}
	})
	return hardware{device, stream}
}

// The suite sees what a kernel does beside its operands, and what it leaves out;
// on a GPU, too, where it tells less about it.
func TestMistakesAreFound(t *testing.T) {
	shape := tensor.Shape{2, 3, 4, 8}
	a := kernels.NewArray(shape...)
	sum := make([]float64, len(a.Data))
	for i := range a.Data {
		a.Data[i], sum[i] = float64(i), float64(2*i)
	}
	add := pointwise.NewAdd(4)
	type change func(l *cuda.Launch)
	type launch func(l cuda.Launch) []cuda.Call
	instead := func(c change) launch {
		return func(l cuda.Launch) []cuda.Call {
			l.In = slices.Clone(l.In)
			c(&l)
			return add.CUDA(l)
		}
	}
	also := func(c change) launch {
		return func(l cuda.Launch) []cuda.Call { return append(add.CUDA(l), instead(c)(l)...) }
	}
	rows := func(n int) change {
		return func(l *cuda.Launch) { l.Out.Rows, l.In[0].Rows, l.In[1].Rows = n, n, n }
	}
	for _, c := range []struct {
		name    string
		launch  launch
		problem string // "" for none
	}{
		{"right", add.CUDA, ""},
		{"right, twice", also(func(*cuda.Launch) {}), ""},
		{"a row is missing", instead(rows(23)), "were not written"},
		{"a row too many", instead(rows(25)), "nobody wrote"},
		{"in front of an input", instead(func(l *cuda.Launch) { l.In[1].Address -= 16 }), "nobody wrote"},
		{"in front of the result", also(func(l *cuda.Launch) { l.Out.Address -= 32 }), "bytes around"},
		{"into an input", also(func(l *cuda.Launch) { l.Out, l.In[0] = l.In[0], l.In[1] }), "an input"},
		{"far off", instead(func(l *cuda.Launch) { l.Out.Address += 1 << 20 }), "out of bounds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, of := range []number.Type{number.Float32, number.BFloat16} {
				k := launched{add, c.launch}
				d := deviceCase{kernel: k, device: k, in: []kernels.Array{a, a}, out: shape, types: []number.Type{of, of}, outType: of}
				for _, gap := range []int{0, 5, 8} {
					_, _, err := d.run(t.Context(), simulators()[0], gap, fusedOperands{})
					if c.problem == "" && err != nil || c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) {
						t.Errorf("%v, gap %d: %v, want an error with %q", of, gap, err, c.problem)
					}
					got, _, err := d.run(t.Context(), newHardware(t), gap, fusedOperands{})
					if found := err != nil || !(difference(got, sum) <= budgets[of]); found != (c.problem != "") {
						t.Errorf("on a GPU, %v, gap %d: found is %v, %v", of, gap, found, err)
					}
				}
			}
		})
	}
}
