package couple

import (
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// transport permutes the noise of a step: A. Tong et al., "Improving and Generalizing
// Flow-Based Generative Models with Minibatch Optimal Transport" (2023); A. Pooladian et
// al., "Multisample Flow Matching" (2023). A permutation keeps every image and every
// noise once, where drawing pairs of a plan does not. With labels, noise stays among
// images of a class, or it would tell the class.
type transport struct{ byClass bool }

func newTransport(byClass bool) func(string) (Coupling, error) {
	return func(string) (Coupling, error) { return transport{byClass}, nil }
}

// Permutes says whether a coupling is a permutation of a step's noise.
func Permutes(c Coupling) bool {
	_, ok := c.(transport)
	return ok
}

func (t transport) String() string {
	if t.byClass {
		return "ot"
	}
	return "ot-across"
}

// Pair brings Σ |ε − x|² of the step to its least.
func (t transport) Pair(s Step) {
	groups := map[int32][]int{}
	var classes []int32
	for i := range s.Images {
		c := int32(0)
		if t.byClass {
			c = s.Classes[i]
		}
		if groups[c] == nil {
			classes = append(classes, c)
		}
		groups[c] = append(groups[c], i)
	}
	for _, c := range classes {
		if of := groups[c]; len(of) > 1 {
			assign(s, of)
		}
	}
}

// assign permutes the noise of some images. Of |ε − x|² only −ε·x depends on the pairs.
func assign(s Step, of []int) {
	n, size := len(of), len(s.Images[0])
	addresses := make([]int64, n)
	for k, i := range of {
		addresses[k] = s.Noise[i]
	}
	slices.Sort(addresses) // whatever they were in turn
	cost := make([]float64, n*n)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for j, address := range addresses {
		group.Go(func() error {
			noise := make([]float32, size)
			s.Draw(address, noise)
			for k, i := range of {
				cost[k*n+j] = -product(noise, s.Images[i])
			}
			return nil
		})
	}
	_ = group.Wait() // nothing fails
	for k, j := range Assign(n, cost) {
		s.Noise[of[k]] = addresses[j]
	}
}

// product is ε·x in float64, in an order of its own, without fused steps: the same on every
// machine.
func product(a, b []float32) float64 {
	var sums [4]float64
	for i := 0; i+4 <= len(a); i += 4 {
		for k := range 4 {
			sums[k] += float64(float64(a[i+k]) * float64(b[i+k]))
		}
	}
	for i := len(a) &^ 3; i < len(a); i++ {
		sums[i&3] += float64(float64(a[i]) * float64(b[i]))
	}
	return (sums[0] + sums[1]) + (sums[2] + sums[3])
}

// distance is |a − b|².
func distance(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		d := float64(x) - float64(b[i])
		sum += float64(d * d)
	}
	return sum
}
