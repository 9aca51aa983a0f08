package train

import (
	"errors"
	"math"
	"strings"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/unet"
)

// TestSelfConditionedSteps: they learn, the first pass changes what is learnt, parts
// of a batch are the whole, bfloat16 is near float32, and nothing is allocated.
func TestSelfConditionedSteps(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	const steps = 12
	curve := func(accumulate int, precision number.Type, share float64) (losses []float64, tr *Trainer) {
		tr, batches := newTrainerOf(t, accumulate, 2, precision, given(share))
		for i := range int64(steps) {
			losses = append(losses, tr.step(t, batches, i))
		}
		return losses, tr
	}
	half, _ := curve(1, number.Float32, 0.5)
	if half[steps-1] > 0.95*half[0] {
		t.Errorf("the loss went from %v to %v: nothing was learnt", half[0], half[steps-1])
	}
	if none, _ := curve(1, number.Float32, 1e-9); math.Abs(none[0]-half[0]) < 1e-6*half[0] {
		t.Errorf("loss %v with an estimate for some images, %v without", half[0], none[0])
	}
	bf16, _ := curve(1, number.BFloat16, 0.5)
	for i, want := range half[:6] { // later the paths part, as any two do
		if got := bf16[i]; got == want || !(math.Abs(got-want) <= 3e-3*want) {
			t.Errorf("step %d: loss %v in bfloat16, %v in float32", i, got, want)
		}
	}

	whole, b1 := newTrainerOf(t, 1, 2, number.Float32, given(0.5))
	parts, b4 := newTrainerOf(t, 4, 3, number.Float32, given(0.5))
	whole.step(t, b1, 0)
	parts.step(t, b4, 0)
	a, b := moment(t, whole), moment(t, parts)
	worst, scale := 0.0, 0.0
	for i, m := range a {
		worst, scale = max(worst, math.Abs(float64(m-b[i]))), max(scale, float64(m))
	}
	if worst > 1e-5*scale {
		t.Errorf("accumulated gradients are off by %.2g of %.2g", worst, scale)
	}
	tr, batches := newTrainerOf(t, 1, 1, number.Float32, given(0.5))
	tr.step(t, batches, 0)
	if n := kerneltest.Allocations(func() {
		tr.Fill(&batches[0])
		tr.runMicro(0)
	}); n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
}

// TestSelfConditioningSetting: the share may change, whether there is one may not.
func TestSelfConditioningSetting(t *testing.T) {
	s := small()
	for share, good := range map[float64]bool{0: true, 0.5: true, 1: false, -0.1: false, math.NaN(): false} {
		s.SelfConditioning = share
		e := (*SettingError)(nil)
		if err := s.Validate(); good && err != nil || !good && (!errors.As(err, &e) || e.Key != "self_conditioning") {
			t.Errorf("%v: %v", share, err)
		}
	}
	for _, c := range []struct {
		old, next float64
		breaks    bool
	}{{0, 0.5, true}, {0.5, 0, true}, {0.5, 0.9, false}} {
		a, b := small(), small()
		a.SelfConditioning, b.SelfConditioning = c.old, c.next
		if changes := a.Changes(b); len(changes) != 1 || changes[0].Breaks != c.breaks {
			t.Errorf("%v to %v: %+v", c.old, c.next, changes)
		}
	}
	config, err := Network("micro", nets.Spec{Height: 16, Width: 16, Channels: 3, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	narrow := config.(unet.Config)
	narrow.InChannels = 2
	if _, err := NewStep(StepOptions{Network: narrow, Height: 16, Width: 16, Batch: 1, Accumulate: 1}); err == nil || !strings.Contains(err.Error(), "in_channels") {
		t.Errorf("a network of 2 channels in and 3 out: %v", err)
	}
}

// TestEstimateIsKept: recomputation makes a layer again where its gradient is, but
// never the pass that x̂ comes from, and no bit depends on it.
func TestEstimateIsKept(t *testing.T) {
	var want float64
	var least, pass int64
	for _, name := range plan.RecomputationNames() {
		tr, batches := newTrainerOf(t, 1, 1, number.Float32, given(0.5))
		options := tr.StepOptions
		options.Recompute = name
		s, err := NewStep(options)
		if err != nil {
			t.Fatal(err)
		}
		d := cpuDevice(t, 1)
		memory, err := d.Alloc(s.Sizes())
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Load(d, memory)
		if err != nil {
			t.Fatal(err)
		}
		weights := make([]float32, nets.FlatSize(s.Trained.Params))
		if err := errors.Join(tr.Memory.Read(tr.Buffers.Parameters, 0, weights), memory.Write(s.Buffers.Parameters, 0, weights)); err != nil {
			t.Fatal(err)
		}
		again.step(t, batches, 0)
		loss := again.step(t, batches, 1)
		if name == "none" {
			if options.Network, err = nets.WithEstimate(options.Network, false); err != nil {
				t.Fatal(err)
			}
			options.Objective = nil
			plain, err := NewStep(options)
			if err != nil {
				t.Fatal(err)
			}
			want, least = loss, s.Cost().FLOPs
			pass = least - plain.Cost().FLOPs
			continue
		}
		if loss != want {
			t.Errorf("%s: loss %v, want %v", name, loss, want)
		}
		if more := s.Cost().FLOPs - least; more <= 0 || more > pass {
			t.Errorf("%s: %d operations more, a pass has %d", name, more, pass)
		}
	}
}
