package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"

	"fluxion/kernels/number"
)

// lines is some rows of bfloat16 or float32, pitch elements apart, poison between them.
type lines struct {
	half   []uint16
	single []float32
	pitch  int
}

func newLines(rng *rand.Rand, rows, columns, pitch int, half bool) lines {
	l := lines{pitch: pitch, single: make([]float32, rows*pitch+guardHalves)}
	l.half = unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(l.single))), 2*len(l.single))
	for i := range l.half {
		l.half[i] = poison
	}
	for r := range rows {
		for c := range columns {
			x := float32(rng.NormFloat64())
			if half {
				l.half[r*pitch+c] = number.Narrow(x)
			} else {
				l.single[r*pitch+c] = x
			}
		}
	}
	if !half {
		l.half = nil
	}
	return l
}

func (l lines) at(row int) uintptr {
	if l.half != nil {
		return addressOf(l.half[row*l.pitch:])
	}
	return uintptr(pointer(l.single[row*l.pitch:]))
}

func (l lines) value(i int) (x float64, poisoned bool) {
	if l.half != nil {
		return wide(l.half[i]), l.half[i] == poison
	}
	return float64(l.single[i]), math.Float32bits(l.single[i]) == poison<<16|poison
}

// tables are the addresses of the first of count times n lines.
func (l lines) tables(n, count int) (first []uintptr, pitch int) {
	for i := range n {
		first = append(first, l.at(i*count))
	}
	return first, int(l.at(1) - l.at(0))
}

// TestHalfWinograd holds every step against float64, on lines of odd lengths with
// poison around them.
func TestHalfWinograd(t *testing.T) {
	forHalf(t, func(t *testing.T, k *Kernels) {
		w := k.Half.Winograd
		if w == nil {
			return
		}
		rng := rand.New(rand.NewPCG(21, 22))
		for _, columns := range []int{1, 7, 15, 16, 17, 40, 64, 70} {
			for _, count := range []int{1, 3} {
				for _, c := range []struct {
					name            string
					matrix          [][]float32
					run             func(*HalfLines)
					inHalf, outHalf bool
					epilogue        int // 1: biases, 2: and addends
				}{
					{"input", winogradInput, w.Input, true, true, 0},
					{"output", winogradOutput, w.Output, false, true, 1},
					{"output with addend", winogradOutput, w.Output, false, true, 2},
					{"output gradient", transposed(winogradOutput), w.OutputGrad, true, true, 0},
					{"weights", winogradWeights, w.Weights, false, true, 0},
					{"weights gradient", transposed(winogradWeights), w.WeightsGrad, false, false, 0},
				} {
					n, terms := len(c.matrix), len(c.matrix[0])
					x := newLines(rng, terms*count, columns, columns+3, c.inHalf)
					y := newLines(rng, n*count, 0, columns+5, c.outHalf)
					add := newLines(rng, n*count, columns, columns+1, true)
					bias := vector(rng, columns)
					l := &HalfLines{Count: count, Columns: columns, Bias: uintptr(pointer(bias))}
					in, inPitch := x.tables(terms, count)
					out, outPitch := y.tables(n, count)
					adds, addPitch := add.tables(n, count)
					l.In, l.InPitch, l.Out, l.OutPitch = &in[0], inPitch, &out[0], outPitch
					if c.epilogue == 2 {
						l.Add, l.AddPitch = &adds[0], addPitch
					}
					c.run(l)
					name := fmt.Sprintf("%s of %d times %d", c.name, count, columns)
					diff, norm := 0.0, 0.0
					for i := range n * count * y.pitch {
						row, column := i/y.pitch, i%y.pitch
						got, poisoned := y.value(i)
						if column >= columns {
							if !poisoned {
								t.Fatalf("%s: wrote behind line %d", name, row)
							}
							continue
						}
						want := 0.0
						for j, f := range c.matrix[row/count] {
							if f != 0 {
								v, _ := x.value((j*count+row%count)*x.pitch + column)
								want += float64(f) * v
							}
						}
						if c.epilogue > 0 {
							want += float64(bias[column])
						}
						if c.epilogue > 1 {
							v, _ := add.value(row*add.pitch + column)
							want += v
						}
						diff, norm = diff+(got-want)*(got-want), norm+want*want
					}
					budget := 1e-6
					if c.outHalf {
						budget = 4e-3
					}
					if e := math.Sqrt(diff / norm); !(e <= budget) {
						t.Errorf("%s: relative error %.3g, budget %g", name, e, budget)
					}
					runtime.KeepAlive([]any{x, y, add, bias, in, out, adds})
				}
			}
		}
	})
}
