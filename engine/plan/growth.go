package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Line is bytes over the batch.
type Line struct {
	Fixed    float64 `json:"fixed_bytes"`
	PerImage float64 `json:"bytes_per_image"`
}

// Bytes of a batch.
func (l Line) Bytes(batch int) float64 { return l.Fixed + l.PerImage*float64(batch) }

// Growth is a plan's memory as a function of the batch size: the largest of several lines.
// There is one line for each launch, because what is alive there is a constant (parameters,
// optimizer states and the gradients made so far) plus something per image (activations).
// At the end of a training step nearly all is gradients; where the backward pass begins,
// all activations are alive and no gradient is.
type Growth []Line

// At is the line of a batch.
func (g Growth) At(batch int) Line {
	return slices.MaxFunc(g, func(a, b Line) int { return cmp.Compare(a.Bytes(batch), b.Bytes(batch)) })
}

// Bytes of a batch.
func (g Growth) Bytes(batch int) float64 { return g.At(batch).Bytes(batch) }

// GrowthAt returns the lines through two batches, one and twice as large. Compile
// returns the plan of a batch that has most in the arena, and the memory of all of its plans.
func GrowthAt(batch int, compile func(batch int) (*Plan, Sizes, error)) (Growth, error) {
	one, sizes, err := compile(batch)
	if err != nil {
		return nil, err
	}
	two, twice, err := compile(2 * batch)
	if err != nil {
		return nil, err
	}
	if len(one.Alive) != len(two.Alive) {
		return nil, fmt.Errorf("batches of %d and %d images have plans of %d and %d launches", batch, 2*batch, len(one.Alive), len(two.Alive))
	}
	n := float64(batch)
	line := func(one, two float64) Line { return Line{2*one - two, (two - one) / n} }
	arena := sizes[Arena]
	others := line(float64(sizes.Bytes()-int64(arena)), float64(twice.Bytes()-int64(twice[Arena])))
	// The arena is what is alive at the fullest launch and a few holes.
	holes := float64(arena+twice[Arena]) / float64(one.Alive[one.Fullest()]+two.Alive[two.Fullest()])
	least := others
	least.Fixed += float64(sizes.Transient())
	all := []Line{least}
	for i, bytes := range one.Alive {
		l := line(holes*float64(bytes), holes*float64(two.Alive[i]))
		all = append(all, Line{others.Fixed + l.Fixed, others.PerImage + l.PerImage})
	}
	return upper(all), nil
}

// upper are the lines of which each is the largest at some batch from 1 on, but for
// those that are so by less than 2 %.
func upper(all []Line) Growth {
	const most = 1.02
	var g Growth
	for batch := 1; ; {
		l := slices.MaxFunc(all, func(a, b Line) int {
			return cmp.Or(cmp.Compare(a.Bytes(batch), b.Bytes(batch)), cmp.Compare(a.PerImage, b.PerImage))
		})
		g = append(g, l)
		next := math.Inf(1)
		for _, other := range all {
			if more := other.PerImage - most*l.PerImage; more > 0 {
				next = min(next, (most*l.Fixed-other.Fixed)/more)
			}
		}
		if math.IsInf(next, 1) {
			return g
		}
		batch = max(batch+1, int(math.Ceil(next)))
	}
}
