package plan

import (
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
	"fluxion/nets/catalog"
)

// Every launch of every preset, and of networks with the parts that presets
// lack, can run on a GPU: its kernel is a cuda.Kernel.
func TestEveryKernelHasCUDA(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, preset := range catalog.PresetNames() {
		for _, without := range [][]string{nil, FusionNames()} {
			for _, precision := range []number.Type{number.Float32, number.BFloat16} {
				for _, l := range precise(t, preset, 2, precision, without...).Launches {
					if _, ok := l.Kernel.(cuda.Kernel); !ok {
						t.Errorf("%s in %v: %v (%T) has no CUDA kernel", preset, precision, l.Kernel, l.Kernel)
					}
				}
			}
		}
	}
}
