package dropout

import (
	"math"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// keys of so many images.
func keys(images int) kerneltest.Input {
	k := kerneltest.Input{Shape: tensor.Shape{images, Columns}, Inert: true}
	row := make([]float32, Columns)
	for i := range images {
		PutKey(row, 0xfedc_ba98_7654_3210, 1<<40+uint64(i))
		for _, x := range row {
			k.Fixed = append(k.Fixed, float64(x))
		}
	}
	return k
}

func TestDropout(t *testing.T) {
	of := func(in []*gorgonia.Node) *gorgonia.Node { return Apply(in[0], in[1], 0.3, 5) }
	kerneltest.Check(t, []kerneltest.Input{kerneltest.Shape(2, 3, 4, 5), keys(2)}, of)
	kerneltest.Check(t, []kerneltest.Input{kerneltest.Shape(3, 7), keys(3)}, of)
	kerneltest.CheckKernels(t, []kerneltest.Input{kerneltest.Shape(3, 6, 10, 72), keys(3)}, of)
}

// TestShare: as many values are left out as are to be, others for each image and layer,
// and the mean stays.
func TestShare(t *testing.T) {
	const images, values = 4, 30_000
	k, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(1, k)
	defer pool.Close()
	run := func(layer int) []float32 {
		x, y, all := make([]float32, images*values), make([]float32, images*values), make([]float32, images*Columns)
		for i := range x {
			x[i] = 1
		}
		for i := range images {
			PutKey(all[i*Columns:][:Columns], 1, uint64(i))
		}
		of := func(data []float32, rows int) kernels.Operand {
			return kernels.Operand{Matrix: cpu.Matrix{Data: data, Rows: rows, Cols: len(data) / rows, Pitch: len(data) / rows}, Shape: tensor.Shape{rows, len(data) / rows}}
		}
		newOp(2, 0.13, layer).CPU(kernels.Launch{In: []kernels.Operand{of(x, images), of(all, images)}, Out: of(y, images)})(pool)
		return y
	}
	first, second := run(0), run(1)
	left, sum, same, alike := 0, 0.0, 0, 0
	for i, y := range first {
		sum += float64(y) / (images * values)
		if y == 0 {
			left++
		}
		if y == second[i] {
			same++
		}
		if i >= values && y == first[i-values] {
			alike++
		}
	}
	if share := float64(left) / (images * values); math.Abs(share-0.13) > 0.003 || math.Abs(sum-1) > 0.004 {
		t.Errorf("a share of %.4f is left out, the mean is %.4f", share, sum)
	}
	want := 0.13*0.13 + 0.87*0.87
	if a, b := float64(same)/(images*values), float64(alike)/(3*values); math.Abs(a-want) > 0.01 || math.Abs(b-want) > 0.01 {
		t.Errorf("layers agree in %.3f of the values, images in %.3f, want %.3f", a, b, want)
	}
}
