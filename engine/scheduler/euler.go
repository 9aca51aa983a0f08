package scheduler

import (
	"math"
	"slices"
)

// euler is Euler's method in σ, on z = x + σε: Karras et al. (2022) without
// churn, which is DDIM.
type euler struct {
	betas
	zeroSNR
	prediction
	spacing
	sigmaKeys
	sigmaRange
	finalSigma
	InterpolationType string `json:"interpolation_type"`
	TimestepType      string `json:"timestep_type"`
}

func newEuler() Class {
	return &euler{betas: linearBetas(), prediction: epsilon, spacing: spacing{"linspace", 0}, finalSigma: finalSigma{"zero"},
		InterpolationType: "linear", TimestepType: "discrete"}
}

func (c *euler) plan(p *planner) error {
	zero, err := c.zero()
	if err != nil {
		return err
	}
	if c.PredictionType == "original_sample" { // diffusers' other name for it
		c.PredictionType = "sample"
	}
	alphas, err := p.discrete(c.betas, c.RescaleBetasZeroSNR, c.PredictionType)
	if err != nil {
		return err
	}
	table := p.tableOf(alphas)
	l, err := ratioGrid(p, c.spacing, c.sigmaKeys, c.sigmaRange, table)
	if err != nil {
		return err
	}
	// diffusers' log-linear grid has an entry more than it has times, leaves
	// the times as they were, and so ends at the last entry.
	excess := false
	switch c.InterpolationType {
	case "linear":
	case "log_linear":
		if c.sigmaKeys == (sigmaKeys{}) {
			if excess = !p.correct(logLinear); excess {
				l.sigmas = make([]float64, p.Steps+1)
			}
			exponential(l.sigmas, table[len(table)-1], table[0])
			for i := 0; i < p.Steps && !excess; i++ {
				l.times[i] = timeOf(l.sigmas[i], table)
			}
		} else if l, err = p.ratioSigmas(c.sigmaKeys, c.sigmaRange, table[len(table)-1], table[0], table); err != nil {
			return err
		}
	default:
		return refuse("interpolation_type", c.InterpolationType, "linear or log_linear")
	}
	switch c.TimestepType {
	case "discrete":
	case "continuous":
		if c.PredictionType == "v_prediction" {
			for i := range l.times {
				l.times[i] = 0.25 * math.Log(l.sigmas[i])
			}
		}
	default:
		return refuse("timestep_type", c.TimestepType, "discrete or continuous")
	}
	p.exploding(l)
	switch {
	case excess:
		p.vary(0, l.sigmas[p.Steps])
	case zero:
		p.data()
	default:
		p.vary(0, table[0])
	}
	return p.run(method{name: "ddim"})
}

// ratioGrid is the grid of the schedulers on z = x + σε: the times of the
// spacing, or noise levels between their ends.
func ratioGrid(p *planner, s spacing, keys sigmaKeys, r sigmaRange, table []float64) (levels, error) {
	times, err := s.times(p, spread{train: len(table), last: len(table), steps: p.Steps})
	if err != nil {
		return levels{}, err
	}
	l := byTime(times, table)
	if keys == (sigmaKeys{}) {
		return l, nil
	}
	return p.ratioSigmas(keys, r, l.sigmas[0], l.sigmas[p.Steps-1], table)
}

func (p *planner) ratioSigmas(keys sigmaKeys, r sigmaRange, first, last float64, table []float64) (levels, error) {
	kind, err := keys.kind()
	if err != nil {
		return levels{}, err
	}
	sigmas, err := r.grid(kind, first, last, p.Steps)
	if err != nil {
		return levels{}, err
	}
	l := levels{sigmas: sigmas}
	for _, s := range sigmas {
		l.times = append(l.times, timeOf(s, table))
	}
	return l, nil
}

// exploding places levels on z = x + σε.
func (p *planner) exploding(l levels) {
	for i, n := range l.times {
		p.vary(n, l.sigmas[i])
	}
}

// eulerAncestral is k-diffusion's: DDPM on z = x + σε.
type eulerAncestral struct {
	betas
	zeroSNR
	prediction
	spacing
}

func newEulerAncestral() Class {
	return &eulerAncestral{linearBetas(), zeroSNR{}, epsilon, spacing{"linspace", 0}}
}

func (c *eulerAncestral) plan(p *planner) error {
	if c.PredictionType == "sample" {
		return refuse("prediction_type", "sample", "epsilon or v_prediction")
	}
	alphas, err := p.discrete(c.betas, c.RescaleBetasZeroSNR, c.PredictionType)
	if err != nil {
		return err
	}
	l, err := ratioGrid(p, c.spacing, sigmaKeys{}, sigmaRange{}, p.tableOf(alphas))
	if err != nil {
		return err
	}
	p.exploding(l)
	p.data()
	return p.run(method{name: "ddpm"})
}

// heun is Heun's method in σ, the last step Euler's.
type heun struct {
	betas
	prediction
	clipping
	spacing
	sigmaKeys
	guestRange
}

func newHeun() Class {
	return &heun{betas: latentBetas("linear"), prediction: epsilon, clipping: clipping{false, 1}, spacing: spacing{"linspace", 0}}
}

func (c *heun) plan(p *planner) error {
	if err := p.limit(c.clipping, noThreshold); err != nil {
		return err
	}
	alphas, err := p.discrete(c.betas, false, c.PredictionType, "exp")
	if err != nil {
		return err
	}
	l, err := ratioGrid(p, c.spacing, c.sigmaKeys, c.own(), ratios(alphas))
	if err != nil {
		return err
	}
	p.exploding(l)
	p.data()
	return p.run(method{name: "heun"})
}

// lms is the linear multistep method of k-diffusion: ε̂ extrapolated as a
// polynomial of σ, of order 4.
type lms struct {
	betas
	prediction
	spacing
	sigmaKeys
	guestRange
}

func newLMS() Class {
	return &lms{betas: linearBetas(), prediction: epsilon, spacing: spacing{"linspace", 0}}
}

func (c *lms) plan(p *planner) error {
	alphas, err := p.discrete(c.betas, false, c.PredictionType)
	if err != nil {
		return err
	}
	l, err := ratioGrid(p, c.spacing, c.sigmaKeys, c.own(), ratios(alphas))
	if err != nil {
		return err
	}
	p.exploding(l)
	p.data()
	return p.run(method{name: "lms"})
}

// edmKeys are those of Karras et al.'s own schedule.
type edmKeys struct {
	SigmaMin          float64 `json:"sigma_min"`
	SigmaMax          float64 `json:"sigma_max"`
	SigmaData         float64 `json:"sigma_data"`
	SigmaSchedule     string  `json:"sigma_schedule"`
	NumTrainTimesteps int     `json:"num_train_timesteps"`
	Rho               float64 `json:"rho"`
}

var edmDefaults = edmKeys{0.002, 80, 0.5, "karras", 1000, 7}

// points places the grid, and its end.
func (c edmKeys) points(p *planner, f finalSigma, prediction string) error {
	zero, err := f.zero()
	if err != nil {
		return err
	}
	if !(c.SigmaMin > 0 && c.SigmaMax > c.SigmaMin && c.SigmaData > 0) {
		return refuse("sigma_min, sigma_max, sigma_data", []float64{c.SigmaMin, c.SigmaMax, c.SigmaData}, "0 < sigma_min < sigma_max and sigma_data > 0")
	}
	if !slices.Contains([]string{"epsilon", "v_prediction"}, prediction) {
		return refuse("prediction_type", prediction, "epsilon or v_prediction")
	}
	p.edm(prediction, c.SigmaData)
	sigmas := make([]float64, p.Steps)
	switch c.SigmaSchedule {
	case "karras":
		karras(sigmas, c.SigmaMax, c.SigmaMin, c.Rho)
	case "exponential":
		if exponential(sigmas, c.SigmaMax, c.SigmaMin); p.Steps == 1 {
			sigmas[0] = c.SigmaMin // diffusers makes this grid from below
			if p.correct(lonelyTime) {
				sigmas[0] = c.SigmaMax
			}
		}
	default:
		return refuse("sigma_schedule", c.SigmaSchedule, "karras or exponential")
	}
	for _, s := range sigmas {
		p.vary(0.25*math.Log(s), s)
	}
	if zero {
		p.data()
	} else {
		p.vary(0.25*math.Log(c.SigmaMin), c.SigmaMin)
	}
	return nil
}

type edmEuler struct {
	edmKeys
	prediction
	finalSigma
}

func newEDMEuler() Class { return &edmEuler{edmDefaults, epsilon, finalSigma{"zero"}} }

func (c *edmEuler) plan(p *planner) error {
	if err := c.points(p, c.finalSigma, c.PredictionType); err != nil {
		return err
	}
	return p.run(method{name: "ddim"})
}

type edmDPM struct {
	edmKeys
	prediction
	thresholding
	dpmKeys
	finalSigma
	EulerAtFinal bool `json:"euler_at_final"`
}

func newEDMDPM() Class {
	return &edmDPM{edmDefaults, epsilon, noThreshold, dpmDefaults, finalSigma{"zero"}, false}
}

func (c *edmDPM) plan(p *planner) error {
	m, err := c.method(p)
	if err != nil {
		return err
	}
	if m.noise {
		return refuse("algorithm_type", c.AlgorithmType, "dpmsolver++ or sde-dpmsolver++")
	}
	if err := p.limit(clipping{}, c.thresholding); err != nil {
		return err
	}
	if err := c.points(p, c.finalSigma, c.PredictionType); err != nil {
		return err
	}
	zero, _ := c.zero()
	m.orders = c.orders(p.Steps, zero || c.EulerAtFinal)
	return p.run(m)
}
