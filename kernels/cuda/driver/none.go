//go:build !gpu

package driver

import (
	"errors"

	"fluxion/kernels/cuda"
)

func nvidia() (cuda.Driver, error) {
	return nil, errors.New("this program was built without its GPU path, -tags gpu: scripts/build-gpu.sh FILE builds one with it")
}

func simulated() (cuda.Driver, error) { return simulator().Direct(), nil }
