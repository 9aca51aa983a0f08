package metric

import (
	"fmt"
	"math"

	"fluxion/kernels/philox"
)

// KernelOptions say of which subsets a kernel distance is the mean.
type KernelOptions struct {
	Subsets int
	Size    int // images of a subset, as many at most as each set has
	Seed    uint64
}

// KernelDistance is the unbiased estimate of the squared maximum mean discrepancy
// under the kernel (aᵀb/d + 1)³ (Bińkowski et al., "Demystifying MMD GANs", 2018),
// from all images at once. It may be negative.
func KernelDistance(a, b Features) (float64, error) {
	if err := pair("the kernel distance", a, b, 2); err != nil {
		return 0, err
	}
	n, m := float64(a.Len()), float64(b.Len())
	d := float64(a.Dim)
	cubic := func(product float64) float64 {
		k := product/d + 1
		return k * k * k
	}
	others := func(i, j int, product float64) float64 {
		if i == j {
			return 0
		}
		return cubic(product)
	}
	within := sumOf(a, a, others)/(n*(n-1)) + sumOf(b, b, others)/(m*(m-1))
	between := sumOf(a, b, func(_, _ int, product float64) float64 { return cubic(product) })
	return within - 2*between/(n*m), nil
}

// KernelSubsets is the mean of KernelDistance over subsets drawn without replacement,
// as KID is given, and its standard deviation over them.
func KernelSubsets(a, b Features, o KernelOptions) (mean, deviation float64, err error) {
	if err := pair("the kernel distance", a, b, 2); err != nil {
		return 0, 0, err
	}
	if o.Subsets < 1 || o.Size > min(a.Len(), b.Len()) {
		return 0, 0, fmt.Errorf("%d subsets of %d images; want one at least, of %d at most", o.Subsets, o.Size, min(a.Len(), b.Len()))
	}
	values := make([]float64, o.Subsets)
	for i := range values {
		if values[i], err = KernelDistance(a.subset(o.Size, o.Seed, uint64(2*i)), b.subset(o.Size, o.Seed, uint64(2*i+1))); err != nil {
			return 0, 0, err
		}
	}
	mean, deviation = meanDeviation(values)
	return mean, deviation, nil
}

// subset draws rows without replacement (Knuth's selection by shuffling).
func (f Features) subset(n int, seed, address uint64) Features {
	order := shuffled(f.Len(), n, seed, address)
	s := Features{Dim: f.Dim, Values: make([]float32, 0, n*f.Dim)}
	for _, i := range order {
		s.Append(f.Row(i))
	}
	return s
}

// shuffled is the beginning, of length k, of a random order of 0 … n−1.
func shuffled(n, k int, seed, address uint64) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := range k {
		j := i + int(philox.Uniform64(seed, philox.Evaluation, address, uint32(i))*float64(n-i))
		order[i], order[j] = order[j], order[i]
	}
	return order[:k]
}

// meanDeviation of values; the deviation is that of the values themselves, over n.
func meanDeviation(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, math.Sqrt(deviation)
}
