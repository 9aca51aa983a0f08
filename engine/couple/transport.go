package couple

import "slices"

// transport permutes the noise of a step: A. Tong et al., "Improving and Generalizing
// Flow-Based Generative Models with Minibatch Optimal Transport" (2023); A. Pooladian et
// al., "Multisample Flow Matching" (2023). A permutation keeps every image and every
// noise once, where drawing pairs of a plan does not. With labels, noise stays among
// images of a class, or it would tell the class.
type transport struct {
	byClass bool
	groups
	cost []float64
	assignment
}

func newTransport(byClass bool) func(string) (Coupling, error) {
	return func(string) (Coupling, error) { return &transport{byClass: byClass}, nil }
}

func (t *transport) String() string {
	if t.byClass {
		return "ot"
	}
	return "ot-across"
}

// Multiplies says yes.
func (*transport) Multiplies() bool { return true }

// Pair brings Σ |ε − x|² of the step to its least. Of that only −ε·x depends on the pairs.
func (t *transport) Pair(s Step) error {
	for _, g := range t.part(s, t.byClass) {
		n := len(g.images)
		if n < 2 {
			continue
		}
		t.cost = slices.Grow(t.cost[:0], n*n)
		for _, i := range g.images {
			for _, j := range g.noise {
				t.cost = append(t.cost, -s.Products.Product(i, j))
			}
		}
		for k, j := range t.assign(n, t.cost) {
			s.Noise[g.images[k]] = g.addresses[j]
		}
	}
	return nil
}

// group is images that share their noise: their numbers in the step; and the noise in
// order of its addresses, by the number of whose it was.
type group struct {
	images, noise []int
	addresses     []int64
}

// groups is the memory of those of a step.
type groups struct {
	list    []group
	classes []int32
}

// part parts a step by class, or leaves it whole.
func (g *groups) part(s Step, byClass bool) []group {
	g.classes = g.classes[:0]
	for i, c := range s.Classes {
		if !byClass {
			c = 0
		}
		k := slices.Index(g.classes, c)
		if k < 0 {
			k, g.classes = len(g.classes), append(g.classes, c)
			if k == len(g.list) {
				g.list = append(g.list, group{})
			}
			of := &g.list[k]
			of.images, of.noise, of.addresses = of.images[:0], of.noise[:0], of.addresses[:0]
		}
		g.list[k].images = append(g.list[k].images, i)
	}
	all := g.list[:len(g.classes)]
	for k := range all {
		of := &all[k]
		of.noise = append(of.noise, of.images...)
		slices.SortFunc(of.noise, func(a, b int) int { // whatever they were in turn
			switch {
			case s.Noise[a] < s.Noise[b]:
				return -1
			case s.Noise[a] > s.Noise[b]:
				return 1
			}
			return a - b
		})
		for _, j := range of.noise {
			of.addresses = append(of.addresses, s.Noise[j])
		}
	}
	return all
}
