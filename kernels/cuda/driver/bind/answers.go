//go:build gpu

package bind

import (
	"maps"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

// answers are the functions of the driver API that the simulated driver serves,
// by their names, without versions where one answer is that of all. What is not here gives CUDA_ERROR_NOT_SUPPORTED:
// textures and surfaces, arrays, copies in two and three dimensions, other devices,
// managed memory, the linker, occupancy (which needs registers), graphs put
// together node by node.
var answers = map[string]func(arguments) cuda.Result{}

func init() {
	for _, group := range []map[string]func(arguments) cuda.Result{
		deviceAnswers, contextAnswers, memoryAnswers, moduleAnswers, streamAnswers, graphAnswers,
	} {
		maps.Copy(answers, group)
	}
}

var deviceAnswers = map[string]func(arguments) cuda.Result{
	"cuDriverGetVersion": func(a arguments) cuda.Result {
		v, r := a.driver.Version()
		put(a, 0, int32(v))
		return r
	},
	"cuDeviceGetCount": func(a arguments) cuda.Result {
		n, r := a.driver.DeviceCount()
		put(a, 0, int32(n))
		return r
	},
	"cuDeviceGet": func(a arguments) cuda.Result {
		put(a, 0, int32(a.int(1)))
		return a.driver.DeviceGet(a.int(1))
	},
	"cuDeviceGetName":     func(a arguments) cuda.Result { return text(a, a.driver.DeviceName) },
	"cuDeviceGetPCIBusId": func(a arguments) cuda.Result { return text(a, a.driver.DeviceBusID) },
	"cuDeviceGetUuid":     func(a arguments) cuda.Result { return uuid(a, a.driver.WholeUUID) },
	"cuDeviceGetUuid_v2":  func(a arguments) cuda.Result { return uuid(a, a.driver.DeviceUUID) },
	"cuDeviceTotalMem": func(a arguments) cuda.Result {
		n, r := a.driver.DeviceMemory(a.int(1))
		put(a, 0, uint64(n))
		return r
	},
	"cuDeviceGetAttribute": func(a arguments) cuda.Result {
		v, r := a.driver.DeviceAttribute(a.int(1), a.int(2))
		put(a, 0, int32(v))
		return r
	},
	"cuGetErrorName":   func(a arguments) cuda.Result { return errorText(a) },
	"cuGetErrorString": func(a arguments) cuda.Result { return errorText(a) },
}

// uuid answers a question whose answer are 16 bytes.
func uuid(a arguments, of func(device int) ([16]byte, cuda.Result)) cuda.Result {
	id, r := of(a.int(1))
	if r == cuda.Success {
		put(a, 0, id)
	}
	return r
}

// hint answers calls that only advise the hardware.
func hint(name string) func(arguments) cuda.Result {
	return func(a arguments) cuda.Result { return a.driver.Note(name) }
}

// text answers a question whose answer goes into a buffer: argument 0, of as many
// bytes as argument 1 says.
func text(a arguments, of func(device int) (string, cuda.Result)) cuda.Result {
	s, r := of(a.int(2))
	if r != cuda.Success {
		return r
	}
	b := a.bytes(0, a.int(1))
	if len(b) == 0 {
		return cuda.InvalidValue
	}
	b[copy(b[:len(b)-1], s)] = 0
	return cuda.Success
}

var contextAnswers = map[string]func(arguments) cuda.Result{
	"cuCtxCreate": func(a arguments) cuda.Result {
		c, r := a.driver.CtxCreate(a.uint(1), a.int(2))
		if r == cuda.Success {
			a.current[a.thread] = append(a.current[a.thread], c)
		}
		return putHandle(a, 0, c, r)
	},
	"cuCtxDestroy": func(a arguments) cuda.Result {
		return object(a, 0, func(c *simdriver.Context) cuda.Result {
			if c == a.primary.context {
				return cuda.InvalidContext
			}
			r := c.Destroy()
			a.destroyed(c)
			return r
		})
	},
	"cuCtxPushCurrent": func(a arguments) cuda.Result {
		if r := a.driver.Note("cuCtxPushCurrent"); r != cuda.Success {
			return r
		}
		return object(a, 0, func(c *simdriver.Context) cuda.Result {
			a.current[a.thread] = append(a.current[a.thread], c)
			return cuda.Success
		})
	},
	"cuCtxPopCurrent": func(a arguments) cuda.Result {
		if r := a.driver.Note("cuCtxPopCurrent"); r != cuda.Success {
			return r
		}
		return a.context(func(c *simdriver.Context) cuda.Result {
			stack := a.current[a.thread]
			a.current[a.thread] = stack[:len(stack)-1]
			return putHandle(a, 0, c, cuda.Success)
		})
	},
	"cuCtxSetCurrent": func(a arguments) cuda.Result {
		if r := a.driver.Note("cuCtxSetCurrent"); r != cuda.Success {
			return r
		}
		stack := a.current[a.thread]
		if len(stack) > 0 {
			stack = stack[:len(stack)-1]
		}
		if a.word(0) == 0 {
			a.current[a.thread] = stack
			return cuda.Success
		}
		return object(a, 0, func(c *simdriver.Context) cuda.Result {
			a.current[a.thread] = append(stack, c)
			return cuda.Success
		})
	},
	"cuCtxGetCurrent": func(a arguments) cuda.Result {
		if r := a.context(func(c *simdriver.Context) cuda.Result { return putHandle(a, 0, c, cuda.Success) }); r != cuda.Success {
			put(a, 0, uint64(0))
		}
		return cuda.Success
	},
	"cuCtxGetDevice": func(a arguments) cuda.Result {
		return a.context(func(*simdriver.Context) cuda.Result {
			put(a, 0, int32(0))
			return cuda.Success
		})
	},
	"cuCtxGetFlags": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			put(a, 0, uint32(c.Flags()))
			return cuda.Success
		})
	},
	"cuCtxGetApiVersion": func(a arguments) cuda.Result {
		v, r := a.driver.Version()
		put(a, 1, uint32(v))
		return r
	},
	"cuCtxSynchronize": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result { return c.Synchronize() })
	},
	"cuCtxGetStreamPriorityRange": func(a arguments) cuda.Result {
		return a.context(func(*simdriver.Context) cuda.Result {
			put(a, 0, int32(0))
			put(a, 1, int32(-5))
			return cuda.Success
		})
	},
	"cuCtxSetCacheConfig":         hint("cuCtxSetCacheConfig"),
	"cuCtxSetSharedMemConfig":     hint("cuCtxSetSharedMemConfig"),
	"cuCtxResetPersistingL2Cache": hint("cuCtxResetPersistingL2Cache"),
	"cuDevicePrimaryCtxRetain": func(a arguments) cuda.Result {
		p := &a.primary
		if p.context == nil {
			c, r := a.driver.CtxCreate(p.flags, a.int(1))
			if r != cuda.Success {
				return r
			}
			p.context = c
		}
		p.users++
		return putHandle(a, 0, p.context, cuda.Success)
	},
	"cuDevicePrimaryCtxRelease": func(a arguments) cuda.Result {
		p := &a.primary
		if p.context == nil {
			return cuda.InvalidContext
		}
		if p.users--; p.users > 0 {
			return cuda.Success
		}
		c := p.context
		p.context = nil
		r := c.Destroy()
		a.destroyed(c)
		return r
	},
	"cuDevicePrimaryCtxGetState": func(a arguments) cuda.Result {
		active := int32(0)
		if a.primary.context != nil {
			active = 1
		}
		put(a, 1, uint32(a.primary.flags))
		put(a, 2, active)
		return a.driver.DeviceGet(a.int(0))
	},
	"cuDevicePrimaryCtxSetFlags": func(a arguments) cuda.Result {
		a.primary.flags = a.uint(1)
		return a.driver.DeviceGet(a.int(0))
	},
}

// destroyed drops the handles of everything that went with a context, and makes
// it current nowhere.
func (s *simulated) destroyed(c *simdriver.Context) {
	for object := range s.handles {
		if owned, ok := object.(interface{ Context() *simdriver.Context }); ok && owned.Context() == c {
			s.forget(object)
		}
	}
	s.forget(c)
	for thread, stack := range s.current {
		for i := range stack {
			if stack[i] == c {
				stack[i] = nil
			}
		}
		for len(stack) > 0 && stack[len(stack)-1] == nil {
			stack = stack[:len(stack)-1]
		}
		s.current[thread] = stack
	}
}
