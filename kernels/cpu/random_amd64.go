package cpu

import "unsafe"

var randomAVX512, randomAVX2 = Random{4 * 16}, Random{4 * 8}

// philoxArgs is the arguments of a kernel of random numbers; assembly knows the layout.
type philoxArgs struct {
	dst          unsafe.Pointer
	groups       int // at least 1
	counter      [4]uint32
	keys         [10][2]uint32 // of each round
	centre, half float32
}

func (r Random) args(dst []float32, c Counter) philoxArgs {
	a := philoxArgs{dst: unsafe.Pointer(unsafe.SliceData(dst)), groups: len(dst) / r.Values, counter: c.Words}
	for i := range a.keys {
		a.keys[i] = c.Key
		c.Key[0] += 0x9E3779B9
		c.Key[1] += 0xBB67AE85
	}
	return a
}

// Uniform fills dst, which is not empty, with centre + half·(2u − 1) of the blocks from c.
func (r Random) Uniform(dst []float32, c Counter, centre, half float32) {
	a := r.args(dst, c)
	a.centre, a.half = centre, half
	if r == randomAVX512 {
		philoxUniformAVX512(&a)
	} else {
		philoxUniformAVX2(&a)
	}
}

// Normal fills dst, which is not empty, with normal numbers of the blocks from c.
func (r Random) Normal(dst []float32, c Counter) {
	a := r.args(dst, c)
	if r == randomAVX512 {
		philoxNormalAVX512(&a)
	} else {
		philoxNormalAVX2(&a)
	}
}
