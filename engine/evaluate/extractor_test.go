package evaluate

import (
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/device"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/feature"
	"fluxion/nets/feature/featuretest"
)

func newExtractor(t testing.TB, n feature.Network, batch, threads int, precision number.Type, outputs []string, visit func(output string, rows []float32, dim int) error) *Extractor {
	t.Helper()
	weights := func(params []nets.Param) ([]float32, error) { return n.Weights(formula(t, n), params) }
	return newExtractorOf(t, n, weights, batch, threads, precision, outputs, visit)
}

// formula is weights of a network.
func formula(t testing.TB, n feature.Network) featuretest.Formula {
	t.Helper()
	blocks, ok := map[string]int{"dinov2": 24, "dinov2-b": 12, "dinov2-s": 12}[n.Name]
	if !ok {
		return featuretest.Read(t, n.Name)
	}
	return featuretest.DINOv2(t, n.Dim, blocks)
}

func newExtractorOf(t testing.TB, n feature.Network, read func([]nets.Param) ([]float32, error), batch, threads int, precision number.Type, outputs []string, visit func(output string, rows []float32, dim int) error) *Extractor {
	t.Helper()
	d, err := device.Open("cpu", threads)
	if err != nil {
		t.Fatal(err)
	}
	g, err := n.Build(1)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := read(g.Params)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ConventionOf(n, "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewExtractor(ExtractorOptions{Network: n, Weights: weights, Convention: c, Outputs: outputs, Batch: batch, Device: d, Precision: precision}, visit)
	if err == nil {
		err = e.Load()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestFeatures: of the same weights and images, what torch-fidelity's Inception,
// EfficientNet's authors' code, timm's vision transformer and PyTorch say in float64.
func TestFeatures(t *testing.T) {
	tested := slices.DeleteFunc(slices.Clone(feature.Networks), func(n feature.Network) bool { return strings.HasPrefix(n.Name, "dinov2") })
	for _, n := range append(tested, feature.DINOv2("dinov2-test", "two blocks of ViT-S/14", 384, 2)) {
		check(t, n, n.Name, func(params []nets.Param) ([]float32, error) { return n.Weights(featuretest.Read(t, n.Name), params) })
		if n.Embedded() != nil {
			check(t, n, "embedded", n.EmbeddedWeights)
		}
	}
}

func check(t *testing.T, n feature.Network, oracle string, weights func([]nets.Param) ([]float32, error)) {
	t.Helper()
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		got := map[string][]float32{}
		e := newExtractorOf(t, n, weights, 2, 2, precision, n.Outputs, func(output string, rows []float32, dim int) error {
			got[output] = append(got[output], rows...)
			return nil
		})
		copy(e.pixels, featuretest.Images(n.Side))
		e.filled = 2
		if err := e.Flush(); err != nil {
			t.Fatal(err)
		}
		budget := map[number.Type]float64{number.Float32: 1e-5, number.BFloat16: 0.05}[precision]
		for name, want := range featuretest.Outputs(t, oracle) {
			if d := difference(got[name], want); !(d < budget) {
				t.Errorf("%s, %v: %s differs by %.2g, want at most %g", oracle, precision, name, d, budget)
			} else {
				t.Logf("%s, %v: %s differs by %.2g", oracle, precision, name, d)
			}
		}
	}
}

// difference is relative, in the Euclidean norm.
func difference(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	sum, whole := 0.0, 0.0
	for i, v := range a {
		sum += (float64(v) - float64(b[i])) * (float64(v) - float64(b[i]))
		whole += float64(b[i]) * float64(b[i])
	}
	return math.Sqrt(sum / whole)
}
