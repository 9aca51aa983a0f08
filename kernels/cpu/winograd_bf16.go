package cpu

import (
	"unsafe"

	"fluxion/kernels/number"
)

// BF16Squares is the steps of Winograd's convolution F(2×2, 3×3) on bfloat16;
// products are float32. Lines are those of the places of a square, row by row.
//
// The transformed operands are rounded once, and what that leaves the sums would
// amplify beyond the budget of bfloat16. So it is fed back: places are rounded one
// after the other, each towards what makes up for those before it (see feedback).
type BF16Squares struct {
	Input      func(l *BF16Lines) // 4×4 pixels to 4×4
	Output     func(l *BF16Lines) // products, 4×4 lines of float32, to 2×2 pixels, plus biases and addends
	Weights    func(l *BF16Lines) // 3×3 lines of float32 to 4×4
	OutputGrad func(l *BF16Lines) // 2×2 pixels to places, of Upsampled only: else see BF16Pairs
}

// feedback is how a transform m along each axis of a square is rounded.
//
// Let δ be what rounding adds to the places of a line. Every place is multiplied by
// a combination of the other operand's elements, and the results are combinations of
// these products; where the elements are independent and alike, the square of
// the error is expected to be a quadratic form of δ, e.g. Σ_ot (Σ_p A[o][p]·G[p][t]·δ[p])² for
// places p of the input, outputs o and taps t. Eliminating places 3, 0, 2 and 1, in this
// order, writes it as Σ_p D[p]·(lower·δ)[p]², where each term has its own place and ones that
// were rounded before. Whatever these left, rounding p to nearest makes its term
// smallest, at no more than a rounding of one number: the error is the sum of
// D instead of the trace, 4 instead of 5 for the input. In two dimensions the form is
// the Kronecker product of itself, and the variance of the error 16/25.
//
// What is rounded is never made: lower·(m·x) is simpler than m·x, since what is
// fed back is all but one term of the places at the ends.
type feedback struct{ lower, ends [][]float32 } // ends: lower·m

var (
	// roundingOrder is that of the places along an axis.
	roundingOrder = [4]int{1, 2, 0, 3}

	winogradInputFeedback      = newFeedback(winogradInput, [][]float32{{1, .5, .5, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, -.5, .5, 1}})
	winogradWeightsFeedback    = newFeedback(winogradWeights, [][]float32{{1, -.5, -.5, 0}, {0, 1, 0, 0}, {0, -1. / 3, 1, 0}, {0, -.5, -.5, 1}})
	winogradOutputGradFeedback = newFeedback(transposed(winogradOutput), [][]float32{{1, -.25, -.25, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, .25, -.25, 1}})
)

func newFeedback(m, lower [][]float32) feedback { return feedback{lower, matrixProduct(lower, m)} }

func matrixProduct(a, b [][]float32) [][]float32 {
	product := make([][]float32, len(a))
	for i, row := range a {
		product[i] = make([]float32, len(b[0]))
		for k, f := range row {
			for j, x := range b[k] {
				product[i][j] += f * x
			}
		}
	}
	return product
}

// round transforms a square x and rounds it: lower·R·lowerᵀ = ends·x·endsᵀ but for
// one rounding at each place.
func (f feedback) round(x [][]float32) (rounded [4][4]float32) {
	target := matrixProduct(matrixProduct(f.ends, x), transposed(f.ends))
	var along [4][4]float32 // rounded·lowerᵀ
	for _, i := range roundingOrder {
		for _, j := range roundingOrder {
			before, above := float32(0), float32(0)
			for k := range 4 {
				if k != j {
					before += f.lower[j][k] * rounded[i][k]
				}
				if k != i {
					above += f.lower[i][k] * along[k][j]
				}
			}
			rounded[i][j] = number.Round(target[i][j] - above - before)
			along[i][j] = rounded[i][j] + before
		}
	}
	return rounded
}

// portableBF16Squares are the steps in plain Go.
func portableBF16Squares() *BF16Squares {
	return &BF16Squares{
		Input:   winogradInputFeedback.step(true),
		Output:  bf16Square(winogradOutput, false, true),
		Weights: winogradWeightsFeedback.step(false),
	}
}

// step maps squares of bfloat16 or of float32 to rounded ones.
func (f feedback) step(bf16 bool) func(l *BF16Lines) {
	side := len(f.ends[0])
	return func(l *BF16Lines) {
		l.each(side, 4, bf16, true, func(x [][]float32, _ int) [][]float32 {
			rounded := f.round(x)
			return [][]float32{rounded[0][:], rounded[1][:], rounded[2][:], rounded[3][:]}
		})
	}
}

// bf16Square is the step m·x·mᵀ + bias + add.
func bf16Square(m [][]float32, inBF16, outBF16 bool) func(l *BF16Lines) {
	return func(l *BF16Lines) {
		l.each(len(m[0]), len(m), inBF16, outBF16, func(x [][]float32, column int) [][]float32 {
			y := matrixProduct(matrixProduct(m, x), transposed(m))
			for i := range y {
				for j := range y[i] {
					if l.Bias != 0 {
						y[i][j] += floats(l.Bias, l.Columns)[column]
					}
				}
			}
			return y
		})
	}
}

// each computes every square of a step, of so many places along each side.
func (l *BF16Lines) each(inSide, outSide int, inBF16, outBF16 bool, f func(x [][]float32, column int) [][]float32) {
	line := func(table *uintptr, place, square, pitch int) uintptr {
		return unsafe.Slice(table, place+1)[place] + uintptr(square*pitch)
	}
	x := make([][]float32, inSide)
	for n := range l.Count {
		for c := range l.Columns {
			for i := range x {
				x[i] = make([]float32, inSide)
				for j := range x[i] {
					if at := line(l.In, i*inSide+j, n, l.InPitch); inBF16 {
						x[i][j] = number.Widen(shorts(at, l.Columns)[c])
					} else {
						x[i][j] = floats(at, l.Columns)[c]
					}
				}
			}
			y := f(x, c)
			for p := range outSide * outSide {
				result := y[p/outSide][p%outSide]
				if l.Add != nil {
					result += number.Widen(shorts(line(l.Add, p, n, l.AddPitch), l.Columns)[c])
				}
				if at := line(l.Out, p, n, l.OutPitch); outBF16 {
					shorts(at, l.Columns)[c] = number.Narrow(result)
				} else {
					floats(at, l.Columns)[c] = result
				}
			}
		}
	}
}

// shorts returns the n elements of bfloat16 at an address that the caller keeps alive.
func shorts(address uintptr, n int) []uint16 {
	return unsafe.Slice((*uint16)(*(*unsafe.Pointer)(unsafe.Pointer(&address))), n)
}
