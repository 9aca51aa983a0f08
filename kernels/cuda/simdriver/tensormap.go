package simdriver

import (
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// EncodeTensorMap is cuTensorMapEncodeTiled.
func (d *Driver) EncodeTensorMap(t cuda.TensorMap) (image [128]byte, r cuda.Result) {
	r = d.call("cuTensorMapEncodeTiled", func() cuda.Result {
		if d.options.Major < 9 {
			return d.fail(cuda.NotSupported, "tensor maps need compute capability 9.0")
		}
		var err error
		if image, err = sim.EncodeTensorMap(t); err != nil {
			return d.fail(cuda.InvalidValue, "%v", err)
		}
		return cuda.Success
	})
	return image, r
}
