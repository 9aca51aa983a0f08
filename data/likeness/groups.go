package likeness

import (
	"context"
	"math"
)

// Member is a picture of a group.
type Member struct {
	Index       int
	Near        int     // the picture that is most like it, of those that it was compared with
	Bits        int     // in which their hashes differ
	Correlation float64 // of their grey pixels, at most 1
}

// Options say what is nearly the same.
type Options struct {
	Bits        int     // most in which hashes differ, up to MaxRadius
	Correlation float64 // least of the pixels
}

// enough is how many pictures like it a picture is compared with, where others are known
// to be of its group: a set of digits has groups of thousands.
const enough = 100

// Groups are the pictures that are like another, together with those. Members are in the
// order of the set, and groups by their first. done is told of how many pictures have been
// looked up.
func Groups(ctx context.Context, marks []Mark, o Options, done func(pictures int)) ([][]Member, error) {
	near := make([]Member, len(marks))
	for i := range near {
		near[i] = Member{Index: i, Near: -1}
	}
	together := newForest(len(marks))
	compared := make([]uint8, len(marks)) // with pictures like it
	like := func(i, j int32, bits int, correlation float64) {
		together.join(i, j)
		for _, p := range [2][2]int32{{i, j}, {j, i}} {
			if m := &near[p[0]]; m.Near < 0 || correlation > m.Correlation {
				m.Near, m.Bits, m.Correlation = int(p[1]), bits, correlation
			}
		}
	}
	// Copies need no search, however many they are.
	first := make(map[Mark]int32, len(marks))
	var hashes []Hash
	var of []int32
	for i, m := range marks {
		if f, ok := first[m]; ok {
			like(f, int32(i), 0, 1)
			continue
		}
		first[m] = int32(i)
		hashes, of = append(hashes, m.Hash), append(of, int32(i))
	}
	err := pairs(ctx, hashes, o.Bits, visitor{
		like: func(a, b int32, bits int) {
			i, j := of[a], of[b]
			if c := correlation(&marks[i], &marks[j]); c >= o.Correlation {
				like(i, j, bits, c)
				compared[i], compared[j] = min(compared[i]+1, enough), min(compared[j]+1, enough)
			}
		},
		settled: func(a int32) (group int32, ok bool) { return together.root(of[a]), compared[of[a]] >= enough },
		done:    func(hashes int) { done(len(marks) - len(of) + hashes) },
	})
	if err != nil {
		return nil, err
	}
	place := map[int32]int{}
	var groups [][]Member
	for i, m := range near {
		if m.Near < 0 {
			continue
		}
		root := together.root(int32(i))
		at, ok := place[root]
		if !ok {
			at = len(groups)
			place[root], groups = at, append(groups, nil)
		}
		groups[at] = append(groups[at], m)
	}
	return groups, nil
}

// correlation of the pixels of two pictures, which brightness and contrast leave alone;
// 0 where one is blank.
func correlation(a, b *Mark) float64 {
	var sa, sb, aa, bb, ab int
	for i, x := range a.Small {
		x, y := int(x), int(b.Small[i])
		sa += x
		sb += y
		aa += x * x
		bb += y * y
		ab += x * y
	}
	const n = len(a.Small)
	va, vb := n*aa-sa*sa, n*bb-sb*sb
	if va == 0 || vb == 0 {
		return 0
	}
	return float64(n*ab-sa*sb) / math.Sqrt(float64(va)*float64(vb))
}

// forest is disjoint sets.
type forest []int32

func newForest(n int) forest {
	f := make(forest, n)
	for i := range f {
		f[i] = int32(i)
	}
	return f
}

func (f forest) root(i int32) int32 {
	for f[i] != i {
		f[i] = f[f[i]]
		i = f[i]
	}
	return i
}

func (f forest) join(a, b int32) {
	a, b = f.root(a), f.root(b)
	f[max(a, b)] = min(a, b)
}
