//go:build gpu

package bind

import (
	"encoding/binary"
	"unsafe"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

var memoryAnswers = map[string]func(arguments) cuda.Result{
	"cuMemGetInfo": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			free, total, r := c.MemInfo()
			put(a, 0, uint64(free))
			put(a, 1, uint64(total))
			return r
		})
	},
	"cuMemAlloc": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			p, r := c.Alloc(a.size(1))
			put(a, 0, p)
			return r
		})
	},
	"cuMemFree": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result { return c.Free(a.address(0)) })
	},
	"cuMemGetAddressRange": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			start, n, r := c.AddressRange(a.address(2))
			put(a, 0, start)
			put(a, 1, uint64(n))
			return r
		})
	},
	"cuMemHostAlloc": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			b, r := c.HostAlloc(a.size(1))
			if r == cuda.Success {
				put(a, 0, unsafe.Pointer(&b[0]))
			}
			return r
		})
	},
	"cuMemFreeHost": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result { return c.HostFree((*byte)(a.pointer(0))) })
	},
	"cuMemcpyHtoD": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			return c.MemcpyHtoD(a.address(0), a.bytes(1, a.size(2)))
		})
	},
	"cuMemcpyDtoH": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			return c.MemcpyDtoH(a.bytes(0, a.size(2)), a.address(1))
		})
	},
	"cuMemcpyDtoD": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			return c.MemcpyDtoD(a.address(0), a.address(1), a.size(2))
		})
	},
	"cuMemcpyHtoDAsync": func(a arguments) cuda.Result {
		return a.stream(3, func(s *simdriver.Stream) cuda.Result { return s.CopyIn(a.address(0), a.bytes(1, a.size(2))) })
	},
	"cuMemcpyDtoHAsync": func(a arguments) cuda.Result {
		return a.stream(3, func(s *simdriver.Stream) cuda.Result { return s.CopyOut(a.bytes(0, a.size(2)), a.address(1)) })
	},
	"cuMemcpyDtoDAsync": func(a arguments) cuda.Result {
		return a.stream(3, func(s *simdriver.Stream) cuda.Result {
			return s.Copy(a.address(0), a.address(1), a.size(2))
		})
	},
	"cuMemsetD8":       func(a arguments) cuda.Result { return fill(a, 1) },
	"cuMemsetD16":      func(a arguments) cuda.Result { return fill(a, 2) },
	"cuMemsetD32":      func(a arguments) cuda.Result { return fill(a, 4) },
	"cuMemsetD8Async":  func(a arguments) cuda.Result { return fillAsync(a, 1) },
	"cuMemsetD16Async": func(a arguments) cuda.Result { return fillAsync(a, 2) },
	"cuMemsetD32Async": func(a arguments) cuda.Result { return fillAsync(a, 4) },
}

// pattern is argument 1 in so many bytes.
func (a arguments) pattern(bytes int) []byte {
	return binary.LittleEndian.AppendUint64(nil, a.word(1))[:bytes]
}

func fill(a arguments, bytes int) cuda.Result {
	return a.context(func(c *simdriver.Context) cuda.Result { return c.Memset(a.address(0), a.pattern(bytes), a.size(2)) })
}

func fillAsync(a arguments, bytes int) cuda.Result {
	return a.stream(3, func(s *simdriver.Stream) cuda.Result { return s.Fill(a.address(0), a.pattern(bytes), a.size(2)) })
}
