package philox

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
)

//go:embed philox.ptx.zst
var ptx string

var module = cuda.Register("philox", ptx)

// CUDANormal fills n floats of device memory with what Normal gives, bit for
// bit; out is 16-byte aligned.
func CUDANormal(out cuda.Address, n int, seed uint64, stream uint32, address uint64, step uint32) cuda.Call {
	return fill("philox_normal", out, n, seed, stream, address, step)
}

// CUDAUniform does the same for numbers in (0, 1).
func CUDAUniform(out cuda.Address, n int, seed uint64, stream uint32, address uint64, step uint32) cuda.Call {
	return fill("philox_uniform", out, n, seed, stream, address, step)
}

func fill(function string, out cuda.Address, n int, seed uint64, stream uint32, address uint64, step uint32) cuda.Call {
	request(seed, stream, address, step, 0, n) // panics where Normal would
	if n < 1 || out%16 != 0 {
		panic(fmt.Sprintf("philox: %s of %d floats at %#x, want at least one, 16-byte aligned", function, n, uint64(out)))
	}
	const threads = 128
	blocks := (n + 4*threads - 1) / (4 * threads)
	return cuda.Call{
		Module: module, Function: function, Grid: [3]int{blocks, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(out, uint32(n), seed, address, stream, step),
	}
}
