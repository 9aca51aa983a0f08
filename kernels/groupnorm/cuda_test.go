package groupnorm

import (
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Statistics from what another kernel measured: chunks of different sizes, some
// of them empty. The tensor itself is nowhere.
func TestStatsOfPartials(t *testing.T) {
	const images, pixels, groups, per = 3, 70, 5, 3
	rng := rand.New(rand.NewPCG(7, 8))
	x := kernels.NewArray(images, 10, 7, groups*per)
	for i := range x.Data {
		x.Data[i] = 30 + rng.NormFloat64()
	}
	cuts := []int{0, 0, 32, 33, 33, 70} // pixels where chunks end
	var partials []float64
	for n := range images {
		from := 0
		for _, end := range cuts {
			var counts, means, squares [groups]float64
			for g := range groups {
				var values []float64
				for p := from; p < end; p++ {
					values = append(values, x.Data[(n*pixels+p)*groups*per+g*per:][:per]...)
				}
				counts[g] = float64(len(values))
				for _, v := range values {
					means[g] += v / counts[g]
				}
				for _, v := range values {
					squares[g] += (v - means[g]) * (v - means[g])
				}
			}
			partials = append(append(append(partials, counts[:]...), means[:]...), squares[:]...)
			from = end
		}
	}
	o := Options{Groups: groups, Epsilon: 1e-5}
	graph := gorgonia.NewGraph()
	op := stats(gorgonia.NewTensor(graph, tensor.Float64, 4, gorgonia.WithShape(x.Shape...), gorgonia.WithName("x")), o).Op().(interface {
		cuda.Kernel
		cuda.Measured
	})
	g := kerneltest.NewGPU(t, 1)
	out := g.Empty(number.Float32, images, groups*2, 0)
	out.Shape = tensor.Shape{images, groups, 2}
	measured, _ := op.CUDAGroups()
	l := cuda.Launch{
		In:  []cuda.Operand{{Type: number.BFloat16, Shape: x.Shape, Rows: images * pixels, Cols: groups * per, Pitch: groups * per}},
		Out: out, Partials: cuda.Partials{Address: g.Vector(number.Float32, partials).Address, Groups: measured, Chunks: len(cuts)},
	}
	if n := op.CUDAScratch(l); n != 0 {
		t.Errorf("%d bytes of scratch memory for partials that are there", n)
	}
	g.Run(op.CUDA(l)...)
	want := referenceStats(x, o)
	for i, got := range g.Values(out) {
		if math.Abs(float64(got)-want.Data[i]) > 1e-6*math.Abs(want.Data[i]) {
			t.Errorf("value %d is %g, want %g", i, got, want.Data[i])
		}
	}
}
