//go:build gpu

package bind

// #include <stdint.h>
import "C"

import (
	"slices"
	"unsafe"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

var moduleAnswers = map[string]func(arguments) cuda.Result{
	"cuModuleLoadData":   func(a arguments) cuda.Result { return load(a, 0) },
	"cuModuleLoadDataEx": func(a arguments) cuda.Result { return load(a, a.size(2)) },
	"cuModuleUnload": func(a arguments) cuda.Result {
		return drop(a, 0, func(m *simdriver.Module) cuda.Result { return m.Unload() })
	},
	"cuModuleGetFunction": func(a arguments) cuda.Result {
		return object(a, 1, func(m *simdriver.Module) cuda.Result {
			f, r := m.Function(C.GoString((*C.char)(a.pointer(2))))
			return putHandle(a, 0, f, r)
		})
	},
	"cuModuleGetGlobal": func(a arguments) cuda.Result {
		return object(a, 2, func(m *simdriver.Module) cuda.Result {
			p, n, r := m.Global(C.GoString((*C.char)(a.pointer(3))))
			put(a, 0, p)
			put(a, 1, uint64(n))
			return r
		})
	},
	"cuFuncGetAttribute": func(a arguments) cuda.Result {
		return object(a, 2, func(f *simdriver.Function) cuda.Result {
			v, r := f.Attribute(a.int(1))
			put(a, 0, int32(v))
			return r
		})
	},
	"cuFuncSetAttribute": func(a arguments) cuda.Result {
		return object(a, 0, func(f *simdriver.Function) cuda.Result { return f.SetAttribute(a.int(1), a.int(2)) })
	},
	"cuFuncSetCacheConfig":     hint("cuFuncSetCacheConfig"),
	"cuFuncSetSharedMemConfig": hint("cuFuncSetSharedMemConfig"),
	"cuLaunchKernel": func(a arguments) cuda.Result {
		return launch(a, a.int, a.int(7), 8, 9, 10)
	},
}

// Options of cuModuleLoadDataEx; numbers of CUjit_option.
const (
	jitErrorLog     = 5
	jitErrorLogSize = 6
)

// loadImage loads text that a zero ends, or an ELF file, whose head says how long it is.
func loadImage(c *simdriver.Context, image unsafe.Pointer) (*simdriver.Module, string, cuda.Result) {
	if !cuda.IsELF(unsafe.Slice((*byte)(image), 4)) {
		return c.ModuleLoad(C.GoString((*C.char)(image)))
	}
	size, _, err := cuda.CubinHead(*(*[64]byte)(image))
	if err != nil {
		size = 64
	}
	return c.ModuleLoadCode(unsafe.Slice((*byte)(image), size))
}

// load loads the image of argument 1, with so many options, whose numbers and
// values are in arguments 3 and 4.
func load(a arguments, options int) cuda.Result {
	return a.context(func(c *simdriver.Context) cuda.Result {
		m, log, r := loadImage(c, a.pointer(1))
		if options > 0 {
			writeLog(unsafe.Slice((*int32)(a.pointer(3)), options), unsafe.Slice((*uint64)(a.pointer(4)), options), a.pointer(4), log)
		}
		return putHandle(a, 0, m, r)
	})
}

// writeLog puts the log, ended by a zero, where the options want it.
func writeLog(numbers []int32, values []uint64, pointers unsafe.Pointer, log string) {
	buffer, size := slices.Index(numbers, jitErrorLog), slices.Index(numbers, jitErrorLogSize)
	if buffer < 0 || size < 0 || values[size] == 0 {
		return
	}
	b := unsafe.Slice(*(**byte)(unsafe.Add(pointers, 8*buffer)), values[size])
	n := copy(b[:len(b)-1], log)
	b[n] = 0
	values[size] = uint64(n)
}

// Keys of the argument extra of cuLaunchKernel.
const (
	extraEnd           = 0
	extraBufferPointer = 1
	extraBufferSize    = 2
)

// launch serves cuLaunchKernel: function, grid and block in arguments 0 to 6.
func launch(a arguments, dimension func(i int) int, shared, stream, params, extra int) cuda.Result {
	return object(a, 0, func(f *simdriver.Function) cuda.Result {
		return a.stream(stream, func(s *simdriver.Stream) cuda.Result {
			grid := [3]int{dimension(1), dimension(2), dimension(3)}
			block := [3]int{dimension(4), dimension(5), dimension(6)}
			var buffer []byte
			switch {
			case a.word(params) != 0 && a.word(extra) != 0:
				return cuda.InvalidValue
			case a.word(params) != 0:
				list := a.pointer(params) // of pointers to the arguments
				buffer = f.Pack(func(i, bytes int) []byte {
					return unsafe.Slice(*(**byte)(unsafe.Add(list, 8*i)), bytes)
				})
			case a.word(extra) != 0:
				var r cuda.Result
				if buffer, r = parameterBuffer(a.pointer(extra)); r != cuda.Success {
					return r
				}
			}
			return s.Launch(f, grid, block, shared, buffer)
		})
	})
}

// parameterBuffer reads extra: pairs of a key and a value.
func parameterBuffer(extra unsafe.Pointer) ([]byte, cuda.Result) {
	var start *byte
	size := -1
	for ; *(*uint64)(extra) != extraEnd; extra = unsafe.Add(extra, 16) {
		value := unsafe.Add(extra, 8)
		switch *(*uint64)(extra) {
		case extraBufferPointer:
			start = *(**byte)(value)
		case extraBufferSize:
			size = int(**(**uint64)(value))
		default:
			return nil, cuda.InvalidValue
		}
	}
	if size < 0 || start == nil && size > 0 {
		return nil, cuda.InvalidValue
	}
	return unsafe.Slice(start, size), cuda.Success
}
