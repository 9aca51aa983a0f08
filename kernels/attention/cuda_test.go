package attention

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// TestOwn: result and gradient have the same bits however many rows a block owns, which depends on the card and on
// the number of images; with several tiles of others, channels that are not whole in a piece, and parts of a head.
func TestOwn(t *testing.T) {
	for _, c := range []struct{ pixels, heads, dim int }{{120, 2, 24}, {129, 1, 264}} {
		s := size{1, c.pixels, c.heads, c.dim}
		rng := rand.New(rand.NewPCG(1, 2))
		var results [2][]byte
		for i, multiprocessors := range []int{1, 500} {
			m := sim.NewMemory(64 << 20)
			place := func(channels int, filled bool) cuda.Operand {
				o := cuda.Operand{Type: number.BFloat16, Shape: tensor.Shape{1, c.pixels, 1, channels}, Rows: c.pixels, Cols: channels, Pitch: channels}
				var err error
				if o.Address, err = m.Alloc(o.Bytes()); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 0, o.Bytes())
				for range c.pixels * channels {
					x := number.Narrow(float32(rng.NormFloat64()))
					b = append(b, byte(x), byte(x>>8))
				}
				if filled {
					if err := m.Write(o.Address, b); err != nil {
						t.Fatal(err)
					}
				}
				return o
			}
			rng = rand.New(rand.NewPCG(1, 2))
			inner := s.inner()
			qkv, dy, y, dqkv := place(3*inner, true), place(inner, true), place(inner, false), place(3*inner, false)
			run := func(l cuda.Launch, scratch int, k cuda.Kernel) {
				l.Card.Multiprocessors = multiprocessors
				var err error
				if l.Scratch, err = m.Alloc(max(16, scratch)); err != nil {
					t.Fatal(err)
				}
				for _, call := range k.CUDA(l) {
					if narrow := strings.Contains(call.Function, "_16_"); narrow != (multiprocessors > 1) {
						t.Errorf("%s on %d multiprocessors", call.Function, multiprocessors)
					}
					if _, err := sim.New(m, sim.Options{}).Run(t.Context(), call); err != nil {
						t.Fatal(err)
					}
				}
			}
			run(cuda.Launch{In: []cuda.Operand{qkv}, Out: y}, 0, forward{heads: c.heads})
			l := cuda.Launch{In: []cuda.Operand{qkv, dy, y}, Out: dqkv}
			run(l, grad{heads: c.heads}.CUDAScratch(l), grad{heads: c.heads})
			for _, o := range []cuda.Operand{y, dqkv} {
				b := make([]byte, o.Bytes())
				if err := m.Read(o.Address, b); err != nil {
					t.Fatal(err)
				}
				results[i] = append(results[i], b...)
			}
		}
		if !bytes.Equal(results[0], results[1]) {
			t.Errorf("%v: blocks of %d and of %d rows give other bits", s, tile, narrow)
		}
	}
}
