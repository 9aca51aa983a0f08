package evaluate

import (
	"fmt"
	"slices"
	"testing"

	"fluxion/kernels/number"
	"fluxion/nets/feature"
	"fluxion/nets/feature/featuretest"
)

// BenchmarkFeatures is images a second through a network, on all threads.
func BenchmarkFeatures(b *testing.B) {
	for _, n := range feature.Networks {
		for _, precision := range []number.Type{number.Float32, number.BFloat16} {
			b.Run(fmt.Sprint(n.Name, precision), func(b *testing.B) {
				const batch = 8
				e := newExtractor(b, n, batch, 0, precision, []string{feature.Pooled}, func(string, []float32, int) error { return nil })
				copy(e.pixels, slices.Repeat(featuretest.Images(n.Side), batch/2))
				for b.Loop() {
					e.filled = batch
					if err := e.Flush(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}
