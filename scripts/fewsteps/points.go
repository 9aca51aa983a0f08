package main

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"fluxion/data"
	"fluxion/engine/figures"
	"fluxion/kernels/philox"
)

// ring is eight Gaussians on a circle, and a network of three layers of 128: what others
// have published numbers of such sizes and lengths with lies in the gates.
var ring = set{
	name: "ring",
	open: func(r *runner) (judge, error) {
		r.data = "ring.npy"
		if err := writeNetwork(r.dir, 2, 128, 1, 1); err != nil {
			return nil, err
		}
		if err := writeRing(filepath.Join(r.dir, r.data)); err != nil {
			return nil, err
		}
		return openPoints(filepath.Join(r.dir, r.data), 1000, ringModes())
	},
	train:  []string{"--batch", "512", "--lr", "1e-3", "--warmup", "25000", "--ema", "350000", "--time-scale", "16", "--precision", "fp32"},
	sample: []string{"--count", "1000", "--batch", "500"},
	pairs:  []string{"--count", "32768", "--sampler", "heun", "--steps", "20", "--batch", "512"},
	ways:   []string{"1", "2", "4", "8", "64", "heun 32", straightness},
	methods: []method{
		{name: "flow", args: []string{"--preset", "network", "--images", steps(6000)}, ways: []string{"1", "2", "4", "8", "64", "heun 32", straightness}, gates: slices.Concat([]gate{{way: "1", least: 1.5}, {way: straightness, least: 0.8}}, within(0, 0.036, "heun 32"))},
		{name: "kd", args: []string{"--data", "pairs:pairs", "--init", "flow", "--objective", "kd", "--images", steps(3000)}, ways: []string{"1"}, gates: oneStep(0.035)},
		{name: "reflow", args: []string{"--data", "pairs:pairs", "--init", "flow", "--objective", "reflow", "--images", steps(3000)}, ways: []string{"1", "2", "4", straightness}, gates: oneStep(0.035)},
		{name: "reflow, uniform times", args: []string{"--data", "pairs:pairs", "--init", "flow", "--objective", "reflow:a=0", "--time-sampler", "uniform", "--images", steps(3000)}, ways: []string{"1", "2", "4", straightness}, gates: oneStep(0.035)},
		{name: "progressive", args: []string{"--teacher", "flow", "--objective", "progressive:from=16,to=1", "--images", steps(6000)}, ways: []string{"1", "2", "4"}, gates: oneStep(0.035), stages: true},
		{name: "consistency training", args: []string{"--init", "flow", "--objective", "consistency", "--images", steps(6000)}, ways: []string{"1", "2"}, gates: within(0, 0.055, "1")},
		{name: "consistency distillation", args: []string{"--teacher", "flow", "--objective", "consistency", "--images", steps(6000)}, ways: []string{"1", "2"}, gates: within(0, 0.055, "1")},
		{name: "flow map", args: mapped("flowmap"), ways: []string{"1", "2", "4"}, gates: within(0, 0.045, "1", "2", "4")},
		{name: "flow map, along its own velocity", args: mapped("flowmap:predicted=1"), ways: []string{"1", "2", "4"}},
		{name: "flow map of the flow", args: []string{"--teacher", "flow", "--objective", "flowmap", "--images", steps(6000)}, ways: []string{"1", "2", "4"}, gates: within(0, 0.045, "1", "2", "4")},
		{name: "flow map, no share of ends", args: mapped("flowmap:ends=0"), ways: []string{"1", "2", "4"}},
		{name: "flow map, adaptive weights p = 0.75", args: mapped("flowmap:p=0.75"), ways: []string{"1", "2", "4"}},
		{name: "shortcut", args: mapped("shortcut"), ways: []string{"1", "2", "4"}, gates: within(0, 0.055, "1", "2", "4")},
		{name: "shortcut, a quarter, of the average", args: append(mapped("shortcut:share=0.25"), "--target", "ema"), ways: []string{"1", "2", "4"}},
		{name: "shortcut of any length", args: mapped("shortcut:levels=0"), ways: []string{"1", "2", "4"}, gates: within(0, 0.055, "1", "2", "4")},
		{name: "lagrangian", args: mapped("lagrangian"), ways: []string{"1", "2", "4"}, gates: within(0, 0.045, "1", "2", "4")},
		{name: "lagrangian, the derivative in the target", args: mapped("lagrangian:through=0"), ways: []string{"1", "2", "4"}},
		{name: "flow with coupling ot", args: []string{"--preset", "network", "--coupling", "ot", "--batch", "256", "--images", steps(2000)}, ways: []string{"1", "2", "4", "8", "64", straightness}, gates: slices.Concat(within(0, 0.06, "1"), within(0, 0.02, straightness))},
		{name: "flow with coupling nearest:4", args: []string{"--preset", "network", "--coupling", "nearest:4", "--batch", "256", "--images", steps(2000)}, ways: []string{"1", "2", "4", "8", "64"}},
	},
	check: func(t table) (failed []string) {
		for _, defaults := range []string{"no share of ends", "adaptive weights p = 0.75"} {
			if ours, other := t["flow map"]["1"], t["flow map, "+defaults]["1"]; ours != nil && other != nil && ours[0] > other[0] {
				failed = append(failed, fmt.Sprintf("a flow map is at %.4f in one step, and with %s better, at %.4f: then that should be the default", ours[0], defaults, other[0]))
			}
		}
		return failed
	},
}

// straightness is no way of sampling, but how straight the ways of a velocity are.
const straightness = "straightness"

// straightness of the ways of some points.
func (r runner) straightness(folder string) (mean float64, err error) {
	const count, finest = 500, 32
	paths := make([][][]float64, count)
	for i := range paths {
		var noise [2]float32
		philox.Normal(noise[:], 0, philox.SampleStart, uint64(i), 0)
		paths[i] = [][]float64{{float64(noise[0]), float64(noise[1])}}
	}
	grid := "t:1"
	for k := range finest {
		t := 1 - float64(k+1)/finest
		grid += fmt.Sprintf(",%g", t)
		out := fmt.Sprintf("%s-way-%d.npz", folder, k+1)
		if err := r.call("sample", "--model", folder, "--out", out, "--count", fmt.Sprint(count), "--batch", "500", "--sampler", "euler", "--grid", grid); err != nil {
			return 0, err
		}
		states, err := readPoints(filepath.Join(r.dir, out), 0, count)
		if err != nil {
			return 0, err
		}
		for i, s := range states { // sample gives z/α where its grid ends before the data
			paths[i] = append(paths[i], []float64{(1 - t) * s[0], (1 - t) * s[1]})
		}
	}
	for _, path := range paths {
		mean += figures.Straightness(path) / count
	}
	return mean, nil
}

// steps are so many of 512 images.
func steps(n int) string { return fmt.Sprint(512 * n) }

// oneStep is the gate of methods that lead to the data in one step.
func oneStep(most float64) []gate {
	return append(within(0, most, "1"), gate{way: "1", number: 1, least: 80})
}

// mapped is a flow map from the beginning.
func mapped(objective string) []string {
	return []string{"--preset", "network", "--objective", objective, "--images", steps(12000)}
}

// grid is twenty-five Gaussians, and the preset for points.
var grid = set{
	name: "grid",
	open: func(r *runner) (judge, error) {
		r.data = "toy:grid"
		return openPoints(r.data, 500, nil)
	},
	train:  []string{"--batch", "256", "--lr", "1e-3", "--warmup", "5000"},
	sample: []string{"--count", "500", "--batch", "250"},
	pairs:  []string{"--count", "30000", "--sampler", "heun", "--steps", "20", "--batch", "512"},
	ways:   []string{"1", "2", "4", "8", "64"},
	methods: []method{
		{name: "flow", args: []string{"--preset", "mlp", "--images", "800000"}, ways: []string{"1", "2", "4", "8", "64"}, gates: []gate{{way: "1", least: 0.5}}},
		{name: "reflow", args: []string{"--data", "pairs:pairs", "--init", "flow", "--objective", "reflow", "--images", "300000"}, ways: []string{"1", "2", "4"}, gates: within(0, 0.15, "1")},
		{name: "kd", args: []string{"--data", "pairs:pairs", "--init", "flow", "--objective", "kd", "--images", "300000"}, ways: []string{"1"}, gates: within(0, 0.15, "1")},
		{name: "progressive", args: []string{"--teacher", "flow", "--objective", "progressive:from=16,to=1", "--images", "300000"}, ways: []string{"1"}, gates: within(0, 0.15, "1")},
		{name: "consistency training", args: []string{"--init", "flow", "--objective", "consistency", "--images", "300000"}, ways: []string{"1", "2"}, gates: within(0, 0.3, "1")},
		{name: "consistency distillation", args: []string{"--teacher", "flow", "--objective", "consistency", "--images", "300000"}, ways: []string{"1", "2"}, gates: within(0, 0.3, "1")},
		{name: "consistency training, iCT's grid and loss", args: []string{"--init", "flow", "--objective", "consistency:first=10,last=160", "--loss", "huber:c=0.03", "--images", "300000"}, ways: []string{"1", "2"}, gates: within(0, 0.3, "1")},
		{name: "flow map of the flow", args: []string{"--init", "flow", "--objective", "flowmap", "--images", "300000"}, ways: []string{"1", "2", "4"}, gates: within(0, 0.3, "1")},
		{name: "flow map of the flow, improved MeanFlow", args: []string{"--init", "flow", "--objective", "flowmap:predicted=1", "--images", "300000"}, ways: []string{"1", "2", "4"}, gates: within(0, 0.3, "1")},
		{name: "flow map of the flow, Align Your Flow", args: []string{"--teacher", "flow", "--objective", "flowmap:norm=0.1,warmup=0.1", "--images", "300000"}, ways: []string{"1", "2", "4"}, gates: within(0, 0.3, "1")},
		{name: "flow map of the flow, sCT", args: []string{"--init", "flow", "--objective", "flowmap:same=0,data=1,norm=0.1,warmup=0.1", "--images", "300000"}, ways: []string{"1", "2", "4"}, gates: within(0, 0.3, "1")},
		{name: "flow map", args: []string{"--preset", "mlp", "--objective", "flowmap", "--precision", "fp32", "--images", "800000"}, ways: []string{"1", "2", "4"}, gates: within(0, 0.3, "1")},
		{name: "shortcut", args: []string{"--preset", "mlp", "--objective", "shortcut", "--precision", "fp32", "--images", "800000"}, ways: []string{"1", "2", "4"}, gates: within(0, 0.3, "1")},
		{name: "shortcut, a quarter, of the average", args: []string{"--preset", "mlp", "--objective", "shortcut:share=0.25", "--target", "ema", "--precision", "fp32", "--images", "800000"}, ways: []string{"1", "2", "4"}, gates: within(0, 0.3, "1")},
		{name: "lagrangian", args: []string{"--preset", "mlp", "--objective", "lagrangian", "--precision", "fp32", "--images", "800000"}, ways: []string{"1", "2", "4"}, gates: within(0, 0.3, "1")},
		{name: "flow with coupling ot", args: []string{"--preset", "mlp", "--coupling", "ot", "--images", "800000"}, ways: []string{"1", "2", "4", "8"}, gates: within(0, 0.3, "1")},
	},
	check: func(table) []string { return nil },
}

// points judge points: by the exact squared Wasserstein distance, and by the share, in
// per cent, that is within three deviations of a mode.
type points struct {
	real  [][]float64
	modes [][2]float64
	floor []float64 // what is said of other points of the data
}

func openPoints(spec string, count int, modes [][2]float64) (*points, error) {
	p := &points{modes: modes}
	var err error
	if p.real, err = readPoints(spec, 0, count); err != nil {
		return nil, err
	}
	others, err := readPoints(spec, count, count)
	if err != nil {
		return nil, err
	}
	p.floor = p.of(others)
	return p, nil
}

func (p *points) about() string {
	text := fmt.Sprintf("W₂² of %d samples to as many points; points to others %.4f", len(p.real), p.floor[0])
	if p.modes != nil {
		text += fmt.Sprintf("; and the share of samples that is within three deviations of a mode, in per cent, of points %.1f", p.floor[1])
	}
	return text
}

func (p *points) judge(samples string) ([]float64, error) {
	made, err := readPoints(samples, 0, len(p.real))
	if err != nil {
		return nil, err
	}
	return p.of(made), nil
}

func (p *points) of(made [][]float64) []float64 {
	numbers := []float64{figures.Transport(made, p.real)}
	if p.modes != nil {
		near := 0.0
		for _, x := range made {
			if slices.ContainsFunc(p.modes, func(m [2]float64) bool { return math.Hypot(x[0]-m[0], x[1]-m[1]) <= 3*ringDeviation }) {
				near += 100 / float64(len(made))
			}
		}
		numbers = append(numbers, near)
	}
	return numbers
}

// The ring of eight Gaussians.
const (
	ringRadius    = 1.5
	ringDeviation = 0.12
	ringPoints    = 100_000
)

func ringModes() (modes [][2]float64) {
	for k := range 8 {
		sin, cos := math.Sincos(2 * math.Pi * float64(k) / 8)
		modes = append(modes, [2]float64{ringRadius * cos, ringRadius * sin})
	}
	return modes
}

func writeRing(path string) error {
	modes, rng := ringModes(), rand.New(rand.NewPCG(1, 2))
	var all []float32
	for i := range ringPoints {
		m := modes[i%len(modes)]
		all = append(all, float32(m[0]+ringDeviation*rng.NormFloat64()), float32(m[1]+ringDeviation*rng.NormFloat64()))
	}
	var b bytes.Buffer
	if err := data.WriteNPY(&b, data.Array{Shape: []int{ringPoints, 1, 1, 2}, Floats: all}); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o666)
}

// writeNetwork writes the folder of a perceptron for images of a side.
func writeNetwork(dir string, channels, hidden, blocks, side int) error {
	folder := filepath.Join(dir, "network")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	text := fmt.Sprintf(`{"_class_name": "FluxionMLP", "channels": %d, "hidden_size": %d, "num_blocks": %d, "sample_size": %d}`, channels, hidden, blocks, side)
	return os.WriteFile(filepath.Join(folder, "config.json"), []byte(text+"\n"), 0o666)
}

// readPoints reads points from one on.
func readPoints(spec string, first, count int) (points [][]float64, err error) {
	d, err := data.Open(spec, data.Options{})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	e := data.NewExample(d)
	for i := range count {
		if err := d.Read(first+i, e); err != nil {
			return nil, err
		}
		var p []float64
		for _, x := range e.Floats {
			p = append(p, float64(x))
		}
		points = append(points, p)
	}
	return points, nil
}
