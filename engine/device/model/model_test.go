package model_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"fluxion/engine/device"
	"fluxion/engine/device/model"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/number"
	"fluxion/nets/catalog"
)

// fill is a call of a kernel that does nothing but move bytes.
func fill(blocks int, sectors int64) model.Call {
	m := cuda.NewModule("pointwise", "")
	return model.Call{
		Call:     cuda.Call{Module: m, Function: "pointwise_add_bf16", Grid: [3]int{blocks, 1, 1}, Block: [3]int{256, 1, 1}},
		Counters: sim.Counters{GlobalLoads: sim.Traffic{Sectors: sectors / 2}, GlobalStores: sim.Traffic{Sectors: sectors / 2}},
	}
}

// What is bound by memory takes bytes over the rate that is reached, and more bytes more.
func TestMemoryBound(t *testing.T) {
	for _, card := range cuda.Cards() {
		const bytes = 1 << 30
		b, err := model.Estimate(card, fill(1<<16, bytes/32), bytes)
		if err != nil {
			t.Fatal(err)
		}
		if want := bytes / (0.82 * float64(card.Bandwidth)); math.Abs(b.Seconds/want-1) > 0.02 || b.Largest() != "memory" {
			t.Errorf("%s: %.3g s, bound by %s, want %.3g by memory", card.Name, b.Seconds, b.Largest(), want)
		}
		if cached, err := model.Estimate(card, fill(1<<16, bytes/32), 0); err != nil || cached.Seconds >= b.Seconds || cached.Largest() != "L2" {
			t.Errorf("%s: from the second cache %.3g s, bound by %s, %v", card.Name, cached.Seconds, cached.Largest(), err)
		}
	}
}

// A block more than the card holds side by side is another round.
func TestRounds(t *testing.T) {
	card, err := cuda.CardNamed("rtx5090")
	if err != nil {
		t.Fatal(err)
	}
	work := func(blocks int) float64 {
		call := fill(blocks, 0)
		call.Counters.TensorFLOPs = int64(blocks) * 1e9
		b, err := model.Estimate(card, call, 0)
		if err != nil {
			t.Fatal(err)
		}
		return b.Seconds
	}
	if even, more := work(6*170), work(6*170+1); more < 1.12*even || more > 1.2*even {
		t.Errorf("%.3g s for 6 blocks a multiprocessor, %.3g for one more", even, more)
	}
}

func TestUnknownFunction(t *testing.T) {
	call := fill(1, 0)
	call.Function = "nothing"
	if _, err := model.Estimate(cuda.Cards()[0], call, 0); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("%v", err)
	}
}

// Every card runs a sampling step; each kernel is counted, and what moves is at least the operands.
func TestSteps(t *testing.T) {
	preset, err := catalog.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	for _, card := range cuda.Cards() {
		s, err := generate.NewStep(generate.Options{Network: preset.Network, Height: 8, Width: 8, Batch: 2, Target: device.CUDATarget{Card: card}, Precision: number.BFloat16, Prepare: true})
		if err != nil {
			t.Fatal(err)
		}
		counts, err := model.Count(context.Background(), []*plan.Plan{s.Plan}, 2)
		if err != nil {
			t.Fatal(err)
		}
		step, err := counts.Step(card, 0, s.Plan)
		if err != nil {
			t.Fatal(err)
		}
		base := map[*plan.Buffer]cuda.Address{}
		for i, b := range s.Plan.Sizes.Buffers() {
			base[b] = cuda.Address(i+1) << 32
		}
		calls, _, err := device.Calls(s.Plan, base)
		if err != nil {
			t.Fatal(err)
		}
		kernels := 0
		for _, c := range calls {
			kernels += len(c)
		}
		times, seconds := 0, 0.0
		for _, l := range step.Launches {
			times += l.Times
			seconds += l.Bounds.Seconds
		}
		if step.Kernels != kernels || times != len(s.Plan.Launches) || math.Abs(seconds-step.Bounds.Seconds) > 1e-9 {
			t.Errorf("%s: %d kernels of %d launches in %g s, the plan has %d of %d, the launches take %g", card.Name, step.Kernels, times, step.Bounds.Seconds, kernels, len(s.Plan.Launches), seconds)
		}
		if step.Bytes < step.Ideal || step.Memory > float64(step.Bytes) || step.Bounds.Seconds < float64(kernels)*2e-6 {
			t.Errorf("%s: %d bytes of %d, %g of memory, %g s", card.Name, step.Bytes, step.Ideal, step.Memory, step.Bounds.Seconds)
		}
	}
}

// The model is held against what others measured: where it is of the same instructions it is not
// off by a quarter, and NVIDIA's own products by wgmma are not much slower than what it says of ours.
func TestPublished(t *testing.T) {
	checks, err := model.Published(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		t.Log(c)
		if !c.Apart && math.Abs(c.Error) > 0.25 {
			t.Errorf("%v", c)
		}
		if strings.Contains(c.How, "wgmma") && c.Error > 0.1 {
			t.Errorf("faster than NVIDIA's libraries: %v", c)
		}
	}
	if typical := model.Typical(checks); typical <= 0 || typical > 0.2 {
		t.Errorf("the model is off by %.2f typically", typical)
	}
}
