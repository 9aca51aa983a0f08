// Package model estimates how long a plan takes on a GPU that is not there: from what its
// launches count on the simulator, from how the assembler lays out their functions, and from
// a row of numbers for the card. What it says is never a measurement.
package model

import (
	"context"
	"fmt"
	"strings"

	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// Call is a launch of a function with what it counted.
type Call struct {
	cuda.Call
	Counters sim.Counters
}

// Counted is a launch of a plan with the calls that it comes to. Launches of the same operator
// on operands of the same types, shapes and gaps count the same.
type Counted struct {
	plan.Launch
	Times int // in all plans
	Calls []Call
}

// Counts are the distinct launches of plans.
type Counts struct {
	Distinct []Counted
	Of       [][]int // which of them a launch is, by plan and launch
}

// Count runs every distinct launch on the simulator, of launches with more blocks so many
// of them. Memory holds zeros, and small inputs a number that is none, for a kernel may look
// at a norm; it takes room only where the blocks that run touch it.
func Count(ctx context.Context, plans []*plan.Plan, blocks int64) (*Counts, error) {
	c := &Counts{Of: make([][]int, len(plans))}
	known := map[string]int{}
	for i, p := range plans {
		if err := c.count(ctx, i, p, known, blocks); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Counts) count(ctx context.Context, number int, p *plan.Plan, known map[string]int, blocks int64) error {
	total := int64(0)
	for _, n := range p.Sizes {
		total += int64(n) + 1<<16
	}
	memory := sim.NewMemory(total)
	base := map[*plan.Buffer]cuda.Address{}
	separate := p.Sizes.Separate()
	for _, b := range separate.Buffers() {
		var err error
		if base[b], err = memory.AllocZero(separate[b]); err != nil {
			return err
		}
	}
	for b := range p.Sizes {
		if b.Transient {
			base[b] = base[plan.Arena]
		}
	}
	calls, table, err := device.Calls(p, base)
	if err != nil {
		return err
	}
	machine := sim.New(memory, sim.Options{Sample: blocks})
	for i, l := range p.Launches {
		key := l.Kernel.String() + Operands(l)
		for _, call := range calls[i] { // of others, too
			key += fmt.Sprint(" ", call.Function, call.Grid)
		}
		at, ok := known[key]
		if ok {
			c.Distinct[at].Times++
			c.Of[number] = append(c.Of[number], at)
			continue
		}
		known[key] = len(c.Distinct)
		c.Of[number] = append(c.Of[number], len(c.Distinct))
		if err := refill(memory, base, l); err != nil {
			return err
		}
		counted := Counted{Launch: l, Times: 1}
		for _, call := range calls[i] {
			if len(table) > plan.TableHead { // a kernel may have moved the counter on
				if err := memory.Write(base[plan.Table], table); err != nil {
					return err
				}
			}
			counters, err := machine.Run(ctx, call)
			if err != nil {
				return fmt.Errorf("%v: %w", l.Kernel, err)
			}
			counted.Calls = append(counted.Calls, Call{call, counters})
		}
		c.Distinct = append(c.Distinct, counted)
	}
	return nil
}

// anyNumber is 0.0115 as bfloat16 and as float32.
var anyNumber = []byte{0x3c}

// refill makes the small inputs of a launch numbers, and what its kernels hand to each other:
// samples of earlier blocks may have left anything.
func refill(memory *sim.Memory, base map[*plan.Buffer]cuda.Address, l plan.Launch) error {
	const small, handed = 64 << 10, 16 << 20
	for _, space := range []plan.Space{l.Partials.Space, l.Scratch} {
		if space.Bytes > 0 && space.Bytes <= handed {
			if err := memory.Fill(base[plan.Arena]+cuda.Address(space.Offset), space.Bytes, anyNumber); err != nil {
				return err
			}
		}
	}
	for _, t := range l.In {
		n := ((t.Rows()-1)*t.Pitch + t.Cols()) * t.Type.Size()
		if n > small || t.Buffer == plan.Table {
			continue
		}
		if err := memory.Fill(base[t.Buffer]+cuda.Address(t.Offset), n, anyNumber); err != nil {
			return err
		}
	}
	return nil
}

// IdealBytes is the traffic of a launch that reads and writes everything once.
func IdealBytes(l plan.Launch) int64 {
	n := l.Cost.Bytes
	for _, t := range []*plan.Tensor{l.Add, l.PerImage} {
		if t != nil {
			n += int64(bytesOf(*t))
		}
	}
	return n
}

func bytesOf(t plan.Tensor) int { return t.Values() * t.Type.Size() }

// Operands is types, shapes and gaps of operands, without their places.
func Operands(l plan.Launch) string {
	text := func(t plan.Tensor) string {
		s := fmt.Sprintf("%v%v", t.Type, t.Shape)
		if t.Pitch != t.Cols() {
			s += fmt.Sprintf("/%d", t.Pitch)
		}
		return s
	}
	var parts []string
	for _, t := range l.In {
		parts = append(parts, text(t))
	}
	s := strings.Join(parts, " ") + " → " + text(l.Out)
	if l.PerImage != nil {
		s += " + per image"
	}
	if l.Add != nil {
		s += " + addend"
	}
	return s
}
