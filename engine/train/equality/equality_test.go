package equality

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/train"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/number"
	"fluxion/nets"
)

const classes = 10

// open opens a device. Each test has one at a time: drivers allow no second one.
func open(t *testing.T, name string) (d device.Device, done func()) {
	t.Helper()
	t.Setenv(device.Variable, cudatest.Name())
	d, err := device.Open(name, 2)
	if err != nil {
		t.Fatal(err)
	}
	return d, func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// weights are the same for every device; no layer is silent.
func weights(params []nets.Param) []float32 {
	flat := make([]float32, nets.FlatSize(params))
	nets.Initialise(params, 3, flat)
	for _, p := range params {
		for i := range p.Size() {
			flat[p.Offset+i] += float32(i%7-3) * 0.01
		}
	}
	return flat
}

// curve trains on a device and returns the loss and the norm of the gradients of
// every step; without a network, it is that of the package.
func curve(t *testing.T, deviceName string, o train.StepOptions, steps int) (losses, norms []float64) {
	t.Helper()
	d, done := open(t, deviceName)
	defer done()
	if o.Network == nil {
		o.Network = network(t)
	}
	o.Height, o.Width, o.Target = size, size, d.Target()
	settings := train.Default()
	settings.WeightDecay, settings.Batch = 0.01, o.Batch*o.Accumulate
	if o.Optimizer != "" {
		settings.Optimizer = o.Optimizer
		settings = settings.Switched(train.Default(), func(string) bool { return false })
	}
	if o.Network.Spec().Estimate {
		settings.SelfConditioning = 0.5
	}
	var err error
	if o.Objective == nil {
		o.Objective, err = train.NewObjective(settings, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	o.Seed, o.LabelDrop, o.NullClass = settings.Seed, settings.LabelDrop, classes
	s, err := train.NewStep(o)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := d.Alloc(s.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := s.Load(d, memory)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(trainer.Free(), memory.Free()); err != nil {
			t.Error(err)
		}
	}()
	first := weights(s.Trained.Params)
	if err := errors.Join(memory.Write(s.Buffers.Parameters, 0, first), memory.Write(s.Buffers.EMA, 0, first), trainer.Refresh()); err != nil {
		t.Fatal(err)
	}
	next, stop := images(t, memory, s)
	defer stop()
	for step := range int64(steps) {
		hyper := train.Hyper{Settings: settings, LearningRate: 1e-3, Count: step + 1, EMADecays: [train.MaxEMAs]float64{0.9}}
		outcome, err := trainer.Train(hyper, func(int) error { trainer.Fill(next()); return nil })
		if err != nil {
			t.Fatal(err)
		}
		trainer.Observe()
		losses, norms = append(losses, outcome.Loss), append(norms, outcome.GradNorm)
	}
	return losses, norms
}

// images are those of a run: brought with every batch, or put on the device before.
func images(t *testing.T, memory device.Memory, s *train.Step) (next func() *data.Batch, stop func()) {
	t.Helper()
	set := glyphs(t)
	if s.Network.Spec().Concat > 0 {
		set = pairedGlyphs(t)
	}
	var err error
	lo := data.LoaderOptions{Batch: s.Batch, Seed: 1, Flip: true}
	var stream data.Stream
	if s.Resident > 0 {
		stream, err = data.NewResident(context.Background(), set, lo, func(first int, pixels, inputs data.Pixels) error {
			err := memory.WriteBytes(s.Buffers.Images, first*size*size*3, pixels.Bytes)
			if inputs.Len() > 0 {
				err = errors.Join(err, memory.WriteBytes(s.Buffers.Inputs, first*size*size, inputs.Bytes))
			}
			return err
		})
	} else {
		stream, err = data.NewLoader(set, lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() *data.Batch {
		b, err := stream.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Release(b)
		return &data.Batch{
			Pixels: data.Pixels{Bytes: slices.Clone(b.Pixels.Bytes)}, Inputs: data.Pixels{Bytes: slices.Clone(b.Inputs.Bytes)}, Classes: slices.Clone(b.Classes), Indices: slices.Clone(b.Indices), Sources: b.Sources, Flips: b.Flips,
		}
	}, stream.Close
}

// few is the beginning of a data set.
type few struct {
	data.Dataset
	n int
}

func (f few) Len() int { return f.n }

// near reports how far two curves are apart, relative to the second.
func near(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	worst := 0.0
	for i, w := range want {
		if e := math.Abs(got[i]-w) / math.Abs(w); !(e <= worst) {
			worst = e
		}
	}
	t.Logf("%s: at most %.2g apart over %d steps", what, worst, len(want))
	if !(worst <= tolerance) {
		t.Errorf("%s: %.2g apart, want at most %g:\n%v\n%v", what, worst, tolerance, got, want)
	}
}

// TestTraining: some steps, twenty on real GPUs, have the same loss curve on both devices.
func TestTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	base := train.StepOptions{Batch: 2, Accumulate: 1}
	cpuLoss, cpuNorm := curve(t, "cpu", base, steps)
	if cpuLoss[0] == cpuLoss[steps-1] {
		t.Fatal("nothing was learnt")
	}
	resident := base
	resident.Resident, resident.Flip = 40, true
	loss, norm := curve(t, "cuda:0", resident, steps)
	near(t, "loss in float32", loss, cpuLoss, 1e-5)
	near(t, "norm in float32", norm, cpuNorm, 1e-4)

	bf16 := base
	bf16.Precision = number.BFloat16
	bf16Loss, _ := curve(t, "cpu", bf16, steps)
	near(t, "loss in bfloat16 against float32, CPU", bf16Loss, cpuLoss, 2e-3)
	loss, _ = curve(t, "cuda:0", bf16, bf16Steps)
	near(t, "loss in bfloat16", loss, bf16Loss[:bf16Steps], 2e-3)
}

// TestAccumulation: a step of two micro-batches, images brought along.
func TestAccumulation(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	o := train.StepOptions{Batch: 1, Accumulate: 2}
	want, wantNorm := curve(t, "cpu", o, 3)
	got, norm := curve(t, "cuda:0", o, 3)
	near(t, "loss", got, want, 1e-5)
	near(t, "norm", norm, wantNorm, 1e-4)
}

// TestSampling: the same pictures, with guidance and without, with noise in
// every step and without.
func TestSampling(t *testing.T) {
	cases := []struct {
		sampler   string
		guidance  generate.Guidance
		precision number.Type
		tolerance int // 8-bit levels
	}{
		{"ddpm", generate.Guidance{Scale: 1}, number.Float32, 1}, {"euler", generate.Guidance{Scale: 2.5}, number.Float32, 1},
		{"euler", generate.Guidance{Scale: 2.5, Rescale: 0.7, Percentile: 0.9}, number.Float32, 1}, {"ddim", generate.Guidance{Scale: 1}, number.BFloat16, 8},
	}
	if testing.Short() {
		cases = cases[2:3]
	}
	for _, c := range cases {
		want := pictures(t, "cpu", c.sampler, c.guidance, c.precision, nil)
		got := pictures(t, "cuda:0", c.sampler, c.guidance, c.precision, nil)
		worst := 0
		for i := range want {
			worst = max(worst, int(want[i])-int(got[i]), int(got[i])-int(want[i]))
		}
		t.Logf("%s, guidance %v, %v: at most %d levels apart", c.sampler, c.guidance, c.precision, worst)
		if worst > c.tolerance || len(got) != len(want) {
			t.Errorf("%s, guidance %v, %v: %d levels apart, want at most %d", c.sampler, c.guidance, c.precision, worst, c.tolerance)
		}
		if slices.Max(want) < 150 || slices.Min(want) > 100 {
			t.Errorf("%s: pictures without contrast", c.sampler)
		}
	}
}

// TestInpainting: the same pictures where a picture is given and half of it kept.
func TestInpainting(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	p := &generate.Picture{Values: make([]float32, size*size*3), Mask: make([]float32, size*size*3)}
	for i := range p.Values {
		p.Values[i], p.Mask[i] = float32(i%5)/4-0.5, float32(i%2)
	}
	guidance := generate.Guidance{Scale: 2}
	want := pictures(t, "cpu", "ddim", guidance, number.Float32, p)
	got := pictures(t, "cuda:0", "ddim", guidance, number.Float32, p)
	for i, w := range want {
		if d := int(w) - int(got[i]); d < -1 || d > 1 {
			t.Fatalf("pixel %d is %d on the GPU, %d on the CPU", i, got[i], w)
		}
	}
}

// pictures samples three images in batches of two.
func pictures(t *testing.T, deviceName, method string, guidance generate.Guidance, precision number.Type, picture *generate.Picture) []byte {
	t.Helper()
	return picturesOf(t, network(t), deviceName, method, guidance, precision, picture)
}

func picturesOf(t *testing.T, n nets.Network, deviceName, method string, guidance generate.Guidance, precision number.Type, picture *generate.Picture) []byte {
	t.Helper()
	d, done := open(t, deviceName)
	defer done()
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	m, err := sampler.Get(method)
	if err != nil {
		t.Fatal(err)
	}
	table, err := m.Plan(p, sampler.Options{Steps: 3})
	if err != nil {
		t.Fatal(err)
	}
	step, err := generate.NewStep(generate.Options{
		Network: n, Height: size, Width: size, Batch: 2, Guided: guidance.Scale != 1, Inpaint: picture != nil, Reduced: guidance.Reduces(), Calls: 2, Target: d.Target(), Precision: precision,
	})
	if err != nil {
		t.Fatal(err)
	}
	memory, err := d.Alloc(step.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	g, err := step.Load(d, memory)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(g.Free(), memory.Free()); err != nil {
			t.Error(err)
		}
	}()
	if err := memory.Write(step.Weights, 0, weights(step.Graph.Params)); err != nil {
		t.Fatal(err)
	}
	var all []byte
	r := generate.Request{
		Table: table, Seed: 5, Seeds: []int64{7, 3, 11}, Classes: []int{1, 2, 3}, NullClass: classes, Guidance: guidance, Picture: picture, Clip: true,
	}
	if err := g.Run(context.Background(), r, func(_ int, s generate.Sample) error {
		pixels := s.Pixels
		all = append(all, pixels...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestOptimizers: steps of each have the same loss curve on both devices, with weights
// that do not decay; in bf16 too, where the copy of the weights must follow.
func TestOptimizers(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	o := train.StepOptions{Batch: 1, Accumulate: 1, DecayOf: "matrices"}
	for _, o.Optimizer = range []string{"adam", "radam", "sgd", "lion", "muon"} {
		want, wantNorm := curve(t, "cpu", o, 2)
		got, norm := curve(t, "cuda:0", o, 2)
		near(t, "loss of "+o.Optimizer, got, want, 1e-5)
		near(t, "norm of "+o.Optimizer, norm, wantNorm, 1e-4)
	}
	o.Precision = number.BFloat16
	want, _ := curve(t, "cpu", o, 2)
	got, _ := curve(t, "cuda:0", o, 2)
	near(t, "loss in bfloat16", got, want, 2e-3)
}
