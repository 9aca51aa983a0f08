package sampler

import (
	"fmt"
	"math"
	"slices"

	"fluxion/engine/process"
)

// Weights are the linear contributions to the last state, as if the network's
// outputs did not depend on what it is given (MATHEMATICS.md, section 6): z = Start z₀ + Σ
// Outputs·y + Σ Noise·ξ, by call, and by draw in the order of drawing.
type Weights struct {
	Start   float64
	Outputs []float64
	Noise   []float64
}

// form is a state as a combination of the start, outputs and draws.
type form struct {
	start          float64
	outputs, noise []float64
}

func newForm(calls, draws int) form {
	return form{outputs: make([]float64, calls), noise: make([]float64, draws)}
}

// add returns a f + b g.
func (f form) add(a float64, g form, b float64) form {
	sum := newForm(len(f.outputs), len(f.noise))
	sum.start = a*f.start + b*g.start
	for i := range sum.outputs {
		sum.outputs[i] = a*f.outputs[i] + b*g.outputs[i]
	}
	for i := range sum.noise {
		sum.noise[i] = a*f.noise[i] + b*g.noise[i]
	}
	return sum
}

// Draws is the number of normal vectors that the table consumes: one for each
// row that raises the noise before its call, then one for each that adds some.
func (t Table) Draws() int {
	n := 0
	for _, r := range t.Rows {
		if r.Before.C != 0 {
			n++
		}
		if r.C != 0 {
			n++
		}
	}
	return n
}

// Spreads says whether the network is to say the variance of noise.
func (t Table) Spreads() bool {
	return slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Spread != 0 })
}

// Weights follows a table with everything linear.
func (t Table) Weights() Weights {
	calls, draws := len(t.Rows), t.Draws()
	zero := newForm(calls, draws)
	z := newForm(calls, draws)
	z.start = 1
	var kept []form
	reach := 0 // how many rows back a row looks
	for _, r := range t.Rows {
		reach = max(reach, len(r.B)-1)
	}
	drawn, last := 0, -1
	for i, r := range t.Rows {
		if r.Before != (Lift{}) {
			z = z.add(r.Before.A, zero, 0)
			if r.Before.C != 0 {
				z.noise[drawn] += r.Before.C
				drawn++
			}
		}
		y := newForm(calls, draws)
		y.outputs[i] = 1
		keep := y
		if r.Keep != (process.Linear{}) {
			keep = z.add(r.Keep.Z, y, r.Keep.Y)
		}
		z = z.add(r.A, y, r.B[0])
		for k, b := range r.B[1:] {
			z = z.add(1, kept[i-1-k], b)
		}
		if r.Recall != 0 {
			z.noise[last] += r.Recall
		}
		if r.C != 0 {
			z.noise[drawn] += r.C
			last = drawn
			drawn++
		}
		if kept = append(kept, keep); i >= reach {
			kept[i-reach] = form{} // nobody looks there any more
		}
	}
	return Weights{z.start, z.outputs, z.noise}
}

// Fold returns the same run for a state in the units that the network sees, so
// that every row is one call and one update: the scale of the network's input
// and what is done before a call become part of the row before. The last state
// is the same; those between are Input times theirs.
func (t Table) Fold() Table {
	if len(t.Rows) == 0 {
		return t
	}
	lift := func(l Lift) Lift {
		if l == (Lift{}) {
			return Lift{A: 1}
		}
		return l
	}
	folded := t
	first := t.Rows[0]
	l := lift(first.Before)
	folded.Start = math.Hypot(t.Start*l.A, l.C) * first.Call.Input
	folded.Rows = make([]Row, len(t.Rows))
	for i, r := range t.Rows {
		own, scale, extra := r.Call.Input, 1.0, 0.0
		if i+1 < len(t.Rows) {
			next := t.Rows[i+1]
			l := lift(next.Before)
			scale, extra = next.Call.Input*l.A, next.Call.Input*l.C
		}
		r.A *= scale / own
		b := make([]float64, len(r.B))
		for k := range b {
			b[k] = r.B[k] * scale
		}
		r.B, r.C, r.Recall = b, math.Hypot(r.C*scale, extra), r.Recall*scale
		r.X.Z /= own
		if r.Keep != (process.Linear{}) {
			r.Keep.Z /= own
		}
		r.Before = Lift{}
		// The point in the network's units, so that rows agree with it.
		r.Call.Alpha *= own
		r.Call.Sigma *= own
		r.Call.Input = 1
		folded.Rows[i] = r
	}
	return folded
}

// Memory says where what is kept of calls lies: in slots that are used again as
// soon as no later row needs them.
type Memory struct {
	Slots int
	Rows  []Access
}

// Access is what a row does with the slots: it combines what they hold with
// these coefficients, and then stores what it keeps itself, −1 for nowhere.
type Access struct {
	Slots []float64
	Store int
}

// Memory assigns slots. It is an error if a device that has most of them cannot
// run the table.
func (t Table) Memory(most int) (Memory, error) {
	until := make([]int, len(t.Rows)) // the last row that needs what row i keeps
	for i, r := range t.Rows {
		if r.Recall != 0 {
			return Memory{}, fmt.Errorf("sampler %s uses the noise of a call twice, which only trace can", t.Sampler)
		}
		for k, b := range r.B {
			if k > 0 && b != 0 {
				until[i-k] = i
			}
		}
	}
	m := Memory{Rows: make([]Access, len(t.Rows))}
	holds := []int{} // the row whose output a slot holds
	for i, r := range t.Rows {
		a := Access{Slots: make([]float64, len(holds)), Store: -1}
		for slot, row := range holds {
			if lag := i - row; lag < len(r.B) {
				a.Slots[slot] = r.B[lag]
			}
		}
		if until[i] > i {
			for slot, row := range holds {
				if until[row] <= i {
					a.Store = slot
					break
				}
			}
			if a.Store < 0 {
				a.Store = len(holds)
				holds = append(holds, i)
				a.Slots = append(a.Slots, 0)
			}
			holds[a.Store] = i
		}
		m.Rows[i] = a
	}
	if m.Slots = len(holds); m.Slots > most {
		return m, fmt.Errorf("sampler %s keeps %d outputs, more than the %d that fit; want a lower order", t.Sampler, m.Slots, most)
	}
	return m, nil
}
