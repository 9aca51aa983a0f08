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
	bf16   []uint16
	single []float32
	pitch  int
}

func newLines(rng *rand.Rand, rows, columns, pitch int, bf16 bool) lines {
	l := lines{pitch: pitch, single: make([]float32, rows*pitch+guardBF16)}
	l.bf16 = unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(l.single))), 2*len(l.single))
	for i := range l.bf16 {
		l.bf16[i] = poison
	}
	for r := range rows {
		for c := range columns {
			x := float32(rng.NormFloat64())
			if bf16 {
				l.bf16[r*pitch+c] = number.Narrow(x)
			} else {
				l.single[r*pitch+c] = x
			}
		}
	}
	if !bf16 {
		l.bf16 = nil
	}
	return l
}

func (l lines) at(row int) uintptr {
	if l.bf16 != nil {
		return addressOf(l.bf16[row*l.pitch:])
	}
	return uintptr(pointer(l.single[row*l.pitch:]))
}

func (l lines) value(i int) (x float64, poisoned bool) {
	if l.bf16 != nil {
		return wide(l.bf16[i]), l.bf16[i] == poison
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

// TestBF16Squares holds every step against float64, on squares of lines of odd
// lengths with poison around them. A step with feedback must leave each term of the
// error, a row of lower·(R − m·x·mᵀ)·lowerᵀ, no more than one rounding.
func TestBF16Squares(t *testing.T) {
	implementations := map[string]*BF16Squares{"portable": portableBF16Squares()}
	for _, k := range available() {
		if k.BF16 != nil && k.BF16.Squares != nil {
			implementations[k.Name] = k.BF16.Squares
		}
	}
	for name, w := range implementations {
		t.Run(name, func(t *testing.T) { checkBF16Squares(t, halfSteps(w)) })
	}
}

// bf16Step is a step that is to be m·x·mᵀ, or with feedback lower·m·x·mᵀ·lowerᵀ = lower·R·lowerᵀ.
type bf16Step struct {
	name            string
	matrix, lower   [][]float32
	run             func(*BF16Lines)
	inBF16, outBF16 bool
	epilogue        int // 1: biases, 2: and addends
}

var identity = [][]float32{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}

func halfSteps(w *BF16Squares) []bf16Step {
	return []bf16Step{
		{"input", winogradInput, winogradInputFeedback.lower, w.Input, true, true, 0},
		{"output", winogradOutput, identity[:2], w.Output, false, true, 1},
		{"output with addend", winogradOutput, identity[:2], w.Output, false, true, 2},
		{"weights", winogradWeights, winogradWeightsFeedback.lower, w.Weights, false, true, 0},
	}
}

// TestUpsampledBF16 is TestBF16Squares of repeated pixels.
func TestUpsampledBF16(t *testing.T) {
	ahead, behind, opposite := [][]float32{{1, 1, 0}, {0, 1, 0}, {0, -1, 1}}, [][]float32{{1, -.5, 0}, {0, 1, 0}, {0, -.5, 1}}, [][]float32{{1, -.5, 0}, {0, 1, 0}, {0, .5, 1}}
	forBF16(t, func(t *testing.T, k *Kernels) {
		up, grad := k.BF16.Upsampled, k.BF16.UpsampledGrad
		if up == nil {
			return // plain products are faster
		}
		checkBF16Squares(t, []bf16Step{
			{"input", upsampledInput, ahead, up.Input, true, true, 0},
			{"output", upsampledOutput, identity[:2], up.Output, false, true, 1},
			{"output with addend", upsampledOutput, identity[:2], up.Output, false, true, 2},
			{"output gradient", transposed(upsampledOutput), opposite, up.OutputGrad, true, true, 0},
			{"weights", upsampledWeights, behind, up.Weights, false, true, 0},
			{"gradient's input", upsampledGradInput, ahead, grad.Input, true, true, 0},
			{"gradient's output", upsampledGradOutput, identity[:1], grad.Output, false, true, 1},
			{"gradient's output with addend", upsampledGradOutput, identity[:1], grad.Output, false, true, 2},
			{"gradient's weights", upsampledWeights, behind, grad.Weights, false, true, 0},
		})
	})
}

func checkBF16Squares(t *testing.T, steps []bf16Step) {
	rng := rand.New(rand.NewPCG(21, 22))
	for _, columns := range []int{1, 7, 15, 16, 17, 31, 32, 33, 40, 64, 70} {
		for _, count := range []int{1, 3} {
			for _, c := range steps {
				name := fmt.Sprintf("%s of %d times %d", c.name, count, columns)
				side, inSide := len(c.matrix), len(c.matrix[0])
				x := newLines(rng, inSide*inSide*count, columns, columns+3, c.inBF16)
				y := newLines(rng, side*side*count, 0, columns+5, c.outBF16)
				add := newLines(rng, side*side*count, columns, columns+1, true)
				bias := vector(rng, columns)
				l := &BF16Lines{Count: count, Columns: columns}
				in, inPitch := x.tables(inSide*inSide, count)
				out, outPitch := y.tables(side*side, count)
				adds, addPitch := add.tables(side*side, count)
				l.In, l.InPitch, l.Out, l.OutPitch = &in[0], inPitch, &out[0], outPitch
				if c.epilogue > 0 {
					l.Bias = uintptr(pointer(bias))
				}
				if c.epilogue > 1 {
					l.Add, l.AddPitch = &adds[0], addPitch
				}
				c.run(l)
				budget := 1e-6
				if c.outBF16 {
					budget = 1. / 256 // half of the last of 8 bits
				}
				for row := range side * side * count {
					for column := range y.pitch - columns {
						if _, poisoned := y.value(row*y.pitch + columns + column); !poisoned {
							t.Fatalf("%s: wrote behind line %d", name, row)
						}
					}
				}
				for n := range count {
					for column := range columns {
						for i := range side {
							for j := range side {
								var got, want, size float64
								for a, u := range c.lower[i][:side] {
									for b, v := range c.lower[j][:side] {
										z, _ := y.value(((a*side+b)*count+n)*y.pitch + column)
										got += float64(u) * float64(v) * z
										if a == i && b == j {
											size = math.Abs(z)
										}
										for p, f := range c.matrix[a] {
											for q, g := range c.matrix[b] {
												z, _ := x.value(((p*inSide+q)*count+n)*x.pitch + column)
												want += float64(u) * float64(v) * float64(f) * float64(g) * z
											}
										}
									}
								}
								if c.epilogue > 0 {
									want += float64(bias[column])
								}
								if c.epilogue > 1 {
									z, _ := add.value(((i*side+j)*count+n)*add.pitch + column)
									want += z
								}
								if d := math.Abs(got - want); !(d <= budget*size+1e-5) {
									t.Fatalf("%s: square %d, column %d, place %d,%d: error %g of %g", name, n, column, i, j, d, size)
								}
							}
						}
					}
				}
				runtime.KeepAlive([]any{x, y, add, bias, in, out, adds})
			}
		}
	}
}
