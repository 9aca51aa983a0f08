package embed

import (
	"fmt"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestFourier(t *testing.T) {
	times := kerneltest.Input{Shape: tensor.Shape{4}, Fixed: []float64{999, 437.25, 0.0625, 1}, Inert: true}
	frequencies := kerneltest.Input{Shape: tensor.Shape{5}, Fixed: []float64{16.5, -3.25, 0.015625, 41.75, -28}, Inert: true}
	for _, o := range []FourierOptions{{}, {Log: true}, {CosineFirst: true}, {Log: true, CosineFirst: true}} {
		t.Run(fmt.Sprint(o), func(t *testing.T) {
			kerneltest.Check(t, []kerneltest.Input{times, frequencies}, func(in []*gorgonia.Node) *gorgonia.Node { return Fourier(in[0], in[1], o) })
		})
	}
	// More frequencies than threads of a block.
	kerneltest.CheckKernels(t, []kerneltest.Input{times, {Shape: tensor.Shape{300}, Inert: true}}, func(in []*gorgonia.Node) *gorgonia.Node {
		return Fourier(in[0], in[1], FourierOptions{Log: true})
	})
}
