package cpu

import "unsafe"

const lineFloats = 16

// aligned returns n zeroed floats that begin on a cache line. It
// is not inlined, so that they never lie on a stack: stacks move, and
// micro-kernels take addresses.
//
//go:noinline
func aligned(n int) []float32 {
	x := make([]float32, n+lineFloats)
	skip := (64 - int(uintptr(unsafe.Pointer(unsafe.SliceData(x)))%64)) % 64 / 4
	return x[skip : skip+n : skip+n]
}
