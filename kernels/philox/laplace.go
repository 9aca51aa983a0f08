package philox

import "math"

// LaplaceAt fills dst with values first, first+1, … of a request, of density
// exp(−√2|x|)/√2, whose variance is 1: the highest bit of a word is the sign, and the rest
// u = m·2⁻³¹ + 2⁻³², rounded to float32, gives |x| = −√½ ln u.
func LaplaceAt(dst []float32, first int, seed uint64, stream uint32, address uint64, step uint32) {
	s := request(seed, stream, address, step, first, len(dst))
	for len(dst) > 0 {
		a, b, c, d := s.block(uint32(first / 4))
		four := [4]float32{laplace(a), laplace(b), laplace(c), laplace(d)}
		n := copy(dst, four[first%4:])
		dst, first = dst[n:], first+n
	}
}

func laplace(w uint32) float32 {
	u := float32(float32(w&(1<<31-1))*0x1p-31) + 0x1p-32
	x := float32(-float32(math.Sqrt2/2) * logarithm(u))
	return math.Float32frombits(math.Float32bits(x) ^ w&(1<<31))
}
