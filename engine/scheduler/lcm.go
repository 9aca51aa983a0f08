package scheduler

import (
	"math"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// lcm is Luo et al., "Latent Consistency Models" (2023).
type lcm struct{ consistencyKeys }

func newLCM() Class { return &lcm{consistencyDefaults()} }

func (c *lcm) plan(p *planner) error {
	if err := p.limit(c.clipping, c.thresholding); err != nil {
		return err
	}
	alphas, err := p.discrete(c.betas, c.RescaleBetasZeroSNR, c.PredictionType)
	if err != nil {
		return err
	}
	times, err := c.times(p)
	if err != nil {
		return err
	}
	for _, n := range times {
		p.preserving(n, alphas[int(n)])
	}
	p.data()
	const data = 0.5 // deviation of the data in the network's boundary condition
	boundary := func(q process.Point) (skip, out float64) {
		t := q.NetworkTime * c.TimestepScaling
		n := math.Hypot(t, data)
		return data * data / (n * n), t / n
	}
	return p.run(method{name: "lcm", options: sampler.Options{Boundary: boundary}})
}
