package generate

import "fmt"

// NotFiniteError is a sampling that gives no picture: a coefficient that is no
// finite float32, or a state that grew beyond what one holds.
type NotFiniteError struct {
	Image int64  // −1: no image can be made
	What  string // is not finite
}

func (e *NotFiniteError) Error() string {
	if e.Image < 0 {
		return e.What + " is not finite"
	}
	return fmt.Sprintf("image %d: %s is not finite", e.Image, e.What)
}

// finite says that a number is one as float32, too.
func finite(x float64) bool { return float32(x)-float32(x) == 0 }

// check reports numbers of a request that cannot be computed with. The table is folded.
func (r Request) check() error {
	named := func(what string, values ...float64) error {
		for _, x := range values {
			if !finite(x) {
				return &NotFiniteError{-1, fmt.Sprintf("%s, %g,", what, x)}
			}
		}
		return nil
	}
	if err := named("the scale of guidance", r.Guidance.Scale, r.Guidance.Rescale, r.Guidance.Percentile); err != nil {
		return err
	}
	if err := named("what the first noise is multiplied by", r.Table.Start); err != nil {
		return err
	}
	for i, row := range r.Table.Rows {
		step := fmt.Sprintf("in step %d of %d, ", i+1, len(r.Table.Rows))
		for _, c := range []struct {
			what   string
			values []float64
		}{
			{"the coefficient of the state", []float64{row.A}},
			{"the coefficient of an output", row.B},
			{"the coefficient of the noise", []float64{row.C}},
			{"a coefficient of what is kept", []float64{row.Keep.Z, row.Keep.Y}},
			{"the network's time", []float64{row.Call.NetworkTime}},
		} {
			if err := named(step+c.what, c.values...); err != nil {
				return err
			}
		}
		if r.Clip && row.X.Y != 0 {
			if err := named(step+"a coefficient of the predicted image", row.X.Z, row.X.Y); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkImages reports the first image of a batch whose last state is not finite. It is
// enough to look at the last state: no kernel turns a NaN into a number, and those that
// limit values turn an infinity into a NaN.
func (g *Generator) checkImages(seeds []int64) error {
	if err := g.program.Read(g.Plan.Place(g.Graph.Sample), g.last); err != nil {
		return err
	}
	n := g.shape.Values()
	for i, seed := range seeds {
		for _, v := range g.last[i*n:][:n] {
			if v-v != 0 {
				return &NotFiniteError{seed, endState}
			}
		}
	}
	return nil
}

const endState = "the state after the last step"

// checkState is checkImages for an image on the host.
func checkState(seed int64, what string, state []float64) error {
	for _, v := range state {
		if !finite(v) {
			return &NotFiniteError{seed, what}
		}
	}
	return nil
}
