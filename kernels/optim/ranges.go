package optim

import (
	"fmt"
	"slices"
)

// Line is what the edges of Ranges are multiples of: every parameter begins on a cache
// line of floats. It is also in optim.cuh.
const Line = 16

// Ranges are elements of a flat buffer: from, end, from, end, and so on, in their order.
type Ranges []int

// Add joins the elements from up to end, which come behind all that are there.
func (r *Ranges) Add(from, end int) {
	if from%Line != 0 || end%Line != 0 || end <= from || len(*r) > 0 && from < (*r)[len(*r)-1] {
		panic(fmt.Errorf("elements %d to %d behind %v: want lines of %d in their order", from, end, *r, Line))
	}
	if n := len(*r); n > 0 && (*r)[n-1] == from {
		(*r)[n-1] = end
		return
	}
	*r = append(*r, from, end)
}

// Next is the end of the elements from at on, up to end, that are all inside of a range
// or all outside, and which of the two.
func (r Ranges) Next(at, end int) (to int, inside bool) {
	i, on := slices.BinarySearch(r, at)
	if on {
		i++
	}
	if i < len(r) {
		end = min(end, r[i])
	}
	return end, i%2 == 1
}

// Part is what lies between two elements, counted from the first of them.
func (r Ranges) Part(from, to int) (part Ranges) {
	for at := from; at < to; {
		end, inside := r.Next(at, to)
		if inside {
			part.Add(at-from, end-from)
		}
		at = end
	}
	return part
}

// Lines are the edges as kernels on CUDA devices take them.
func (r Ranges) Lines() []uint32 {
	lines := make([]uint32, len(r))
	for i, edge := range r {
		lines[i] = uint32(edge / Line)
	}
	return lines
}
