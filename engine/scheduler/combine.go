package scheduler

import (
	"errors"
	"math"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// A method of several calls says what the next state is in terms of earlier
// states and of what the network said: x̂, ε̂ or a slope at each call. Here it
// says so freely, and the recorder finds the row: every state is a vector over
// the first state, what each call said, and each draw; z' − A z must be made of
// what calls said and the newest draw.

// vector holds the coefficients of a state, or of what a call said.
type vector []float64

// plus returns v + c w.
func (v vector) plus(c float64, w vector) vector {
	if c == 0 {
		return v
	}
	sum := make(vector, max(len(v), len(w)))
	copy(sum, v)
	for i, x := range w {
		sum[i] += c * x
	}
	return sum
}

func (v vector) at(i int) float64 {
	if i < len(v) {
		return v[i]
	}
	return 0
}

// unit is the vector that is 1 at i.
func unit(i int) vector {
	v := make(vector, i+1)
	v[i] = 1
	return v
}

// recorder makes the rows of a method.
type recorder struct {
	p      *planner
	state  vector // before the coming call
	next   int    // first free place in vectors
	said   []int  // place of what each call said
	drawn  []int  // places of draws
	newest int    // that of the row before, 0 if it drew none
}

func record(p *planner) *recorder { return &recorder{p: p, state: unit(0), next: 1} }

func (r *recorder) place() int {
	r.next++
	return r.next - 1
}

// call calls the network at a point, which is then said to say a x̂ + b ε̂.
func (r *recorder) call(q process.Point, a, b float64) error {
	x, err := q.X()
	if err != nil {
		return err
	}
	keep, err := q.To(a, b)
	if err != nil {
		return err
	}
	r.p.addRow(sampler.Row{Call: q, X: x, Keep: keep})
	r.said = append(r.said, r.place())
	return nil
}

// last returns what the call k calls ago said.
func (r *recorder) last(k int) vector { return unit(r.said[len(r.said)-1-k]) }

// relative size below which a coefficient is the rounding of a difference.
const rounding = 1e-11

// move makes the row from the state to the next one and noise on top.
func (r *recorder) move(next vector, noise float64) error {
	row := &r.p.Rows[len(r.p.Rows)-1]
	if next.at(0) != 0 {
		row.A = next[0] / r.state[0]
	}
	rest := func(i int) float64 {
		was := row.A * r.state.at(i)
		if b := next.at(i) - was; math.Abs(b) > rounding*math.Max(math.Abs(was), math.Abs(next.at(i))) {
			return b
		}
		return 0
	}
	for k := range r.said {
		row.B = append(row.B, rest(r.said[len(r.said)-1-k]))
	}
	for _, i := range r.drawn {
		switch b := rest(i); {
		case b == 0:
		case i == r.newest:
			row.Recall = b
		default:
			return errors.New("the method needs the noise of more than one call again")
		}
	}
	r.newest = 0
	for len(row.B) > 1 && row.B[len(row.B)-1] == 0 {
		row.B = row.B[:len(row.B)-1]
	}
	// This call's own word is z and y.
	row.A += row.B[0] * row.Keep.Z
	row.B[0] *= row.Keep.Y
	r.state = next
	if row.C = noise; noise != 0 {
		r.newest = r.place()
		r.drawn = append(r.drawn, r.newest)
		r.state = next.plus(noise, unit(r.newest))
	}
	return nil
}
