package evaluate

import (
	"fmt"
	"testing"

	"fluxion/engine/device"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/feature"
	"fluxion/nets/feature/featuretest"
)

// BenchmarkFeatures is images a second through a network, on all threads.
func BenchmarkFeatures(b *testing.B) {
	for _, n := range feature.Networks {
		for _, precision := range []number.Type{number.Float32, number.BFloat16} {
			b.Run(fmt.Sprint(n.Name, precision), func(b *testing.B) {
				d, err := device.Open("cpu", 0)
				if err != nil {
					b.Fatal(err)
				}
				defer d.Close()
				g, err := n.Build(1)
				if err != nil {
					b.Fatal(err)
				}
				const batch = 8
				e, err := NewExtractor(ExtractorOptions{
					Network: n, Weights: make([]float32, nets.FlatSize(g.Params)), Convention: Conventions[0], Outputs: []string{feature.Pooled}, Batch: batch, Device: d, Precision: precision,
				}, func(string, []float32, int) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
				defer e.Close()
				e.pixels = append(e.pixels[:0], make([]float32, len(e.pixels))...)
				copy(e.pixels, featuretest.Images(n.Side))
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
