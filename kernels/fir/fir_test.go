package fir

import (
	"fmt"
	"math"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestFIR(t *testing.T) {
	for _, taps := range [][]float64{{1, 3, 3, 1}, {1, 2, 4, 5, 3, 1}} { // one of them even, one not
		for name, of := range map[string]func(in []*gorgonia.Node) *gorgonia.Node{
			"down":        func(in []*gorgonia.Node) *gorgonia.Node { return Down(in[0], taps...) },
			"down within": func(in []*gorgonia.Node) *gorgonia.Node { return DownWithin(in[0], taps...) },
			"up":          func(in []*gorgonia.Node) *gorgonia.Node { return Up(in[0], taps...) },
			"up padded":   func(in []*gorgonia.Node) *gorgonia.Node { return UpPadded(in[0], 1, taps...) },
		} {
			for _, in := range []kerneltest.Input{kerneltest.Shape(2, 6, 8, 3), kerneltest.Shape(1, 8, 6, 17)} {
				t.Run(fmt.Sprint(name, taps, in.Shape), func(t *testing.T) { kerneltest.Check(t, []kerneltest.Input{in}, of) })
			}
			t.Run(fmt.Sprint("wide ", name, taps), func(t *testing.T) { // vectors and tiles of the CUDA kernels
				kerneltest.CheckKernels(t, []kerneltest.Input{kerneltest.Shape(3, 6, 10, 72)}, of)
			})
		}
	}
}

// TestValues: rows of numbers as upfirdn2d of diffusers makes them with taps 1, 3, 3, 1.
func TestValues(t *testing.T) {
	x := []float64{1, 2, -3, 5}
	for name, c := range map[string]struct {
		of   resampling
		want []float64 // along one axis
	}{
		"down": {resampling{down: 2, up: 1, pad: 1, height: 1, width: 2, taps: []float64{0.125, 0.375, 0.375, 0.125}}, []float64{0.75, 1}},
		"up":   {resampling{down: 1, up: 2, pad: 2, height: 1, width: 8, taps: []float64{0.25, 0.75, 0.75, 0.25}}, []float64{0.75, 1.25, 1.75, 0.75, -1.75, -1, 3, 3.75}},
	} {
		y, err := c.of.Do(tensor.New(tensor.WithShape(1, 1, 4, 1), tensor.WithBacking(x)))
		if err != nil {
			t.Fatal(name, err)
		}
		// One row with zeros above and below: the axis that is not looked at is a factor.
		factor := 0.
		for k := range c.of.taps {
			if _, ok := c.of.source(0, k, 1); ok {
				factor += c.of.weight(k)
			}
		}
		for i, got := range y.Data().([]float64) {
			if math.Abs(got-factor*c.want[i]) > 1e-12 {
				t.Errorf("%s: %v, want %g times %v", name, y.Data(), factor, c.want)
				break
			}
		}
	}
}

// TestFiltersOfOnes are the mean of squares and the repeating of pixels.
func TestFiltersOfOnes(t *testing.T) {
	x := tensor.New(tensor.WithShape(1, 2, 2, 1), tensor.WithBacking([]float64{1, 2, 3, 6}))
	down := resampling{down: 2, up: 1, height: 1, width: 1, taps: normal([]float64{1, 1}, 1)}
	up := resampling{down: 1, up: 2, pad: 1, height: 4, width: 4, taps: normal([]float64{1, 1}, 2)}
	for _, c := range []struct {
		of   kernels.Kernel
		want string
	}{{down, "[3]"}, {up, "[1 1 2 2 1 1 2 2 3 3 6 6 3 3 6 6]"}} {
		y, err := c.of.(resampling).Do(x)
		if err != nil || fmt.Sprint(y.Data()) != c.want {
			t.Errorf("%v, %v, want %s", y, err, c.want)
		}
	}
}

func TestBad(t *testing.T) {
	x := gorgonia.NewTensor(gorgonia.NewGraph(), tensor.Float32, 4, gorgonia.WithShape(1, 3, 4, 2), gorgonia.WithName("x"))
	panics := func(what string, f func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s: taken", what)
			}
		}()
		f()
	}
	for _, n := range []int{0, 3, 10} {
		panics(fmt.Sprint("taps: ", n), func() { Up(x, make([]float64, n)...) })
	}
	panics("halving of an odd image", func() { Down(x, 1, 1) })
}
