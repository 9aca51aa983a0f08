//go:build gpu

package bind

// #include <stdlib.h>
import "C"

import (
	"sync"
	"unsafe"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

var streamAnswers = map[string]func(arguments) cuda.Result{
	"cuStreamCreate": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			s, r := c.StreamCreate(a.uint(1), 0)
			return putHandle(a, 0, s, r)
		})
	},
	"cuStreamCreateWithPriority": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			s, r := c.StreamCreate(a.uint(1), a.int(2))
			return putHandle(a, 0, s, r)
		})
	},
	"cuStreamDestroy": func(a arguments) cuda.Result {
		return drop(a, 0, func(s *simdriver.Stream) cuda.Result { return s.Destroy() })
	},
	"cuStreamSynchronize": func(a arguments) cuda.Result {
		return a.stream(0, func(s *simdriver.Stream) cuda.Result { return s.Synchronize() })
	},
	"cuStreamQuery": func(a arguments) cuda.Result {
		return a.stream(0, func(s *simdriver.Stream) cuda.Result { return s.Query() })
	},
	"cuStreamGetFlags": func(a arguments) cuda.Result {
		return a.stream(0, func(s *simdriver.Stream) cuda.Result {
			put(a, 1, uint32(s.Flags()))
			return cuda.Success
		})
	},
	"cuStreamGetPriority": func(a arguments) cuda.Result {
		return a.stream(0, func(s *simdriver.Stream) cuda.Result {
			put(a, 1, int32(s.Priority()))
			return cuda.Success
		})
	},
	"cuStreamWaitEvent": func(a arguments) cuda.Result {
		return a.stream(0, func(s *simdriver.Stream) cuda.Result {
			return object(a, 1, func(e *simdriver.Event) cuda.Result { return s.Wait(e) })
		})
	},
	"cuEventCreate": func(a arguments) cuda.Result {
		return a.context(func(c *simdriver.Context) cuda.Result {
			e, r := c.EventCreate(a.uint(1))
			return putHandle(a, 0, e, r)
		})
	},
	"cuEventDestroy": func(a arguments) cuda.Result {
		return drop(a, 0, func(e *simdriver.Event) cuda.Result { return e.Destroy() })
	},
	"cuEventRecord": func(a arguments) cuda.Result {
		return object(a, 0, func(e *simdriver.Event) cuda.Result {
			return a.stream(1, func(s *simdriver.Stream) cuda.Result { return e.Record(s) })
		})
	},
	"cuEventQuery": func(a arguments) cuda.Result {
		return object(a, 0, func(e *simdriver.Event) cuda.Result { return e.Query() })
	},
	"cuEventSynchronize": func(a arguments) cuda.Result {
		return object(a, 0, func(e *simdriver.Event) cuda.Result { return e.Synchronize() })
	},
	"cuEventElapsedTime": func(a arguments) cuda.Result {
		return object(a, 1, func(start *simdriver.Event) cuda.Result {
			return object(a, 2, func(end *simdriver.Event) cuda.Result {
				t, r := start.Elapsed(end)
				put(a, 0, float32(t.Seconds()*1000))
				return r
			})
		})
	},
}

var graphAnswers = map[string]func(arguments) cuda.Result{
	"cuStreamBeginCapture": func(a arguments) cuda.Result {
		return a.stream(0, func(s *simdriver.Stream) cuda.Result {
			return s.BeginCapture(simdriver.CaptureMode(a.int(1)))
		})
	},
	"cuStreamEndCapture": func(a arguments) cuda.Result {
		return a.stream(0, func(s *simdriver.Stream) cuda.Result {
			g, r := s.EndCapture()
			if r != cuda.Success {
				put(a, 1, uint64(0))
			}
			return putHandle(a, 1, g, r)
		})
	},
	"cuStreamIsCapturing": func(a arguments) cuda.Result {
		return a.stream(0, func(s *simdriver.Stream) cuda.Result {
			capturing, r := s.Capturing()
			status := int32(0)
			if capturing {
				status = 1
			}
			put(a, 1, status)
			return r
		})
	},
	"cuThreadExchangeStreamCaptureMode": func(a arguments) cuda.Result {
		mode := (*int32)(a.pointer(0))
		before, r := a.driver.SetCaptureMode(simdriver.CaptureMode(*mode))
		*mode = int32(before)
		return r
	},
	"cuGraphInstantiateWithFlags": func(a arguments) cuda.Result {
		return object(a, 1, func(g *simdriver.Graph) cuda.Result {
			x, r := g.Instantiate()
			return putHandle(a, 0, x, r)
		})
	},
	"cuGraphGetNodes": func(a arguments) cuda.Result {
		return object(a, 0, func(g *simdriver.Graph) cuda.Result {
			if a.word(1) != 0 {
				return a.driver.Unsupported("cuGraphGetNodes with a list")
			}
			put(a, 2, uint64(g.Nodes()))
			return cuda.Success
		})
	},
	"cuGraphLaunch": func(a arguments) cuda.Result {
		return object(a, 0, func(x *simdriver.Exec) cuda.Result {
			return a.stream(1, func(s *simdriver.Stream) cuda.Result { return x.Launch(s) })
		})
	},
	"cuGraphDestroy": func(a arguments) cuda.Result {
		return drop(a, 0, func(g *simdriver.Graph) cuda.Result { return g.Destroy() })
	},
	"cuGraphExecDestroy": func(a arguments) cuda.Result {
		return drop(a, 0, func(x *simdriver.Exec) cuda.Result { return x.Destroy() })
	},
	"cuTensorMapEncodeTiled": func(a arguments) cuda.Result {
		rank := int(a.uint(2))
		if rank < 1 || rank > 5 {
			return cuda.InvalidValue
		}
		t := cuda.TensorMap{
			Type: a.int(1), Address: a.address(3),
			Sizes:          unsafe.Slice((*uint64)(a.pointer(4)), rank),
			Strides:        unsafe.Slice((*uint64)(a.pointer(5)), rank-1),
			Box:            unsafe.Slice((*uint32)(a.pointer(6)), rank),
			ElementStrides: unsafe.Slice((*uint32)(a.pointer(7)), rank),
			Interleave:     a.int(8), Swizzle: a.int(9), Promotion: a.int(10), Fill: a.int(11),
		}
		image, r := a.driver.EncodeTensorMap(t)
		if r == cuda.Success {
			put(a, 0, image)
		}
		return r
	},
}

// errorTexts are C strings that live as long as the process, as the driver's do.
var errorTexts sync.Map

// errorText answers with the name of a result.
func errorText(a arguments) cuda.Result {
	r := cuda.Result(a.int(0))
	if !r.Known() {
		put(a, 1, uint64(0))
		return cuda.InvalidValue
	}
	s, known := errorTexts.Load(r)
	if !known {
		s, _ = errorTexts.LoadOrStore(r, unsafe.Pointer(C.CString(r.Error())))
	}
	put(a, 1, s.(unsafe.Pointer))
	return cuda.Success
}
