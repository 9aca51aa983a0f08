package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
)

// TestNoiseScale: of gradients that are one vector and noise of known covariance.
func TestNoiseScale(t *testing.T) {
	const batch, micro, dim, steps = 32, 8, 50, 400
	rng := rand.New(rand.NewPCG(1, 2))
	var n noiseScale
	for range steps {
		var part float64
		mean := make([]float64, dim)
		for range batch / micro {
			squares := 0.0
			for k := range mean {
				g := 0.2 + 2*rng.NormFloat64()/math.Sqrt(micro) // |G|² = 2, tr Σ = 200
				squares += g * g
				mean[k] += g * micro / batch
			}
			part += squares * micro / batch
		}
		all := 0.0
		for _, g := range mean {
			all += g * g
		}
		n.add(all, part, batch, micro)
	}
	if math.Abs(n.Noise-200) > 10 || math.Abs(n.Signal-2) > 0.8 || n.images() != n.Noise/n.Signal {
		t.Errorf("|G|² is %v, tr Σ %v; want about 2 and 200", n.Signal, n.Noise)
	}
	if (&noiseScale{Signal: -1, Noise: 1}).images() != 0 {
		t.Error("a mean below 0 is a scale")
	}
}

// TestNoiseScaleRun: it stands in the statistics, goes on to the bit, leaves the weights as
// they are without it, and wants micro-batches.
func TestNoiseScaleRun(t *testing.T) {
	s := small()
	s.Data, s.Preset, s.Size = "toy:moons", "mlp", data.Size{}
	s.Images, s.Batch, s.Accumulate, s.CheckpointEvery, s.SampleCount = 128, 16, 4, 64, 0
	train := func(s Settings, stops bool) string {
		dir := t.TempDir()
		o, rec := options(t, s, dir)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if stops {
			rec.onSave = cancel
			if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			rec.onSave = nil
		}
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	plain := files(t, train(s, false))
	s.NoiseScale = true
	dir := train(s, false)
	measured := files(t, dir)
	same(t, files(t, train(s, true)), measured)
	for name, text := range plain {
		if filepath.Ext(name) == ".safetensors" && string(measured[name]) != string(text) {
			t.Errorf("%s is another one", name)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "stats.jsonl")); err != nil || !strings.Contains(string(text), `"noise_scale":`) {
		t.Errorf("%s, %v", text, err)
	}
	s.Accumulate = 1
	var e *SettingError
	if err := s.Validate(); !errors.As(err, &e) || e.Key != "gradient_noise_scale" {
		t.Errorf("without micro-batches: %v", err)
	}
}
