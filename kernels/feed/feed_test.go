package feed

import (
	"encoding/binary"
	"slices"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

func TestFeed(t *testing.T) {
	for _, n := range []int{1, 128, 200} {
		v := New(n, 1)
		want := make([]float64, n)
		for i := range want {
			v.Values[i] = float32(i) - 7.25
			want[i] = float64(v.Values[i])
		}
		kerneltest.CheckLaunch(t, kerneltest.Launch{Kernel: v, Out: kerneltest.Operand{Shape: tensor.Shape{n}, After: want}, Bits: true})
	}
}

// A step reads the row of its number; Advance moves on to the next.
func TestRowsCUDA(t *testing.T) {
	const n = 200
	v := New(n, 1)
	var rows [][]byte
	for step := range 3 {
		for i := range v.Values {
			v.Values[i] = float32(1000*step + i)
		}
		rows = append(rows, make([]byte, v.ParameterBytes()))
		v.PutParameters(rows[step])
	}
	g := kerneltest.NewGPU(t, 1)
	l := cuda.Launch{Out: g.Empty(number.Float32, 1, n, 0), Parameters: g.Parameters(0, rows...)}
	for step := range uint32(3) {
		g.Run(v.CUDA(l)...)
		for i, x := range g.Values(l.Out) {
			if x != float32(1000*int(step)+i) {
				t.Fatalf("step %d: value %d is %v", step, i, x)
			}
		}
		g.Run(Advance(l.Parameters.Counter))
		if got, want := g.Read(l.Parameters.Counter, 4), binary.LittleEndian.AppendUint32(nil, step+1); !slices.Equal(got, want) {
			t.Errorf("counter % x, want % x", got, want)
		}
	}
}
