package likelihood

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"fluxion/data/setting"
	"fluxion/engine/process"
)

// Metrics are what is computed, by the names that eval has for it.
var Metrics = []struct{ Name, Summary string }{
	{"bpd", "bits per dimension of real images, along the model's probability flow"},
	{"elbo", "the same as a variational bound: reconstruction, prior and diffusion"},
	{"vlb", "the bound of DDPM's chain of steps and its terms, L_0 (of levels), L_T and those between, as improved DDPM reports it"},
}

// Is says whether a name is that of one of them.
func Is(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	return slices.ContainsFunc(Metrics, func(m struct{ Name, Summary string }) bool { return m.Name == name })
}

// mostExact is up to how many numbers of an image the divergence is exact if nothing is
// said: it costs a product for each.
const mostExact = 100

// mostDraws and mostFlows bound what is drawn for an image.
const (
	mostDraws = 1 << 20
	mostFlows = 1000
)

// Request is how images are to be judged, as settings say it.
type Request struct {
	solver, divergence string
	steps              Steps
	draws              int
	levels, chain      int
	times              int
	most, least        *float64
}

// Settings declares a request, with its defaults.
func (r *Request) Settings() setting.List {
	*r = Request{solver: Solvers[0].Name, divergence: "auto", steps: Steps{Count: 100, Rtol: 1e-5, Atol: 1e-5}, draws: 1, levels: 16}
	var names, solvers []string
	for _, s := range Solvers {
		names, solvers = append(names, s.Name), append(solvers, s.Name+" ("+s.About+")")
	}
	tolerance := setting.Numbers(fmt.Sprintf("from %g to less than 1", minTolerance), func(x float64) bool { return x >= minTolerance && x < 1 })
	level := setting.Numbers("between -40 and 40", func(x float64) bool { return math.Abs(x) <= 40 })
	return setting.List{
		{Key: "bpd_solver", Value: setting.Of(&r.solver), Own: true, Help: "of bpd's flow: " + strings.Join(solvers, "; "), Range: setting.OneOf("solver", names)},
		{Key: "bpd_steps", Value: setting.Of(&r.steps.Count), Own: true, Help: "of a solver without tolerances, uniform in t", Range: setting.Within(1, maxCalls/4, "")},
		{Key: "bpd_rtol", Value: setting.Of(&r.steps.Rtol), Own: true, Help: "relative tolerance of rk45", Range: tolerance},
		{Key: "bpd_atol", Value: setting.Of(&r.steps.Atol), Own: true, Help: "absolute tolerance of rk45", Range: tolerance},
		{Key: "bpd_divergence", Value: setting.Of(&r.divergence), Own: true,
			Help: fmt.Sprintf("exact, which costs a product for each number of an image; or in how many directions of ±1 it is estimated (Hutchinson); auto: exact up to %d numbers, else 1", mostExact)},
		{Key: "bpd_draws", Value: setting.Of(&r.draws), Own: true, Help: "of noise within the levels of bytes, a flow each", Range: setting.Within(1, mostFlows, "")},
		{Key: "elbo_levels", Value: setting.Of(&r.levels), Own: true, Help: "noise levels at which elbo denoises an image", Range: setting.Within(1, mostDraws, "")},
		{Key: "elbo_max", Value: setting.Optional(&r.most), Own: true, Help: fmt.Sprintf("largest log-SNR of elbo; %g if not given, or where the model begins", LambdaMax), Range: level},
		{Key: "elbo_min", Value: setting.Optional(&r.least), Own: true, Help: fmt.Sprintf("least log-SNR of elbo; %d if not given, or where the model ends", LambdaMin), Range: level},
		{Key: "elbo_steps", Value: setting.Of(&r.chain), Own: true, Help: "of elbo's chain, uniform in log-SNR; 0: continuous", Range: setting.Within(0, math.MaxInt32, "")},
		{Key: "vlb_times", Value: setting.Of(&r.times), Own: true, Help: "of vlb's steps, at which the network is asked for each image; 0: all, which is exact", Range: setting.Within(0, mostDraws, "")},
	}
}

// Idle are the keys without effect beside the solver.
func (r Request) Idle() []string {
	if s, err := FindSolver(r.solver); err == nil && !s.Adaptive() {
		return []string{"bpd_rtol", "bpd_atol"}
	}
	return []string{"bpd_steps"}
}

// Options are those of a request for a process, and images of so many numbers.
func (r Request) Options(p process.Process, dims int) (o Options, err error) {
	o = Options{Process: p, Levels: Bytes, Steps: r.steps, Draws: r.draws, NoiseLevels: r.levels, Times: r.times}
	if o.Solver, err = FindSolver(r.solver); err != nil {
		return o, err
	}
	switch n, err := strconv.Atoi(r.divergence); {
	case r.divergence == "exact", r.divergence == "auto" && dims <= mostExact:
	case r.divergence == "auto":
		o.Probes = 1
	case err != nil || n < 1 || n > mostDraws:
		return o, fmt.Errorf("--bpd-divergence %s: want auto, exact, or a number of directions from 1 to %d", r.divergence, mostDraws)
	default:
		o.Probes = n
	}
	if o.Bound, err = BoundOf(p); err != nil {
		return o, err
	}
	o.Bound.Steps = r.chain
	for _, l := range []struct{ said, to *float64 }{{r.most, &o.Bound.Max}, {r.least, &o.Bound.Min}} {
		if l.said != nil {
			*l.to = *l.said
		}
	}
	return o, o.Bound.Fits(p)
}
