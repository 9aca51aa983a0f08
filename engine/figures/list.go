package figures

import "fmt"

// Adding a figure is a function, in a file of its own or beside its like, and a
// line here.
var list = []struct {
	name string
	make func(images Images) (Figure, error)
}{
	{"schedules", schedules},
	{"paths", paths},
	{"weightings", weightings},
	{"sd3-edm", sd3AgainstEDM},
	{"invariance", invariance},
	{"scaling", scaling},
	{"straightness", straightness},
	{"ddpm", ddpmIsDDIM},
	{"churn", churnWeights},
	{"spectra", spectra},
	{"reflow", reflow},
	{"few-steps", fewSteps},
	{"coupling", coupling},
	{"coupling-cost", couplingCost},
}

// All computes every figure. The images are what spectra are taken of.
func All(images Images) ([]Figure, error) {
	var all []Figure
	for _, f := range list {
		figure, err := f.make(images)
		if err != nil {
			return nil, fmt.Errorf("figure %s: %w", f.name, err)
		}
		figure.Name = f.name
		all = append(all, figure)
	}
	return all, nil
}
