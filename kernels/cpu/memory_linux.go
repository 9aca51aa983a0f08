package cpu

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugeFloats is the size from which memory is mapped in huge pages, 4 MiB.
const hugeFloats = 1 << 20

// Alloc returns n zeroed floats on a cache line. Large memory is mapped outside
// Go's heap, in huge pages where the system has them.
func Alloc(n int) []float32 {
	if n < hugeFloats {
		return aligned(n)
	}
	b, err := unix.Mmap(-1, 0, 4*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return aligned(n) // the collector's memory will do, or say what is wrong
	}
	unix.Madvise(b, unix.MADV_HUGEPAGE) // an optimisation; a refusal changes nothing
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// Free gives memory of Alloc back.
func Free(x []float32) {
	if len(x) >= hugeFloats {
		unix.Munmap(unsafe.Slice((*byte)(pointer(x)), 4*len(x))) // fails for the collector's memory, which needs no help
	}
}

// processLeft is what is left of the limits on this process's memory, in bytes; 0
// without one.
func processLeft() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	least := int64(0)
	for resource, key := range map[int]string{unix.RLIMIT_AS: "VmSize:", unix.RLIMIT_DATA: "VmData:"} {
		var limit unix.Rlimit
		if unix.Getrlimit(resource, &limit) != nil || limit.Cur >= unlimited {
			continue
		}
		if left := max(1, int64(limit.Cur)-kibibytes(string(status), key)); least == 0 || left < least {
			least = left
		}
	}
	return least
}
