package train

import (
	"context"
	"encoding/json"
	"fmt"

	"fluxion/nets/pyjson"
)

// noiseScale is McCandlish et al.'s ("An Empirical Model of Large-Batch Training",
// arXiv 1812.06162, appendix A): tr Σ/|G|², about the batch beyond which more images a step
// help little. A step's gradients of all B images and those of its micro-batches of b have
//
//	E|G_B|² = |G|² + tr Σ/B,  E|G_b|² = |G|² + tr Σ/b
//
// which are two equations for two numbers, of which running means are kept: each is far off
// in a single step.
type noiseScale struct {
	Steps  int64   `json:"steps"`
	Signal float64 `json:"signal"` // |G|²
	Noise  float64 `json:"noise"`  // tr Σ
}

// noiseFile is where a checkpoint keeps it, and noiseMemory how many steps it looks back.
const (
	noiseFile   = "noise_scale.json"
	noiseMemory = 100
)

// add takes the squares of the norms of a step: of all its images, and the mean of its
// micro-batches'.
func (n *noiseScale) add(all, part float64, batch, micro int) {
	big, small := float64(batch), float64(micro)
	signal := (big*all - small*part) / (big - small)
	noise := (part - all) / (1/small - 1/big)
	n.Steps++
	keep := 1 - 1/float64(min(n.Steps, noiseMemory))
	n.Signal = float64(keep*n.Signal) + float64((1-keep)*signal)
	n.Noise = float64(keep*n.Noise) + float64((1-keep)*noise)
}

// images is the scale, 0 where it is not known: there was no step, or a mean is below 0,
// as they can be by chance.
func (n *noiseScale) images() float64 {
	if n.Signal <= 0 || n.Noise < 0 {
		return 0
	}
	return n.Noise / n.Signal
}

// noiseHook measures the scale, if that is wanted.
func (r *run) noiseHook() Hook {
	h := Hook{Name: "noise scale"}
	if !r.settings.NoiseScale {
		return h
	}
	n := &r.noise
	h.Every, h.beside = 1, true
	h.After = func(_ context.Context, p Progress) error {
		n.add(p.Step.GradNorm*p.Step.GradNorm, p.Step.MicroSquares, r.settings.Batch, r.settings.Batch/r.settings.Accumulate)
		return nil
	}
	h.Keep = &Keep{File: noiseFile, Store: func() ([]byte, error) { return json.Marshal(n) }, Load: func(data []byte) (func() error, error) {
		var kept noiseScale
		if err := pyjson.Decode(data, &kept); err != nil {
			return nil, err
		}
		if kept.Steps < 0 || !finiteNumber(kept.Signal) || !finiteNumber(kept.Noise) {
			return nil, fmt.Errorf("%d steps, |G|² %g, tr Σ %g, want finite numbers and 0 steps or more", kept.Steps, kept.Signal, kept.Noise)
		}
		return func() error { *n = kept; return nil }, nil
	}}
	return h
}
