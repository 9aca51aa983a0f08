package sampler

import (
	"fmt"
	"strings"

	"fluxion/data/setting"
)

// GridSettings declares on which grid a run goes, and by which sampler.
func GridSettings(sampler *string, o *Options) setting.List {
	return setting.List{
		{Key: "grid", Value: setting.Of(&o.Grid), Offers: Grids(), Help: "a name, or t:1,0.5,0 or sigma:… or lambda:…; names are " + strings.Join(Grids(), ", ")},
		{
			Key: "steps", Value: setting.Of(&o.Steps), Help: "intervals of a grid by name",
			Range: setting.Within(0, MaxSteps, fmt.Sprintf("1 to %d", MaxSteps)), // 0 is of lists, which have their own number
		},
		{Key: "sampler", Value: setting.Of(sampler), Help: "one of " + strings.Join(Names(), ", "), Range: setting.OneOf("sampler", Names())},
	}
}

// OptionSettings declares what only some samplers take.
func OptionSettings(o *Options, tolerance string) setting.List {
	const ratio = "σ/α"
	return setting.List{
		{Key: "churn", Value: setting.Optional(&o.Churn), Help: "of churn (its share c) and edm-churn (S_churn)"},
		{Key: "eta", Value: setting.Optional(&o.Eta), Help: "share of noise; its default is the sampler's"},
		{Key: "epsilon", Value: setting.Optional(&o.Epsilon), Help: "of sde, in interpolant form", Own: true},
		{Key: "order", Value: setting.Of(&o.Order), Help: "of methods that have several"},
		{Key: "variable", Value: setting.Of(&o.Variable), Offers: []string{"x", "eps", "v", "u"}, Help: "in which a method interpolates: x, eps, v, u"},
		{Key: "solver", Value: setting.Of(&o.Solver), Offers: []string{"midpoint", "heun", "bh2", "bh1", "prk", "plms"}, Help: "variant of a method: midpoint or heun, bh2 or bh1, prk or plms"},
		{Key: "variance", Value: setting.Of(&o.Variance), Offers: []string{"small", "large", Learned}, Help: "of ddpm: small, large or learned; the last is that of models that learn one (--objective hybrid, vlb)"},
		{Key: "noise_min", Value: setting.Of(&o.NoiseMin), Help: ratio + " from which edm-churn adds noise"},
		{Key: "noise_max", Value: setting.Of(&o.NoiseMax), Help: ratio + " up to which edm-churn adds noise; 0: everywhere"},
		{Key: "noise_scale", Value: setting.Of(&o.NoiseScale), Help: "factor on edm-churn's noise; 0 is 1"},
		{Key: "lower_order_final", Value: setting.Of(&o.LowerOrderFinal), Help: "end multistep methods with lower orders"},
		{Key: "first_order_final", Value: setting.Of(&o.FirstOrderFinal), Help: "end multistep methods with one step of first order"},
		{Key: "tolerance", Value: setting.Of(&o.Tolerance), Help: "of rk45, relative and absolute; 0 is " + tolerance},
	}
}
