package philox

import (
	"math"
	"testing"

	"fluxion/kernels/cpu"
)

// TestVectors: every instruction set gives the bits of the loops in Go, wherever in a
// request numbers begin and end, up to its last block, and writes nothing beside them.
func TestVectors(t *testing.T) {
	for _, name := range cpu.Names() {
		k, err := cpu.Select(name)
		if err != nil {
			t.Fatal(err)
		}
		if k.Random.Values == 0 {
			continue // the loops themselves
		}
		t.Run(name, func(t *testing.T) {
			for _, from := range []int{0, 4, 1021, MaxValues - 1200} {
				for skip := range 4 {
					for _, n := range []int{0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 191, 257, 1195} {
						compareVectors(t, k.Random, from+skip, n, 0x0123456789abcdef+uint64(n), 0xfedcba9876543210, 0xffffffff)
					}
				}
			}
			compareVectors(t, k.Random, 0, 1<<20, 5, 6, 7)
		})
	}
}

func compareVectors(t *testing.T, v cpu.Random, first, n int, seed, address uint64, step uint32) {
	t.Helper()
	const guard = 16
	for kind, fill := range map[string]func(v cpu.Random, dst []float32){
		"normal":  func(v cpu.Random, dst []float32) { normalAt(v, dst, first, seed, SampleNoise, address, step) },
		"uniform": func(v cpu.Random, dst []float32) { uniformAt(v, dst, first, .5, .5, seed, Streams-1, address, step) },
		"scaled": func(v cpu.Random, dst []float32) {
			uniformAt(v, dst, first, 1, .0360843918, seed, Init, address, step)
		},
	} {
		want, got := make([]float32, n), make([]float32, n+2*guard)
		for i := range got {
			got[i] = 99
		}
		fill(cpu.Random{}, want)
		fill(v, got[guard:guard+n])
		for i, x := range got {
			w := float32(99)
			if i >= guard && i < guard+n {
				w = want[i-guard]
			}
			if math.Float32bits(x) != math.Float32bits(w) {
				t.Fatalf("%s values %d to %d: %v at %d, want %v", kind, first, first+n, x, i-guard, w)
			}
		}
	}
}

// TestUniformIsExact: as centre ± half of ½, values are those the package promises.
func TestUniformIsExact(t *testing.T) {
	for _, w := range []uint32{0, 1 << 8, 1<<31 - 1, 1 << 31, math.MaxUint32, 0xdeadbeef} {
		u := uniform(w)
		if got := .5 + float32(.5*(2*u-1)); got != u {
			t.Errorf("word %x: %v, want %v", w, got, u)
		}
	}
}
