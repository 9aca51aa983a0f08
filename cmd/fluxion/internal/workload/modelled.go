package workload

import (
	"context"
	"fmt"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/engine/device"
	"fluxion/engine/device/model"
	"fluxion/engine/plan"
	"fluxion/engine/train"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// Modelled is a step as a model of a card has it. Nothing of it was measured.
type Modelled struct {
	Card        cuda.Card
	Network     nets.Network
	Activations number.Type
	Planned     int64 // bytes
	FLOPs       int64 // of a step, without what is computed again
	Step        model.Step
	Checks      []model.Check
}

// modelPrefix begins the name of a device that is a model of a card.
const modelPrefix = "model:"

// IsModel says whether --device names a model of a card.
func (o Options) IsModel() bool { return strings.HasPrefix(o.Device, modelPrefix) }

// Model estimates a step on the card that the options name.
func (o Options) Model(ctx context.Context, training bool) (m Modelled, err error) {
	if m.Card, err = device.CardNamed(strings.TrimPrefix(o.Device, modelPrefix)); err != nil {
		return m, fault.Usagef("--device %s: %w", o.Device, err)
	}
	if m.Network, err = o.Resolve(); err != nil {
		return m, err
	}
	target := device.CUDATarget{Card: m.Card}
	if m.Activations, err = device.Precision(o.Precision, target); err != nil {
		return m, fault.Usagef("--precision: %w", err)
	}
	p, sizes, err := o.plan(m, training)
	if err != nil {
		return m, err
	}
	if m.Planned = sizes.Bytes(); m.Planned > usable(m.Card) {
		return m, fault.Usage(o.tooLarge(m, training))
	}
	counts, err := model.Count(ctx, []*plan.Plan{p}, blocksCounted)
	if err != nil {
		return m, err
	}
	if m.Step, err = counts.Step(m.Card, 0, p); err != nil {
		return m, err
	}
	m.FLOPs = p.Cost().FLOPs - p.Recomputed().FLOPs
	m.Checks, err = model.Published(ctx)
	return m, err
}

// blocksCounted is how many blocks of a launch the simulator runs.
const blocksCounted = 4

func (o Options) plan(m Modelled, training bool) (*plan.Plan, plan.Sizes, error) {
	target := device.CUDATarget{Card: m.Card}
	if training {
		s, settings, err := o.training(m.Network, target, m.Activations)
		if err != nil {
			return nil, nil, err
		}
		s.Hold()
		s.Hyper(train.Hyper{Settings: settings, LearningRate: 1e-4, Count: 1, EMADecays: [train.MaxEMAs]float64{0.99}})
		return s.Micro, s.Sizes(), nil
	}
	s, err := o.sampling(m.Network, target, m.Activations)
	if err != nil {
		return nil, nil, err
	}
	s.Busiest()
	return s.Plan, s.Sizes(), nil
}

// usable is what a driver leaves of a card's memory: it keeps a context and the code of
// kernels, some 500 MB.
func usable(c cuda.Card) int64 { return c.Memory - 500<<20 }

// tooLarge says what of the step would fit: with another recomputation, in bf16, with fewer images.
func (o Options) tooLarge(m Modelled, training bool) error {
	var fits []string
	try := func(o Options, m Modelled) bool {
		_, sizes, err := o.plan(m, training)
		return err == nil && sizes.Bytes() <= usable(m.Card)
	}
	if training {
		for _, name := range plan.RecomputationNames() {
			other := o
			if other.Recompute = name; name != o.Recompute && try(other, m) {
				fits = append(fits, "--recompute "+name)
				break
			}
		}
	}
	if m.Activations == number.Float32 {
		narrow := m
		if narrow.Activations = number.BFloat16; try(o, narrow) {
			fits = append(fits, "--precision bf16")
		}
	}
	least := device.Largest(o.Batch, func(n int) bool {
		other := o
		other.Batch = n
		return try(other, m)
	})
	if least > 0 {
		fits = append(fits, fmt.Sprintf("--batch %d", least))
	}
	return fmt.Errorf("--device %s: the step needs %.1f GiB, the card has %.1f that programs can use; %s", o.Device, float64(m.Planned)/(1<<30), float64(usable(m.Card))/(1<<30), device.WouldFit(fits))
}
