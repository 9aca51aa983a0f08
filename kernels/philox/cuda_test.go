package philox_test

import (
	"slices"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
)

// The numbers on a GPU are those of the CPU, bit for bit.
func TestCUDA(t *testing.T) {
	for _, r := range []struct {
		n             int
		seed, address uint64
		stream, step  uint32
	}{
		{1, 0, 0, philox.Noise, 0}, {2, 1, 2, philox.Init, 3}, {7, 1 << 63, 1<<64 - 1, philox.Streams - 1, 1<<32 - 1},
		{40_001, 0x0123456789abcdef, 17, philox.SampleNoise, 999},
	} {
		for name, f := range map[string]struct {
			cuda func(out cuda.Address, n int, seed uint64, stream uint32, address uint64, step uint32) cuda.Call
			cpu  func(dst []float32, seed uint64, stream uint32, address uint64, step uint32)
		}{
			"normal":  {philox.CUDANormal, philox.Normal},
			"uniform": {philox.CUDAUniform, philox.Uniform},
		} {
			g := kerneltest.NewGPU(t, 1)
			out := g.Empty(number.Float32, 1, r.n, 0)
			g.Run(f.cuda(out.Address, r.n, r.seed, r.stream, r.address, r.step))
			want := make([]float32, r.n)
			f.cpu(want, r.seed, r.stream, r.address, r.step)
			if got := g.Values(out); !slices.Equal(got, want) {
				t.Errorf("%s %+v: the bits differ", name, r)
			}
		}
	}
}
