package cpu

import (
	"fmt"
	"os"
	"strings"
)

// TileRows is the number of rows of a tile in every instruction set.
const TileRows = 6

// Tile is the operands of a matrix micro-kernel,
//
//	C[i][j] = Σ_tap Σ_k A[tap][i][k]·B[tap][k][j] + Bias[j] + Add[i][j], or C += Σ Σ.
//
// Assembly knows the layout. Operands are addresses; whoever calls keeps the
// memory behind them alive.
type Tile struct {
	A          *uintptr // Taps·TileRows addresses of Depth floats; those of rows that do not exist repeat others
	B          *uintptr // Taps addresses of Depth rows of Width floats
	Taps       int
	Depth      int // at least 1
	BPitch     int // bytes
	C          uintptr
	CPitch     int // bytes
	Rows       int // of C, 1 to TileRows
	Width      int // a multiple of Lanes, at most TileCols
	Accumulate int // 1: C += product, without Bias and Add
	Bias       uintptr
	Add        uintptr
	AddPitch   int // bytes
}

// TileT is the operands of the micro-kernel of weight gradients,
//
//	C[i][j] = Σ_k A_k[i]·B_k[j], or C += Σ.
//
// It reads TileRows floats of each row of A even where Rows is less.
type TileT struct {
	A          *uintptr // Depth addresses
	AOffset    int      // bytes, added to each
	B          uintptr
	BPitch     int // bytes
	Depth      int // at least 1
	C          uintptr
	CPitch     int // bytes
	Rows       int
	Width      int
	Accumulate int
}

// Gram is the operands of the micro-kernel of inner products in float64,
//
//	Sums[i][j][k] = Σ X_i[v]·Y_j[v], over v = k mod 4,
//
// in the order of v. Assembly knows the layout. X and Y are addresses, as in a Tile.
type Gram struct {
	X     [4]uintptr // rows of Depth floats
	Y     [3]uintptr
	Depth int // a multiple of 4
	Sums  [4][3][4]float64
}

// AdamW is the numbers of an optimizer step; see package adamw.
type AdamW struct {
	LR, Beta1, Beta2, Eps, WeightDecay float32
	C1, C2                             float32 // bias corrections 1/(1−βⁿ)
	GradScale                          float32
	EMADecay                           float32 // share of the old average that stays
}

// Kernels is one instruction set. An element's result never depends on where in
// a row it lies, so work may be cut anywhere. Results may be written over the
// operand they were made from.
type Kernels struct {
	Name     string
	TileCols int // widest tile
	Lanes    int // tiles are a multiple of this wide

	Tile  func(t *Tile)
	TileT func(t *TileT)
	Gram  func(g *Gram) // the same bits in all of them

	Norms[float32]               // of normalisation
	BF16Norms      Norms[uint16] // the same on bfloat16

	Add   func(dst, a, b Matrix)         // a + b
	Copy  func(dst, a Matrix)            //
	Scale func(dst, a Matrix, s float32) // s·a
	// Clip is min(max(a, 0), limit), and Larger the larger of a and b; NaN stays NaN.
	Clip   func(dst, a Matrix, limit float32)
	Larger func(dst, a, b Matrix)
	// ScaleRows multiplies each row by its own number.
	ScaleRows func(dst, a Matrix, by []float32)
	// Transpose writes 32-bit words: out[c][r] = in[r][c], and zeros up to a multiple of
	// Lanes of r. The pitches are bytes.
	Transpose func(out uintptr, outPitch int, in uintptr, inPitch, rows, cols int)
	ColMax    func(acc []float32, x Matrix) // maxima over rows and of acc
	// Softmax with numbers for each column or each row: exp(scale·x − shift), for rows
	// times factor, and p·(dp − dot)·scale.
	ExpColumns         func(dst, x Matrix, scale float32, shift []float32)
	ExpRows            func(dst, x Matrix, scale float32, shift, factor []float32)
	SoftmaxGradColumns func(ds, p, dp Matrix, dot, scale []float32)
	SoftmaxGradRows    func(ds, p, dp Matrix, dot []float32, scale float32)
	// Of rows:
	Dot        func(a, b []float32) float64
	SumSquares func(x []float32) float64
	AdamW      func(h *AdamW, p, g, m, v, ema []float32)

	Random Random // numbers

	// Winograd's convolution F(2×2, 3×3); that of an image whose pixels are repeated in
	// squares of 2×2; the gradient of such an image, without OutputGrad and WeightsGrad.
	Winograd, Upsampled, UpsampledGrad Winograd

	// Between bfloat16 and float32, as package number does it; as long as to.
	Widen  func(to []float32, from []uint16)
	Narrow func(to []uint16, from []float32)

	BF16 *BF16 // nil where there is none

	peak func(rounds int) // rounds of peakFLOPs operations, nil where none was written
}

// Norms are the kernels of normalisation on rows of an element type. They compute
// in float32, the same for every type, and round what they write as package
// number does; where bfloat16 is multiplied (BF16), denormals become zero. Sums over
// rows are added to vectors of columns; they are float32, so callers keep rows few.
type Norms[T Element] struct {
	ColSum        func(acc []float32, x MatrixOf[T])
	ColSumSquares func(acc, mean []float32, x MatrixOf[T]) // Σ(x−mean)²
	// With vectors of columns, u = a·x + b:
	Affine     func(dst, x MatrixOf[T], a, b []float32) // u
	AffineSiLU func(dst, x MatrixOf[T], a, b []float32) // u·σ(u)
	// s1 += Σdu, s2 += Σdu·x, where du is dy, or dy·silu'(u), which is kept if there is memory for it.
	GradSums     func(s1, s2 []float32, x, dy MatrixOf[T])
	SiLUGradSums func(du Matrix, s1, s2 []float32, x, dy MatrixOf[T], a, b []float32)
	// dx = p·du + q·x + r, plus add if it has data; du is made as above, or was kept.
	GradAffine     func(dx, x, dy MatrixOf[T], p, q, r []float32, add MatrixOf[T])
	SiLUGradAffine func(dx, x, dy MatrixOf[T], a, b, p, q, r []float32, add MatrixOf[T])
	DuAffine       func(dx, x MatrixOf[T], du Matrix, p, q, r []float32, add MatrixOf[T])
}

// NormsOf returns the kernels of normalisation on an element type.
func NormsOf[T Element](k *Kernels) *Norms[T] {
	if n, ok := any(&k.Norms).(*Norms[T]); ok {
		return n
	}
	return any(&k.BF16Norms).(*Norms[T])
}

// Variable in the environment that forces an instruction set.
const Variable = "FLUXION_CPU"

// available lists the instruction sets of this machine, the best first.
func available() []*Kernels { return append(native(), portable()) }

// Names lists the instruction sets of this machine, the best first.
func Names() []string {
	var names []string
	for _, k := range available() {
		names = append(names, k.Name)
	}
	return names
}

// Select returns an instruction set by name: portable, avx2, avx512, avx512_bf16 or amx.
// Without a name it is the one FLUXION_CPU names, else the best there is.
func Select(name string) (*Kernels, error) {
	all := available()
	source := ""
	if name == "" {
		if name = os.Getenv(Variable); name == "" {
			return all[0], nil
		}
		source = Variable + "="
	}
	for _, k := range all {
		if k.Name == name {
			return k, nil
		}
	}
	return nil, fmt.Errorf("%s%s is not an instruction set of this machine, which has %s", source, name, strings.Join(Names(), ", "))
}
