package sampler

// Adding a sampler is a file, or a function beside its like, and a line here.
var samplers = []Sampler{
	{Name: "euler", About: "flow matching's Euler; the same as ddim", step: euler},
	{Name: "ddim", About: "z_s = α_s x̂ + σ_s ε̂; with eta, noise as a share of DDPM's", Takes: []string{"eta"}, step: ddim},
	{Name: "ddpm", About: "the posterior given x̂, with small or large variance", Takes: []string{"variance"}, Random: true, step: ddpm},
}
