package likelihood

import "fmt"

// Convention is how a number came about, for machines.
type Convention struct {
	Solver        string      `json:"solver,omitempty"` // of a flow
	Steps         int         `json:"steps,omitempty"`  // of a solver without tolerances, or of a bound's chain
	Rtol          float64     `json:"rtol,omitempty"`
	Atol          float64     `json:"atol,omitempty"`
	Calls         float64     `json:"calls,omitempty"`                // of the velocity, in the mean over flows
	Divergence    string      `json:"divergence,omitempty"`           // exact or hutchinson
	Directions    int         `json:"directions,omitempty"`           // of Hutchinson's estimate
	Draws         int         `json:"dequantisation_draws,omitempty"` // of a flow; none of numbers
	Path          *[2]float64 `json:"times,omitempty"`                // of the linear path
	LogSNR        *[2]float64 `json:"log_snr,omitempty"`              // of a bound
	Levels        int         `json:"noise_levels,omitempty"`         // of a bound, for each image
	Chain         int         `json:"chain_steps,omitempty"`          // of a bound of a process's own steps
	Times         int         `json:"chain_steps_asked,omitempty"`    // for each image
	Variance      string      `json:"variance,omitempty"`             // of these: learnt, or beta
	Reconstructed string      `json:"reconstruction_of,omitempty"`    // of a bound: bytes or numbers
}

// FlowConvention is how densities were computed.
func (o Options) FlowConvention(d *Density, bytes bool) Convention {
	c := Convention{Solver: o.Solver.Name, Calls: d.Calls, Divergence: "exact", Directions: o.Probes, Path: &[2]float64{d.Path.Data.Time, d.Path.Noise.Time}}
	if o.Solver.Adaptive() {
		c.Rtol, c.Atol = o.Steps.Rtol, o.Steps.Atol
	} else {
		c.Steps = o.Steps.Count
	}
	if o.Probes > 0 {
		c.Divergence = "hutchinson"
	}
	if bytes {
		c.Draws = o.Draws
	}
	return c
}

// BoundConvention is how bounds were computed.
func (o Options) BoundConvention(bytes bool) Convention {
	c := Convention{Steps: o.Bound.Steps, LogSNR: &[2]float64{o.Bound.Max, o.Bound.Min}, Levels: o.NoiseLevels, Reconstructed: "bytes"}
	if !bytes {
		c.Reconstructed = "numbers"
	}
	return c
}

// ChainConvention is how bounds of a process's own steps were computed.
func (o Options) ChainConvention(bytes bool) Convention {
	steps := o.Process.Chain().Steps
	c := Convention{Chain: steps, Times: steps, Variance: "beta", Reconstructed: "bytes"}
	if o.Times > 0 {
		c.Times = min(o.Times+1, steps)
	}
	if o.Network.Spec().Variance {
		c.Variance = "learnt"
	}
	if !bytes {
		c.Reconstructed = "numbers"
	}
	return c
}

// String is the convention in words that go into one line.
func (c Convention) String() string {
	if c.Chain > 0 {
		how := fmt.Sprintf("chain of %d steps", c.Chain)
		if c.Times < c.Chain {
			how += fmt.Sprintf(", %d of them an image", c.Times)
		}
		if how += ", variance " + c.Variance; c.Reconstructed == "numbers" {
			return how + "; density of numbers"
		}
		return how + ", x̂ within ±1"
	}
	if c.LogSNR != nil {
		how := fmt.Sprintf("λ = %.4g to %.4g", c.LogSNR[0], c.LogSNR[1])
		if c.Steps > 0 {
			how += fmt.Sprintf(" in %d steps", c.Steps)
		}
		if how += fmt.Sprintf(", %d noise levels an image", c.Levels); c.Reconstructed == "numbers" {
			how += "; density of numbers, Gaussian decoder"
		}
		return how
	}
	how := fmt.Sprintf("ODE from t = %.4g to %.4g by %s", c.Path[0], c.Path[1], c.Solver)
	if c.Steps > 0 {
		how += fmt.Sprintf(" in %d steps", c.Steps)
	} else {
		how += fmt.Sprintf(" to rtol %g, atol %g", c.Rtol, c.Atol)
	}
	how += fmt.Sprintf(", %.4g calls; divergence ", c.Calls)
	switch c.Directions {
	case 0:
		how += c.Divergence
	case 1:
		how += "in 1 direction of ±1"
	default:
		how += fmt.Sprintf("in %d directions of ±1", c.Directions)
	}
	switch c.Draws {
	case 0:
		return how + "; density of numbers, no dequantisation"
	case 1:
		return how + "; uniform dequantisation, 1 draw"
	}
	return how + fmt.Sprintf("; uniform dequantisation, %d draws", c.Draws)
}
