package philox

import (
	"math"

	"fluxion/kernels/cpu"
)

// Normal fills dst with the first values of a request, standard normal.
//
// Values 4i to 4i+3 come from block i by Box and Muller: words (w₀, w₁) give
// r cos θ and r sin θ with r = √(−2 ln u), u = w₀·2⁻³² + 2⁻³³ rounded to
// float32, θ = 2π w₁·2⁻³²; words (w₂, w₃) give the other two. |value| < 6.77.
//
// Logarithm, sine and cosine are ours, built from +, −, ×, ÷ and √ in a fixed
// order. Every product is rounded by an explicit float32(), which forbids the
// compiler to fuse it with an addition: all machines give the same bits. The
// result is within 2.5e-7·max(1, r) of the exact value for that u and θ.
func Normal(dst []float32, seed uint64, stream uint32, address uint64, step uint32) {
	NormalAt(dst, 0, seed, stream, address, step)
}

// NormalAt fills dst with values first, first+1, … of the request that Normal
// begins at 0.
func NormalAt(dst []float32, first int, seed uint64, stream uint32, address uint64, step uint32) {
	normalAt(vectors(), dst, first, seed, stream, address, step)
}

func normalAt(v cpu.Random, dst []float32, first int, seed uint64, stream uint32, address uint64, step uint32) {
	s := request(seed, stream, address, step, first, len(dst))
	s.fill(v, dst, first, kind{normal: true})
}

func (s source) normals(i uint32) (n [4]float32) {
	w0, w1, w2, w3 := s.block(i)
	n[0], n[1] = boxMuller(w0, w1)
	n[2], n[3] = boxMuller(w2, w3)
	return n
}

func boxMuller(radius, angle uint32) (x, y float32) {
	u := float32(float32(radius)*0x1p-32) + 0x1p-33
	r := float32(math.Sqrt(float64(float32(-2 * logarithm(u)))))
	sin, cos := sincos(angle)
	return float32(r * cos), float32(r * sin)
}

// logarithm of a positive normal number, within 1 ulp: u = 2ᵏ m with
// √½ ≤ m < √2, ln m = 2 artanh(f/(2+f)) with f = m−1. Coefficients from
// FreeBSD's e_logf.c.
func logarithm(u float32) float32 {
	const (
		sqrtHalf = 0x3f3504f3
		one      = 0x3f800000
		ln2High  = 6.9313812256e-01
		ln2Low   = 9.0580006145e-06
		l1       = 0xaaaaaa.0p-24
		l2       = 0xccce13.0p-25
		l3       = 0x91e9ee.0p-25
		l4       = 0xf89e26.0p-26
	)
	b := math.Float32bits(u) + (one - sqrtHalf)
	k := float32(int32(b>>23) - 127)
	f := math.Float32frombits(b&0x7fffff+sqrtHalf) - 1
	s := f / (2 + f)
	z := float32(s * s)
	w := float32(z * z)
	t1 := float32(w * (l2 + float32(w*l4)))
	t2 := float32(z * (l1 + float32(w*l3)))
	h := float32(float32(0.5*f) * f)
	p := float32(s * (h + (t2 + t1)))
	return (((p + float32(k*ln2Low)) - h) + f) + float32(k*ln2High)
}

// sincos of 2π·turn·2⁻³². The turn is reduced to the nearest quarter in
// integers, so the reduction is exact; on ±π/4 the polynomials are those of
// Cephes' sinf.c.
func sincos(turn uint32) (sin, cos float32) {
	const (
		halfPi = 1.57079632679489661923
		s1     = -1.6666654611e-1
		s2     = 8.3321608736e-3
		s3     = -1.9515295891e-4
		c1     = 4.166664568298827e-2
		c2     = -1.388731625493765e-3
		c3     = 2.443315711809948e-5
	)
	q := (turn + 1<<29) >> 30
	x := float32(float32(int32(turn-q<<30)) * (halfPi * 0x1p-30))
	z := float32(x * x)
	p := s1 + float32(z*(s2+float32(z*s3)))
	s := x + float32(float32(x*z)*p)
	p = c1 + float32(z*(c2+float32(z*c3)))
	c := (1 - float32(0.5*z)) + float32(float32(z*z)*p)

	// Quarter q: swap for odd q, then the signs; on bits, for a branch here
	// would be mispredicted every other time.
	a, b := math.Float32bits(s), math.Float32bits(c)
	swap := (a ^ b) & -(q & 1)
	a, b = a^swap, b^swap
	a ^= (q & 2) << 30
	b ^= ((q + 1) & 2) << 30
	return math.Float32frombits(a), math.Float32frombits(b)
}
