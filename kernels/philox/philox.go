// Package philox is the engine's only source of randomness: Philox4x32-10
// (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3",
// SC 2011). Numbers are addressed, not drawn: there is no state, and a value
// depends on nothing but its seed, stream, address, step and index. So a
// picture is the same whatever the batch size, the number of threads or
// devices, and however often a run was interrupted.
//
// # Layout
//
// A request names a sequence of 2²⁶ words of 32 bits. Word i is lane i mod 4 of
// block i div 4, and a block is one call of the cipher with
//
//	key[0]     = seed, low 32 bits
//	key[1]     = seed, high 32 bits
//	counter[0] = stream<<24 | block       stream < 2⁸, block < 2²⁴
//	counter[1] = step
//	counter[2] = address, low 32 bits
//	counter[3] = address, high 32 bits
//
// Every field has bits of its own, so two requests never share a block. Device
// kernels use this layout and the arithmetic of normal.go operation by
// operation (in CUDA __fmul_rn, __fadd_rn, __fdiv_rn, __fsqrt_rn), and get the
// same bits.
package philox

import (
	"fmt"
	"sync"

	"fluxion/kernels/cpu"
)

// Streams keep the uses of randomness apart. A number, once given, stays:
// changing one changes every run that was ever started.
const (
	Noise         uint32 = iota // training: ε of an image; address = position in the image stream
	Time                        // training: t of an image; same address
	Drop                        // training: whether an image loses its label (guidance); same address
	SampleStart                 // sampling: z at t = 1; address = seed of the image
	SampleNoise                 // sampling: ξ of a step; address = seed of the image, step = step
	Init                        // initial weights; address = index of the parameter
	Shuffle                     // order of the data; address = epoch
	Augment                     // augmentation of an image; address = position in the image stream
	Dropout                     // dropout masks; address = position in the image stream, step = layer
	SampleLabel                 // sampling: a label not asked for; address = seed of the image
	Toy                         // points of synthetic data; address = position in the image stream
	SelfCondition               // training: whether an image is given the network's own estimate; same address
	Evaluation                  // evaluation: subsets, orders and directions; address = number of the subset or direction
	Dequantise                  // likelihood: noise within the interval of a byte; address = number of the image, step = draw
	Probe                       // likelihood: directions in which a divergence is taken; same address, step = draw
	Bound                       // likelihood: ε of the bound; same address, step = draw
	BoundLevel                  // likelihood: where the noise levels of the bound begin; address = 0
	Couple                      // training: which noise of a plan an image is given; address = that of its own noise
	Latent                      // training: ξ of an image on a bridge; address = position in the image stream
	Guidance                    // training: the scale of guidance that the network is told; address = position in the image stream
	Posterior                   // which latent of its posterior an image is; address = position in the image stream, in sampling the number of the picture

	// Streams is how many streams the layout has room for.
	Streams uint32 = 1 << 8
)

// MaxValues is how many values one request holds.
const MaxValues = 1 << 26

const (
	multiplier0 = 0xD2511F53
	multiplier1 = 0xCD9E8D57
	weyl0       = 0x9E3779B9 // golden ratio
	weyl1       = 0xBB67AE85 // √3 − 1
)

// block is the cipher: ten rounds of Philox4x32.
func block(k0, k1, c0, c1, c2, c3 uint32) (uint32, uint32, uint32, uint32) {
	for range 10 {
		p0 := uint64(multiplier0) * uint64(c0)
		p1 := uint64(multiplier1) * uint64(c2)
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += weyl0
		k1 += weyl1
	}
	return c0, c1, c2, c3
}

// source is a checked request: everything of the counter but the block.
type source struct{ k0, k1, c0, c1, c2, c3 uint32 }

// request panics where a request would run into its neighbour, as indexing
// past the end of a slice does.
func request(seed uint64, stream uint32, address uint64, step uint32, first, n int) source {
	if stream >= Streams {
		panic(fmt.Sprintf("philox: stream %d, want less than %d", stream, Streams))
	}
	if first < 0 || first > MaxValues-n {
		panic(fmt.Sprintf("philox: values %d to %d of a request, which holds %d", first, first+n, MaxValues))
	}
	return source{uint32(seed), uint32(seed >> 32), stream << 24, step, uint32(address), uint32(address >> 32)}
}

func (s source) block(i uint32) (uint32, uint32, uint32, uint32) {
	return block(s.k0, s.k1, s.c0|i, s.c1, s.c2, s.c3)
}

// vectors are the kernels that whole groups of blocks go to, if there are any. Bits do
// not depend on them, so they are chosen for the process.
var vectors = sync.OnceValue(func() cpu.Random {
	k, err := cpu.Select("")
	if err != nil {
		return cpu.Random{} // the device that is opened says so
	}
	return k.Random
})

// from is the cipher's input at block i.
func (s source) from(i uint32) cpu.Counter {
	return cpu.Counter{Key: [2]uint32{s.k0, s.k1}, Words: [4]uint32{s.c0 | i, s.c1, s.c2, s.c3}}
}

// kind is what words become: normal numbers, or centre + half·(2u − 1). It is no
// function: what a function is given to fill could not lie on a stack.
type kind struct {
	normal       bool
	centre, half float32
}

// groups fills whole groups of blocks from i.
func (k kind) groups(v cpu.Random, s source, dst []float32, i uint32) {
	if k.normal {
		v.Normal(dst, s.from(i))
	} else {
		v.Uniform(dst, s.from(i), k.centre, k.half)
	}
}

// four are the numbers of block i.
func (k kind) four(s source, i uint32) [4]float32 {
	if k.normal {
		return s.normals(i)
	}
	a, b, c, d := s.block(i)
	four := [4]float32{uniform(a), uniform(b), uniform(c), uniform(d)}
	for j, u := range four {
		four[j] = k.centre + float32(k.half*(2*u-1))
	}
	return four
}

// fill fills dst with values first, first+1, … of a request: whole vectors by groups,
// the rest by blocks of four.
func (s source) fill(v cpu.Random, dst []float32, first int, k kind) {
	i := uint32(first / 4)
	if skip := first % 4; skip != 0 && len(dst) > 0 {
		b := k.four(s, i)
		dst = dst[copy(dst, b[skip:]):]
		i++
	}
	if v.Values > 0 && len(dst) >= v.Values {
		n := len(dst) - len(dst)%v.Values
		k.groups(v, s, dst[:n], i)
		dst = dst[n:]
		i += uint32(n / 4)
	}
	for ; len(dst) >= 4; i++ {
		*(*[4]float32)(dst) = k.four(s, i)
		dst = dst[4:]
	}
	if len(dst) > 0 {
		b := k.four(s, i)
		copy(dst, b[:])
	}
}

// UniformAt fills dst with centre + half·(2u − 1), rounded after each operation, where u
// are values first, first+1, … of a request, in the open interval (0, 1): value i is
// ((word i)>>8 | 1)·2⁻²⁴, one of 2²³ equally spaced numbers with mean ½.
func UniformAt(dst []float32, first int, centre, half float32, seed uint64, stream uint32, address uint64, step uint32) {
	uniformAt(vectors(), dst, first, centre, half, seed, stream, address, step)
}

func uniformAt(v cpu.Random, dst []float32, first int, centre, half float32, seed uint64, stream uint32, address uint64, step uint32) {
	s := request(seed, stream, address, step, first, len(dst))
	s.fill(v, dst, first, kind{centre: centre, half: half})
}

func uniform(w uint32) float32 { return float32(w>>8|1) * 0x1p-24 }

// Uniform64 returns one number in the open interval (0, 1) with 52 random bits,
// for the host. It uses words 0 and 1 of the request.
func Uniform64(seed uint64, stream uint32, address uint64, step uint32) float64 {
	hi, lo, _, _ := request(seed, stream, address, step, 0, 2).block(0)
	return float64((uint64(hi)<<32|uint64(lo))>>11|1) * 0x1p-53
}
