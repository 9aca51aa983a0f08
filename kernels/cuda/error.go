package cuda

import (
	"errors"
	"fmt"
	"slices"
)

// Error is a call of the driver that failed.
type Error struct {
	Call   string // cuMemAlloc
	Result Result
	What   string // what was asked: "1048576 bytes", "conv.conv_forward_bf16"
	Detail string // what more is known: the compiler's log, the simulator's finding
}

func (e *Error) Error() string {
	s := e.Call
	if e.What != "" {
		s += " (" + e.What + ")"
	}
	s += ": " + e.Result.Error()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap lets errors.Is find the result.
func (e *Error) Unwrap() error { return e.Result }

// Result is a CUresult other than success. As an error it is CUDA's name for it,
// and is what errors.Is compares: errors.Is(err, cuda.OutOfMemory).
type Result int

// Results that this program gives or looks at. Numbers and names: cuda.h, CUresult.
const (
	Success                  Result = 0
	InvalidValue             Result = 1
	OutOfMemory              Result = 2
	NotInitialized           Result = 3
	Deinitialized            Result = 4
	StubLibrary              Result = 34
	DeviceUnavailable        Result = 46
	NoDevice                 Result = 100
	InvalidDevice            Result = 101
	InvalidImage             Result = 200
	InvalidContext           Result = 201
	NoBinaryForGPU           Result = 209
	InvalidPTX               Result = 218
	UnsupportedPTXVersion    Result = 222
	InvalidSource            Result = 300
	SharedObjectNotFound     Result = 302
	OperatingSystem          Result = 304
	InvalidHandle            Result = 400
	IllegalState             Result = 401
	NotFound                 Result = 500
	NotReady                 Result = 600
	IllegalAddress           Result = 700
	LaunchOutOfResources     Result = 701
	LaunchTimeout            Result = 702
	ContextIsDestroyed       Result = 709
	HostMemoryRegistered     Result = 712
	HostMemoryNotRegistered  Result = 713
	IllegalInstruction       Result = 715
	MisalignedAddress        Result = 716
	InvalidAddressSpace      Result = 717
	InvalidPC                Result = 718
	LaunchFailed             Result = 719
	NotPermitted             Result = 800
	NotSupported             Result = 801
	SystemNotReady           Result = 802
	SystemDriverMismatch     Result = 803
	CompatNotSupported       Result = 804
	StreamCaptureUnsupported Result = 900
	StreamCaptureInvalidated Result = 901
	StreamCaptureMerge       Result = 902
	StreamCaptureUnmatched   Result = 903
	StreamCaptureUnjoined    Result = 904
	StreamCaptureIsolation   Result = 905
	StreamCaptureImplicit    Result = 906
	CapturedEvent            Result = 907
	StreamCaptureWrongThread Result = 908
	GraphExecUpdateFailure   Result = 910
	ECCUncorrectable         Result = 214
	HardwareStackError       Result = 714
	Unknown                  Result = 999
)

var names = map[Result]string{
	Success:                  "CUDA_SUCCESS",
	InvalidValue:             "CUDA_ERROR_INVALID_VALUE",
	OutOfMemory:              "CUDA_ERROR_OUT_OF_MEMORY",
	NotInitialized:           "CUDA_ERROR_NOT_INITIALIZED",
	Deinitialized:            "CUDA_ERROR_DEINITIALIZED",
	StubLibrary:              "CUDA_ERROR_STUB_LIBRARY",
	DeviceUnavailable:        "CUDA_ERROR_DEVICE_UNAVAILABLE",
	NoDevice:                 "CUDA_ERROR_NO_DEVICE",
	InvalidDevice:            "CUDA_ERROR_INVALID_DEVICE",
	InvalidImage:             "CUDA_ERROR_INVALID_IMAGE",
	InvalidContext:           "CUDA_ERROR_INVALID_CONTEXT",
	NoBinaryForGPU:           "CUDA_ERROR_NO_BINARY_FOR_GPU",
	ECCUncorrectable:         "CUDA_ERROR_ECC_UNCORRECTABLE",
	InvalidPTX:               "CUDA_ERROR_INVALID_PTX",
	UnsupportedPTXVersion:    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
	InvalidSource:            "CUDA_ERROR_INVALID_SOURCE",
	SharedObjectNotFound:     "CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND",
	OperatingSystem:          "CUDA_ERROR_OPERATING_SYSTEM",
	InvalidHandle:            "CUDA_ERROR_INVALID_HANDLE",
	IllegalState:             "CUDA_ERROR_ILLEGAL_STATE",
	NotFound:                 "CUDA_ERROR_NOT_FOUND",
	NotReady:                 "CUDA_ERROR_NOT_READY",
	IllegalAddress:           "CUDA_ERROR_ILLEGAL_ADDRESS",
	LaunchOutOfResources:     "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
	LaunchTimeout:            "CUDA_ERROR_LAUNCH_TIMEOUT",
	ContextIsDestroyed:       "CUDA_ERROR_CONTEXT_IS_DESTROYED",
	HostMemoryRegistered:     "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED",
	HostMemoryNotRegistered:  "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED",
	HardwareStackError:       "CUDA_ERROR_HARDWARE_STACK_ERROR",
	IllegalInstruction:       "CUDA_ERROR_ILLEGAL_INSTRUCTION",
	MisalignedAddress:        "CUDA_ERROR_MISALIGNED_ADDRESS",
	InvalidAddressSpace:      "CUDA_ERROR_INVALID_ADDRESS_SPACE",
	InvalidPC:                "CUDA_ERROR_INVALID_PC",
	LaunchFailed:             "CUDA_ERROR_LAUNCH_FAILED",
	NotPermitted:             "CUDA_ERROR_NOT_PERMITTED",
	NotSupported:             "CUDA_ERROR_NOT_SUPPORTED",
	SystemNotReady:           "CUDA_ERROR_SYSTEM_NOT_READY",
	SystemDriverMismatch:     "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
	CompatNotSupported:       "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
	StreamCaptureUnsupported: "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
	StreamCaptureInvalidated: "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
	StreamCaptureMerge:       "CUDA_ERROR_STREAM_CAPTURE_MERGE",
	StreamCaptureUnmatched:   "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
	StreamCaptureUnjoined:    "CUDA_ERROR_STREAM_CAPTURE_UNJOINED",
	StreamCaptureIsolation:   "CUDA_ERROR_STREAM_CAPTURE_ISOLATION",
	StreamCaptureImplicit:    "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
	CapturedEvent:            "CUDA_ERROR_CAPTURED_EVENT",
	StreamCaptureWrongThread: "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
	GraphExecUpdateFailure:   "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE",
	Unknown:                  "CUDA_ERROR_UNKNOWN",
}

// Error is CUDA's name for the result.
func (r Result) Error() string {
	if s := names[r]; s != "" {
		return s
	}
	return fmt.Sprintf("CUresult %d", int(r))
}

// Lost reports whether the device is lost to this process after that error: all
// later calls give it again, and what was in its memory is gone.
func (r Result) Lost() bool {
	switch r {
	case ECCUncorrectable, ContextIsDestroyed, DeviceUnavailable, Unknown:
		return true
	}
	return r.OfKernel()
}

// OfKernel reports whether it is what a kernel did that lost the device, which the error is not of:
// it is seen by whoever waits for the device.
func (r Result) OfKernel() bool {
	switch r {
	case IllegalAddress, LaunchTimeout, HardwareStackError, IllegalInstruction, MisalignedAddress, InvalidAddressSpace, InvalidPC, LaunchFailed:
		return true
	}
	return false
}

// Closing joins the errors of what is closed together. That a device was lost is
// not among them: whoever used it has seen that, and closing it is all there is left.
func Closing(failed ...error) error {
	return errors.Join(slices.DeleteFunc(failed, func(err error) bool {
		var e *Error
		return errors.As(err, &e) && e.Result.Lost()
	})...)
}

// Known tells whether the result has a name here.
func (r Result) Known() bool { return names[r] != "" }
