package device

import (
	"errors"
	"fmt"

	"fluxion/kernels/cuda"
)

// KernelError is a kernel that failed on a GPU, which is of no use to this process any more. Within a
// graph nobody knows which it was: Function is empty then.
type KernelError struct {
	Device     string
	Launch, Of int    // of the plan, from 1; 0: a kernel beside its launches
	Operator   string // of the launch
	Layer      string // that it is of, or comes behind
	Behind     bool   // the latter: it is of no layer itself
	Function   string // with its module
	Err        error  // of the driver
}

func (e *KernelError) Error() string {
	if e.Function == "" {
		return fmt.Sprintf("%v; the same with %s=0 names the kernel", e.Err, GraphVariable)
	}
	return fmt.Sprintf("%s: %v", e.Place(), e.Err)
}

func (e *KernelError) Unwrap() error { return e.Err }

// Place names the kernel.
func (e *KernelError) Place() string {
	place := "function " + e.Function
	if e.Layer != "" {
		place = "layer " + e.Layer + ", " + place
	}
	if e.Behind {
		place = "behind " + place
	}
	if e.Launch > 0 {
		place = fmt.Sprintf("launch %d of %d, %s, %s", e.Launch, e.Of, e.Operator, place)
	}
	return place
}

// kernelError makes one of a driver's error, if it is of a kernel's doing and that is not known yet.
func (d *CUDA) kernelError(err error) error {
	var e *cuda.Error
	if known := (*KernelError)(nil); errors.As(err, &known) || !errors.As(err, &e) || !e.Result.OfKernel() {
		return err
	}
	return &KernelError{Device: d.Name(), Err: err}
}
