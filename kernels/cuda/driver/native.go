//go:build gpu

package driver

// What gorgonia.org/cu lacks, and launches. The functions are declared here, not
// in cuda.h, whose versions differ; package bind defines them.

/*
#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern int cuCtxSetCurrent(void *context);
extern int cuDriverGetVersion(int *version);
extern int cuDeviceGetPCIBusId(char *id, int length, int device);
extern int cuDeviceGetUuid(unsigned char *id, int device);
extern int cuDeviceGetUuid_v2(unsigned char *id, int device);
extern int cuTensorMapEncodeTiled(void *map, int type, unsigned rank, void *address, const uint64_t *sizes, const uint64_t *strides,
                                  const uint32_t *box, const uint32_t *element_strides, int interleave, int swizzle,
                                  int promotion, int fill);
extern int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags);
extern int cuFuncSetAttribute(void *function, int attribute, int value);
extern int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *stream, void **params, void **extra);
extern int cuStreamBeginCapture_v2(void *stream, int mode);
extern int cuStreamEndCapture(void *stream, void **graph);
extern int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags);
extern int cuGraphDestroy(void *graph);
extern int cuGraphLaunch(void *exec, void *stream);
extern int cuGraphExecDestroy(void *exec);

// current makes a context current to the calling thread. Devices are told apart
// by number, for an address may come back after a context was destroyed.
static int current(uint64_t device, void *context) {
	static _Thread_local uint64_t last;
	if (device == last) return 0;
	int result = cuCtxSetCurrent(context);
	last = result ? 0 : device;
	return result;
}

// launch passes the arguments as one buffer, as they lie in cuda.Call.
static int launch(uint64_t device, void *context, void *function, unsigned gx, unsigned gy, unsigned gz,
                  unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, const void *args, size_t bytes) {
	enum { END, BUFFER_POINTER, BUFFER_SIZE }; // CU_LAUNCH_PARAM_*
	void *extra[] = {(void *)BUFFER_POINTER, (void *)args, (void *)BUFFER_SIZE, &bytes, (void *)END};
	int result = current(device, context);
	return result ? result : cuLaunchKernel(function, gx, gy, gz, bx, by, bz, shared, stream, NULL, extra);
}

// encode aligns the map as the driver wants it.
static int encode(void *map, int type, unsigned rank, uint64_t address, const uint64_t *sizes, const uint64_t *strides,
                  const uint32_t *box, const uint32_t *element_strides, int interleave, int swizzle, int promotion, int fill) {
	_Alignas(64) unsigned char image[128];
	int result = cuTensorMapEncodeTiled(image, type, rank, (void *)address, sizes, strides, box, element_strides, interleave,
	                                    swizzle, promotion, fill);
	if (!result) memcpy(map, image, sizeof image);
	return result;
}

static int launch_graph(uint64_t device, void *context, void *exec, void *stream) {
	int result = current(device, context);
	return result ? result : cuGraphLaunch(exec, stream);
}
*/
import "C"

import (
	"unsafe"

	"fluxion/kernels/cuda"

	"gorgonia.org/cu"
)

// The handles of cu are structs of one pointer, some of which cu does not show.

func handleOf[T cu.CUContext | cu.Function](t T) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&t))
}

func (s *stream) handle() unsafe.Pointer { return unsafe.Pointer(s.stream.C()) }

// makeCurrent makes the context current to this thread.
func (d *device) makeCurrent() cuda.Result {
	return cuda.Result(C.current(C.uint64_t(d.number), handleOf(d.context)))
}

// version is what cu.Version says, which loses the result.
func version() (int, cuda.Result) {
	var v C.int
	r := cuda.Result(C.cuDriverGetVersion(&v))
	return int(v), r
}

func busID(ordinal int) (string, cuda.Result) {
	var id [32]C.char
	r := cuda.Result(C.cuDeviceGetPCIBusId(&id[0], C.int(len(id)), C.int(ordinal)))
	return C.GoString(&id[0]), r
}

// uuids are that of a device, and that of the GPU which it may be a slice of.
func uuids(ordinal int) (own, whole [16]byte, r cuda.Result) {
	if r = cuda.Result(C.cuDeviceGetUuid_v2((*C.uchar)(&own[0]), C.int(ordinal))); r == cuda.Success {
		r = cuda.Result(C.cuDeviceGetUuid((*C.uchar)(&whole[0]), C.int(ordinal)))
	}
	return own, whole, r
}

func hostAlloc(bytes int) ([]byte, cuda.Result) {
	var p unsafe.Pointer
	if r := cuda.Result(C.cuMemHostAlloc(&p, C.size_t(bytes), 0)); r != cuda.Success {
		return nil, r
	}
	return unsafe.Slice((*byte)(p), bytes), cuda.Success
}

func encodeTensorMap(t *cuda.TensorMap) (image [128]byte, r cuda.Result) {
	r = cuda.Result(C.encode(unsafe.Pointer(&image[0]), C.int(t.Type), C.uint(len(t.Sizes)), C.uint64_t(t.Address),
		(*C.uint64_t)(unsafe.SliceData(t.Sizes)), (*C.uint64_t)(unsafe.SliceData(t.Strides)),
		(*C.uint32_t)(unsafe.SliceData(t.Box)), (*C.uint32_t)(unsafe.SliceData(t.ElementStrides)),
		C.int(t.Interleave), C.int(t.Swizzle), C.int(t.Promotion), C.int(t.Fill)))
	return image, r
}

// setDynamicShared lets launches of a function ask for so much dynamic shared memory.
func setDynamicShared(f cu.Function, bytes int) cuda.Result {
	const maxDynamicShared = 8 // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
	return cuda.Result(C.cuFuncSetAttribute(handleOf(f), maxDynamicShared, C.int(bytes)))
}

func (s *stream) launch(f cu.Function, call *cuda.Call) cuda.Result {
	return cuda.Result(C.launch(C.uint64_t(s.device.number), handleOf(s.device.context), handleOf(f),
		C.uint(call.Grid[0]), C.uint(call.Grid[1]), C.uint(call.Grid[2]),
		C.uint(call.Block[0]), C.uint(call.Block[1]), C.uint(call.Block[2]),
		C.uint(call.Shared), s.handle(), unsafe.Pointer(unsafe.SliceData(call.Args)), C.size_t(len(call.Args))))
}

// captureThreadLocal keeps only the capturing thread from calls that would disturb
// the capture: others may take memory meanwhile.
const captureThreadLocal = 1 // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL

func (s *stream) beginCapture() cuda.Result {
	return cuda.Result(C.cuStreamBeginCapture_v2(s.handle(), captureThreadLocal))
}

func (s *stream) endCapture() (captured unsafe.Pointer, r cuda.Result) {
	r = cuda.Result(C.cuStreamEndCapture(s.handle(), &captured))
	return captured, r
}

func instantiate(captured unsafe.Pointer) (exec unsafe.Pointer, r cuda.Result) {
	r = cuda.Result(C.cuGraphInstantiateWithFlags(&exec, captured, 0))
	return exec, r
}

func destroyCaptured(captured unsafe.Pointer) cuda.Result {
	return cuda.Result(C.cuGraphDestroy(captured))
}

func (g *graph) launch(s *stream) cuda.Result {
	return cuda.Result(C.launch_graph(C.uint64_t(g.device.number), handleOf(g.device.context), g.exec, s.handle()))
}

func (g *graph) destroy() cuda.Result { return cuda.Result(C.cuGraphExecDestroy(g.exec)) }
