//go:build !gpu

package driver

import (
	"errors"

	"fluxion/kernels/cuda"
)

func nvidia() (cuda.Driver, error) {
	return nil, errors.New("this program was built without its GPU path: build it with -tags gpu (a C compiler and cuda.h are needed, see scripts/gpu-env.sh)")
}

func simulated() (cuda.Driver, error) { return simulator().Direct(), nil }
