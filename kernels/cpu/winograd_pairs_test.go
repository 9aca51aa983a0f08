package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"
)

// TestBF16Pairs holds the transforms of pairs of squares against float64: each term
// of the error, a row of lower·(R − m·x·mᵀ)·lowerᵀ, is one rounding of its place.
// Behind the channels are zeros up to whole vectors, and poison behind these and
// between panels and places.
func TestBF16Pairs(t *testing.T) {
	forBF16(t, func(t *testing.T, k *Kernels) {
		if k.BF16.SquarePairs == nil {
			return
		}
		rng := rand.New(rand.NewPCG(23, 24))
		for name, pairs := range map[string]*BF16Pairs{"portable": portableBF16Pairs(), k.Name: k.BF16.SquarePairs} {
			for _, channels := range []int{1, 2, 15, 16, 17, 31, 33, 64, 70, 130} {
				testPairs(t, fmt.Sprintf("%s, input, %d channels", name, channels), rng, pairs.Input, winogradInput, winogradInputFeedback.lower, channels)
				testPairs(t, fmt.Sprintf("%s, gradient, %d channels", name, channels), rng, pairs.OutputGrad, transposed(winogradOutput), winogradOutputGradFeedback.lower, channels)
			}
		}
	})
}

func testPairs(t *testing.T, name string, rng *rand.Rand, run func(*SquarePair), m, lower [][]float32, channels int) {
	t.Helper()
	const places, panels = 16, 3
	side, padded := len(m[0]), (channels+15)/16*16
	x := newLines(rng, 2*side*side, channels, channels+1, true)
	y := newLines(rng, places*panels, 0, PairPanel+3, false)
	in, _ := x.tables(2*side*side, 1)
	// In another order than in memory, and some of them the same.
	for i := range in {
		in[i] = x.at(i * 7 % (2 * side * side) / 2 * 2)
	}
	pitch := int(y.at(1) - y.at(0))
	run(&SquarePair{In: &in[0], Channels: channels, Out: y.at(0), Place: panels * pitch, Panel: pitch})
	value := func(square, i, j, c int) float64 {
		pixel := unsafe.Slice((*uint16)(*(*unsafe.Pointer)(unsafe.Pointer(&in[(square*side+i)*side+j]))), channels)
		return wide(pixel[c])
	}
	bits := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(y.single))), 2*len(y.single))
	for i, x := range bits {
		row, column := i/2/y.pitch, i/2%y.pitch
		if c := row%panels*PairPanel + column; row >= places*panels || column >= PairPanel || c >= padded {
			if x != poison {
				t.Fatalf("%s: wrote behind row %d", name, row)
			}
		} else if c >= channels && x&0x7fff != 0 {
			t.Fatalf("%s: place %d, channel %d, which is not one, is %#x", name, row/panels, c, x)
		}
	}
	result := func(square, i, j, c int) float64 {
		return wide(bits[2*(((4*i+j)*panels+c/PairPanel)*y.pitch+c%PairPanel)+square])
	}
	for square := range 2 {
		for c := range channels {
			for i := range 4 {
				for j := range 4 {
					got, want := 0.0, 0.0
					for a, u := range lower[i] {
						for b, v := range lower[j] {
							got += float64(u*v) * result(square, a, b, c)
							for p, f := range m[a] {
								for q, g := range m[b] {
									want += float64(u*v*f*g) * value(square, p, q, c)
								}
							}
						}
					}
					size := math.Abs(result(square, i, j, c))
					if d := math.Abs(got - want); !(d <= size/256+1e-5) { // half of the last of 8 bits
						t.Fatalf("%s: square %d, channel %d, place %d,%d: error %g of %g", name, square, c, i, j, d, size)
					}
				}
			}
		}
	}
	runtime.KeepAlive([]any{x, y, in})
}
