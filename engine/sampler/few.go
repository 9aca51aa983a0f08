package sampler

import "fmt"

// Few is the one way to sample a network that was trained for few steps, as students
// are by distillation, or the usual way of one that was trained for any, as flow maps are.
type Few struct {
	Objective string  `json:"objective"`            // that trained it
	Steps     int     `json:"steps"`                // of the grid
	Most      int     `json:"most_steps,omitempty"` // that it takes; 0: Steps alone
	Any       bool    `json:"any,omitempty"`        // it is the usual way, and all others lead to images, too
	Sampler   string  `json:"sampler"`
	Grid      string  `json:"grid"`
	Eta       float64 `json:"eta,omitempty"` // share of fresh noise between steps; 0: the sampler's own
}

// Options are those of so many steps that way.
func (f Few) Options(steps int) Options {
	o := Options{Grid: f.Grid, Steps: steps}
	if f.Eta != 0 {
		o.Eta = &f.Eta
	}
	return o
}

// Check refuses another way.
func (f Few) Check(sampler, grid string, steps int) error {
	if f.Any || sampler == f.Sampler && grid == f.Grid && (steps == f.Steps || 1 <= steps && steps <= f.Most) {
		return nil
	}
	return fmt.Errorf("--sampler %s --grid %s --steps %d: the model was trained by %s for %v alone", sampler, grid, steps, f.Objective, f)
}

// String is the way as flags.
func (f Few) String() string {
	text := fmt.Sprintf("--sampler %s --grid %s --steps %d", f.Sampler, f.Grid, f.Steps)
	if f.Eta != 0 {
		text += fmt.Sprintf(" --eta %g", f.Eta)
	}
	if f.Most > 0 {
		text += fmt.Sprintf(" (up to %d)", f.Most)
	}
	return text
}
