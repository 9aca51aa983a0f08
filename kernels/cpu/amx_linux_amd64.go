package cpu

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of arch_prctl, from asm/prctl.h of Linux, and the components of state that tiles are.
const (
	archGetSupported      = 0x1021
	archRequestPermission = 0x1023
	tileConfigState       = 17
	tileDataState         = 18
)

// tilesGranted asks the system, once, to let all threads of this process use tiles. It
// says no where the processor has none.
var tilesGranted = sync.OnceValue(func() bool {
	const both = 1<<tileConfigState | 1<<tileDataState
	var supported uint64
	if _, _, errno := unix.Syscall(unix.SYS_ARCH_PRCTL, archGetSupported, uintptr(unsafe.Pointer(&supported)), 0); errno != 0 {
		return false
	}
	if supported&both != both {
		return false
	}
	_, _, errno := unix.Syscall(unix.SYS_ARCH_PRCTL, archRequestPermission, tileDataState, 0)
	return errno == 0
})
