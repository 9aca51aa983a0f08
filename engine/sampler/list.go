package sampler

var (
	inX    = []string{"x", "eps", "v", "u"}
	inEps  = []string{"eps", "x", "v", "u"}
	onPath = []string{"path", "eps", "x", "v", "u"}
	solver = []string{"midpoint", "heun"}
	exact  = []string{"heun", "midpoint"} // of steps of second order
	eta    = []string{"eta"}
)

// Adding a sampler is a file, or a function beside its like, and a line here.
var samplers = []Sampler{
	{Name: "ddim", About: "z_s = α_s x̂ + σ_s ε̂; with eta, noise as a share of DDPM's", Takes: eta, step: ddim},
	{Name: "euler", About: "flow matching's Euler; the same as ddim", step: euler},
	{Name: "ode-euler", About: "Euler on the probability-flow ODE in z and t", step: odeEuler},
	{Name: "midpoint", About: "midpoint rule along the path; two calls a step", Variables: onPath, step: midpoint, begin: natural},
	{Name: "heun", About: "Heun along the path, on ve EDM's; two calls a step", Variables: onPath, step: heun, begin: natural},
	{Name: "dpm-1", About: "DPM-Solver of order 1; the same as ddim", Variables: inEps, Orders: []int{1}, step: singlestep},
	{Name: "dpm-2", About: "DPM-Solver-2, ε in λ; two calls a step", Variables: inEps, Orders: []int{2}, Solvers: solver, step: singlestep},
	{Name: "dpm-3", About: "DPM-Solver-3, ε in λ; three calls a step", Variables: inEps, Orders: []int{3}, Solvers: solver, step: singlestep},
	{Name: "dpm++-1", About: "DPM-Solver++ of order 1; the same as ddim", Variables: inX, Orders: []int{1}, step: singlestep},
	{Name: "dpm++-2s", About: "DPM-Solver++(2S), x in λ; two calls a step", Variables: inX, Orders: []int{2, 3}, Solvers: solver, step: singlestep},
	{Name: "dpm++-2m", About: "DPM-Solver++(2M), x in λ", Variables: inX, Orders: []int{2, 1}, Solvers: solver, Multistep: true, step: adams},
	{Name: "dpm++-3m", About: "DPM-Solver++(3M), x in λ", Variables: inX, Orders: []int{3, 2, 1}, Solvers: exact, Multistep: true, step: adams},
	{Name: "dpm-singlestep", About: "DPM-Solver(++) whose inner calls are entries of the grid, as diffusers'", Takes: eta, Variables: inX, Orders: []int{2, 1, 3}, Solvers: solver, Multistep: true, step: singlestepOnGrid},
	{Name: "unipc", About: "UniPC: Adams predictor and corrector, one call a step", Variables: inX, Orders: []int{2, 1, 3, 4}, Solvers: []string{"bh2", "bh1"}, Multistep: true, step: unipc},
	{Name: "deis", About: "DEIS, ε in ln(σ/α)", Variables: inEps, Orders: []int{3, 1, 2, 4}, Multistep: true, step: adams},
	{Name: "lms", About: "linear multistep, ε in σ/α", Variables: inEps, Orders: []int{4, 1, 2, 3}, Multistep: true, step: lms},
	{Name: "pndm", About: "PNDM: Runge-Kutta three times, then Adams-Bashforth of order 4", Variables: inEps, Solvers: []string{"prk", "plms"}, step: pndm},
	{Name: "ipndm", About: "improved PNDM: Adams-Bashforth from order 1 to 4", Variables: inEps, Orders: []int{4, 1, 2, 3}, Multistep: true, step: ipndm},
	{Name: "rk45", About: "Dormand-Prince 5(4), adaptive, with tolerances", Takes: []string{"tolerance"}, Variables: onPath, Adaptive: true},
	{Name: "map", About: "where a flow map leads, in one jump or a few; with eta it leads further and fresh noise leads back, 1: by way of the data", Takes: eta, step: flowMap, begin: share01},

	{Name: "ddpm", About: "the posterior given x̂, with small, large or learned variance", Takes: []string{"variance"}, Random: true, step: ddpm},
	{Name: "churn", About: "DDIM to less noise, then forward: churn 0 is ddim, 0.5 ddpm", Takes: []string{"churn"}, Random: true, step: churn, begin: belowOne},
	{Name: "ancestral", About: "Euler ancestral; the same as ddim with eta 1", Takes: eta, Random: true, step: ancestral},
	{Name: "edm-churn", About: "EDM's Heun (order 1: Euler) after raised noise; churn is S_churn", Takes: []string{"churn", "noise range", "noise scale"}, Variables: inEps, Orders: []int{2, 1}, Random: true, step: edmChurn},
	{Name: "sde", About: "reverse SDE with x̂ constant, in η form (eta) or ε form (epsilon)", Takes: []string{"eta", "epsilon"}, Random: true, step: sde},
	{Name: "dpm++-sde", About: "DPM-Solver++(2S) with noise, eta² of DDPM's", Takes: eta, Variables: inX, Orders: []int{2, 1, 3}, Solvers: solver, Random: true, step: singlestep, begin: noisy},
	{Name: "dpm++-2m-sde", About: "DPM-Solver++(2M) with noise, eta² of DDPM's", Takes: eta, Variables: inX, Orders: []int{2, 1}, Solvers: solver, Random: true, Multistep: true, step: adams, begin: noisy},
	{Name: "dpm++-3m-sde", About: "DPM-Solver++(3M) with noise, eta² of DDPM's", Takes: eta, Variables: inX, Orders: []int{3, 2, 1}, Solvers: exact, Random: true, Multistep: true, step: adams, begin: noisy},
	{Name: "lcm", About: "latent consistency: x̂ and fresh noise", Random: true, step: lcm},
	{Name: "consistency", About: "multistep consistency: x̂ and fresh noise above the schedule's least", Random: true, step: consistency},
	{Name: "bridge", About: "the bridge between x̂ and the state, on processes with a third noise: I²SB; without one the same as ddim", Bridges: true, step: bridge},
	{Name: "tcd", About: "trajectory consistency: DDIM to (1−eta)s, then forward to s", Takes: eta, Random: true, step: tcd, begin: share01},
}
