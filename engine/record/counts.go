package record

import "math"

// Counts is a histogram of float32 whose bins are a quarter of a power of two wide: as fine
// at small values as at large ones, and found by their first bits.
type Counts struct {
	N                         int64
	Min, Max, Sum, SumSquares float64
	bins                      [1 << binBits]int64
}

const (
	binBits   = 11 // of a float32: sign, exponent, and the first two of the mantissa
	dropBits  = 32 - binBits
	magnitude = 1<<(binBits-1) - 1
)

// Add counts values, each times a factor, and leaves out those that are not finite.
func (c *Counts) Add(values []float32, factor float32) {
	for _, v := range values {
		v *= factor
		x := float64(v)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			continue
		}
		if c.N == 0 {
			c.Min, c.Max = x, x
		}
		c.N++
		c.Min, c.Max = min(c.Min, x), max(c.Max, x)
		c.Sum += x
		c.SumSquares += float64(x * x)
		c.bins[math.Float32bits(v)>>dropBits]++
	}
}

// Bin is the values between two limits.
type Bin struct {
	Low, High float64 // |Low| or |High|, the one nearer 0, belongs to it
	N         int64
}

// Bins are those from the first to the last that hold values, in order. Empty ones
// between are joined.
func (c *Counts) Bins() (bins []Bin) {
	add := func(low, high float64, n int64) {
		if n == 0 {
			return
		}
		if k := len(bins); k > 0 && bins[k-1].High < low {
			bins = append(bins, Bin{bins[k-1].High, low, 0})
		}
		bins = append(bins, Bin{low, high, n})
	}
	limit := func(i int) float64 {
		return min(float64(math.Float32frombits(uint32(i)<<dropBits)), math.MaxFloat32)
	}
	for i := magnitude; i >= 0; i-- {
		add(-limit(i+1), -limit(i), c.bins[i|(magnitude+1)])
	}
	for i := range magnitude + 1 {
		add(limit(i), limit(i+1), c.bins[i])
	}
	return bins
}
