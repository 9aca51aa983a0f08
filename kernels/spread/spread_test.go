package spread

import (
	"math"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/tensor"
)

// TestSpread: noise of the least, the largest and other variances, and of none that is learnt; under
// guidance the variance of images without their class does not count.
func TestSpread(t *testing.T) {
	kerneltest.CheckRow(t, "spread.cu", "Row", Row{})
	for _, rate := range []float32{0, 0.3, 1.75} {
		for _, images := range []int{3, 6} {
			shape := tensor.Shape{3, 5, 7, 3}
			v, before, after := make([]float64, images*5*7*3), make([]float64, shape.TotalSize()), make([]float64, shape.TotalSize())
			for i := range v {
				v[i] = float64(float32(1.5 * math.Sin(float64(i)))) // networks leave ±1
			}
			v[0], v[1], v[2] = -1, 0, 1
			for i := range before {
				before[i] = float64(float32(math.Cos(float64(3 * i))))
				after[i] = before[i] * math.Exp(float64(rate)*(1+v[i]))
			}
			kerneltest.CheckLaunch(t, kerneltest.Launch{
				Kernel: New(&Row{Rate: rate}), Within: 1e-6,
				Out: kerneltest.Operand{Shape: shape, Before: before, After: after},
				In:  []kerneltest.Operand{{Shape: tensor.Shape{images, 5, 7, 3}, Before: v}},
			})
		}
	}
}
