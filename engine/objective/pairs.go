package objective

import (
	"fmt"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/philox"
)

// paired says that an objective wants pairs and got none.
func (s Setup) paired(name string) error {
	if s.Paired {
		return nil
	}
	return fmt.Errorf("objective %s learns from pairs of noise and image; want --data pairs:FOLDER, which fluxion pairs makes of a model", name)
}

// newReflow is X. Liu, C. Gong, Q. Liu, "Flow Straight and Fast" (2022): denoising of
// what a model made, with the noise that it made it of. Times are those of S. Lee, Z. Lin,
// G. Fanti, "Improving the Training of Rectified Flows" (2024).
func newReflow(s Setup, p process.Parameters) (Objective, error) {
	if err := s.paired("reflow"); err != nil {
		return nil, err
	}
	if a := p["a"]; a != 0 {
		t, err := process.GetTimeSampler(fmt.Sprintf("u-shaped:a=%g+low-discrepancy", a), s.Process.Schedule)
		if err != nil {
			return nil, fmt.Errorf("objective reflow: %w", err)
		}
		s.Times = s.Process.Times(t)
	}
	return makeDenoising(s)
}

// kd is knowledge distillation: E. Luhman, T. Luhman, "Knowledge Distillation in Iterative
// Generative Models for Improved Sampling Speed" (2021) for one step. For k steps it is
// that of Liu et al. (2022), section 2.3: denoising at the times where they begin.
type kd struct {
	*denoising
	steps int
}

func newKD(s Setup, p process.Parameters) (Objective, error) {
	if err := s.paired("kd"); err != nil {
		return nil, err
	}
	steps := int(p["steps"])
	if float64(steps) != p["steps"] || steps < 1 || steps > 1000 {
		return nil, fmt.Errorf("objective kd: steps is %g, want a whole number from 1 to 1000", p["steps"])
	}
	d, err := makeDenoising(s)
	if err != nil {
		return nil, err
	}
	k := &kd{d, steps}
	start := s.Process.Start()
	if s.Process.At(start).Limits() {
		return nil, fmt.Errorf("objective kd: in pure noise, %s tells nothing of the image; want another --output-kind, such as u, v or x", s.Process.Output.Name)
	}
	d.drawn = func(at int64) process.Drawn {
		step := 1 + int(float64(steps)*philox.Uniform64(s.Seed, philox.Time, uint64(at), 0))
		return process.Drawn{Point: s.Process.At(start * float64(min(step, steps)) / float64(steps)), Density: 1, Weight: 1}
	}
	d.mean = 1
	return k, nil
}

func (k *kd) About() [][2]string {
	return k.distance.about([][2]string{{"objective", fmt.Sprintf("knowledge distillation, %v, %s", k.Process(), k.few())}})
}

func (k *kd) few() string {
	if k.steps == 1 {
		return "for 1 step"
	}
	return fmt.Sprintf("for %d steps", k.steps)
}

func (k *kd) Few(int64) *sampler.Few {
	return &sampler.Few{Objective: "kd", Steps: k.steps, Sampler: "euler", Grid: "uniform"}
}

// State is none: times are given.
func (k *kd) State() *State { return nil }

func (k *kd) Baseline(float64, float64) (baseline, zero float64) { return 0, 0 }
