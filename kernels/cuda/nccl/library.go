//go:build gpu

package nccl

// The functions of nccl.h that are used. They are found when the program runs, so neither
// headers nor a library are needed to build it. An ncclUniqueId is passed by value.

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stddef.h>
// #include <stdint.h>
// #include <stdlib.h>
//
// typedef struct { char bytes[128]; } unique_id;
// enum { VERSION, UNIQUE_ID, INIT_RANK, DESTROY, ABORT, ASYNC_ERROR, GROUP_START, GROUP_END, SEND, RECV, ERROR_STRING, LAST_ERROR, COUNT };
// static const char *const names[] = {
//     "ncclGetVersion", "ncclGetUniqueId", "ncclCommInitRank", "ncclCommDestroy", "ncclCommAbort", "ncclCommGetAsyncError",
//     "ncclGroupStart", "ncclGroupEnd", "ncclSend", "ncclRecv", "ncclGetErrorString", "ncclGetLastError",
// };
// typedef struct { void *at[COUNT]; } functions;
//
// // open_library returns 0, or why there is none; missing is a function that it has not.
// static const char *open_library(functions *f, const char *path, const char **missing) {
// 	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
// 	if (!library) return dlerror();
// 	for (int i = 0; i < COUNT; i++) {
// 		f->at[i] = dlsym(library, names[i]);
// 		if (!f->at[i] && !*missing) *missing = names[i];
// 	}
// 	return 0;
// }
//
// enum { BYTES = 0 }; // ncclInt8
//
// static int get_version(functions *f, int *v) { return ((int (*)(int *))f->at[VERSION])(v); }
// static int get_unique_id(functions *f, void *id) { return ((int (*)(unique_id *))f->at[UNIQUE_ID])(id); }
// static int init_rank(functions *f, void **comm, int world, const void *id, int rank) {
// 	return ((int (*)(void **, int, unique_id, int))f->at[INIT_RANK])(comm, world, *(const unique_id *)id, rank);
// }
// static int destroy(functions *f, uintptr_t comm) { return ((int (*)(void *))f->at[DESTROY])((void *)comm); }
// static int abort_comm(functions *f, uintptr_t comm) { return ((int (*)(void *))f->at[ABORT])((void *)comm); }
// static int async_error(functions *f, uintptr_t comm, int *e) { return ((int (*)(void *, int *))f->at[ASYNC_ERROR])((void *)comm, e); }
// static int group_start(functions *f) { return ((int (*)(void))f->at[GROUP_START])(); }
// static int group_end(functions *f) { return ((int (*)(void))f->at[GROUP_END])(); }
// static int send_bytes(functions *f, uint64_t at, size_t n, int peer, uintptr_t comm, void *stream) {
// 	return ((int (*)(const void *, size_t, int, int, void *, void *))f->at[SEND])((const void *)at, n, BYTES, peer, (void *)comm, stream);
// }
// static int recv_bytes(functions *f, uint64_t at, size_t n, int peer, uintptr_t comm, void *stream) {
// 	return ((int (*)(void *, size_t, int, int, void *, void *))f->at[RECV])((void *)at, n, BYTES, peer, (void *)comm, stream);
// }
// static const char *error_string(functions *f, int r) { return ((const char *(*)(int))f->at[ERROR_STRING])(r); }
// static const char *last_error(functions *f) { return ((const char *(*)(void *))f->at[LAST_ERROR])(0); }
import "C"

import (
	"fmt"
	"strings"
	"unsafe"

	"fluxion/kernels/cuda"
)

// installed are the names under which the library is found.
var installed = []string{"libnccl.so.2", "libnccl.so"}

// load finds the library.
func load(path string) (calls, string, error) {
	paths := installed
	if path != "" {
		paths = []string{path}
	}
	var tried []string
	for _, path := range paths {
		f := (*C.functions)(C.calloc(1, C.sizeof_functions)) // for as long as the process, as the library is
		file := C.CString(path)
		var missing *C.char
		why := C.open_library(f, file, &missing)
		C.free(unsafe.Pointer(file))
		switch {
		case why != nil:
			tried = append(tried, C.GoString(why))
		case missing != nil:
			return calls{}, path, fmt.Errorf("%s has no %s: it is no NCCL, or an older one than %s", path, C.GoString(missing), versionText(oldest))
		default:
			return native{f}.calls(), path, nil
		}
	}
	return calls{}, "", fmt.Errorf("NCCL cannot be loaded: %s", strings.Join(tried, "; "))
}

// native is a library that was loaded.
type native struct{ functions *C.functions }

func (n native) calls() calls {
	handle := func(s cuda.Stream) unsafe.Pointer { return s.(interface{ Handle() unsafe.Pointer }).Handle() }
	f := n.functions
	return calls{
		getVersion:  func(v *int32) Result { return Result(C.get_version(f, (*C.int)(v))) },
		getUniqueID: func(id *ID) Result { return Result(C.get_unique_id(f, unsafe.Pointer(id))) },
		commInitRank: func(c *comm, world int, id *ID, rank int) Result {
			var p unsafe.Pointer
			r := Result(C.init_rank(f, &p, C.int(world), unsafe.Pointer(id), C.int(rank)))
			*c = comm(uintptr(p))
			return r
		},
		commDestroy: func(c comm) Result { return Result(C.destroy(f, C.uintptr_t(c))) },
		commAbort:   func(c comm) Result { return Result(C.abort_comm(f, C.uintptr_t(c))) },
		getAsyncError: func(c comm, async *Result) Result {
			return Result(C.async_error(f, C.uintptr_t(c), (*C.int)(async)))
		},
		groupStart: func() Result { return Result(C.group_start(f)) },
		groupEnd:   func() Result { return Result(C.group_end(f)) },
		send: func(from cuda.Address, bytes, peer int, c comm, s cuda.Stream) Result {
			return Result(C.send_bytes(f, C.uint64_t(from), C.size_t(bytes), C.int(peer), C.uintptr_t(c), handle(s)))
		},
		recv: func(to cuda.Address, bytes, peer int, c comm, s cuda.Stream) Result {
			return Result(C.recv_bytes(f, C.uint64_t(to), C.size_t(bytes), C.int(peer), C.uintptr_t(c), handle(s)))
		},
		errorString: func(r Result) string { return C.GoString(C.error_string(f, C.int(r))) },
		lastError:   func() string { return C.GoString(C.last_error(f)) },
	}
}
