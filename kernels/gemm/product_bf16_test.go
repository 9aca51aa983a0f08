package gemm

import (
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels/cpu"
	"fluxion/kernels/number"
)

// TestRoundsWeights: a product of weights in float32 has the bits of one whose
// weights were rounded before, whichever way they lie, at depths and widths that
// are no multiples of anything.
func TestRoundsWeights(t *testing.T) {
	for _, name := range cpu.Names() {
		k, err := cpu.Select(name)
		if err != nil || k.BF16 == nil {
			continue
		}
		pool := cpu.NewPool(2, k)
		defer pool.Close()
		rng := rand.New(rand.NewPCG(5, 6))
		for _, size := range [][2]int{{1, 1}, {33, 7}, {64, 64}, {129, 70}, {200, 128}} {
			depth, width := size[0], size[1]
			const rows = 5
			in := make([]uint16, rows*depth)
			for i := range in {
				in[i] = number.Narrow(float32(rng.NormFloat64()))
			}
			weights := make([]float32, depth*width)
			for i := range weights {
				weights[i] = float32(rng.NormFloat64())
			}
			rounded := make([]float32, len(weights))
			for i, w := range weights {
				rounded[i] = number.Round(w)
			}
			for _, stride := range [][2]int{{width, 1}, {1, depth}} {
				product := func(weights []float32) []uint16 {
					out := make([]uint16, rows*width)
					BF16Product{
						Geometry: Dense(rows), Depth: depth, Width: width, In: BF16{in, depth}, Out: BF16{out, width},
						W:       Weights{Data: weights, DepthStride: stride[0], ColStride: stride[1]},
						Scratch: make([]float32, BF16ProductScratch(1, 1, depth, width, 2)), Threads: 2,
					}.Bind()(pool)
					return out
				}
				if !slices.Equal(product(weights), product(rounded)) {
					t.Errorf("%s: %d×%d weights at strides %v are not rounded to nearest", name, depth, width, stride)
				}
			}
		}
	}
}
