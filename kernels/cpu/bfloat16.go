package cpu

// BF16 is the kernels of an instruction set that multiplies bfloat16 itself:
// exact products of pairs, summed in float32, to nearest even. Denormals count
// as zero, in operands, sums and results; everything else is as package number
// rounds it.
//
// The right operand is stored in pairs: row p holds, for every column, the
// elements of rows 2p and 2p+1 side by side. This is the order of AVX512-BF16 and
// that of AMX tiles, which take 16 such rows of 16 columns at the pitch of a panel.
type BF16 struct {
	Rows   int // of a tile, and of one of TileT's A
	Cols   int // of a panel of the right operand
	Panels int // side by side in one call, at most

	Tile  func(t *TileBF16)
	TileT func(t *TileTBF16)
	// Pairs interleaves rows of bfloat16: row p of out gets, for every column, the
	// elements of rows 2p and 2p+1 of in, addresses to which offset is added, and zeros
	// up to a multiple of Lanes. Pitch and offset are bytes.
	Pairs func(out uintptr, pitch int, in *uintptr, offset, pairs, cols int)
	// PairsRounded is Pairs of rows of float32, which it rounds as Narrow does.
	PairsRounded func(out uintptr, pitch int, in *uintptr, offset, pairs, cols int)
	// Narrow rounds to operands of products: denormals become zero.
	Narrow func(to []uint16, from []float32)
	// Addresses writes base + source·pitch, or elsewhere where a source is
	// negative, and says whether one is not. The pitch is bytes, less than 1<<32.
	Addresses func(to []uintptr, source []int32, base, pitch, elsewhere uintptr) bool
	// Turn transposes every square of 16×16 words of a matrix in place: where it is not
	// nil, TileT takes B that way, and C is so until all is summed. The pitch is bytes,
	// rows and columns are multiples of 16.
	Turn func(at uintptr, pitch, rows, cols int)

	Squares     *BF16Squares // of Winograd's convolution, nil where plain products are faster
	SquarePairs *BF16Pairs   // of its gradient of weights, nil where Squares is
	// Of images whose pixels are repeated in squares of 2×2, with 3×3 places, and of
	// gradients of such images, as in Kernels; nil where Squares is.
	Upsampled, UpsampledGrad *BF16Squares

	peak      func(rounds int)
	peakFLOPs float64 // of a round
}

// Limits of BF16 in every instruction set.
const (
	MaxBF16Rows = 32
	MaxBF16Cols = 64
	// PairsMultiple is what rows of pairs of a right operand, zeros behind the last
	// that exists, are a multiple of.
	PairsMultiple = 16
)

// PairRows is the rows of pairs of a right operand of this depth.
func PairRows(depth int) int {
	return (depth + 2*PairsMultiple - 1) / (2 * PairsMultiple) * PairsMultiple
}

// BF16Work is the working memory of a tile, in floats.
func BF16Work(taps, depth int) int {
	return MaxBF16Rows*MaxBF16Cols + taps*(MaxBF16Rows*PairRows(depth)+16)
}

// TileBF16 is the operands of a matrix micro-kernel on bfloat16,
//
//	C[i][j] = Σ_tap Σ_k A[tap][i][k]·B[tap][k][j] + Bias[j] + Add[i][j].
//
// A, B and Add are bfloat16, Bias is float32. B is PairRows(Depth) rows of pairs; where Depth
// is odd the second elements of the last that exists are zero, and A is not read past its end.
type TileBF16 struct {
	A        *uintptr // Taps·BF16.Rows addresses of Depth elements; those of rows that do not exist repeat others
	B        *uintptr // Taps addresses of rows of pairs
	Taps     int
	Depth    int // at least 1
	BPitch   int // bytes
	C        uintptr
	CPitch   int // bytes
	Rows     int // of C, 1 to BF16.Rows
	Width    int // a multiple of Lanes up to BF16.Cols, or up to Panels of them
	Float32  int // 1: C is float32, else bfloat16
	Bias     uintptr
	Add      uintptr
	AddPitch int     // bytes
	BPanel   int     // bytes from a panel of B, which is BF16.Cols wide, to the next
	Work     uintptr // BF16Work floats, on a cache line
}

// TileTBF16 is the operands of the micro-kernel of weight gradients on rows of
// pairs, C float32:
//
//	C[i][j] = Σ_p A[p][i]·B[p][j], or C += Σ.
//
// It reads a multiple of BF16.Rows pairs of each row of A even where Rows is less.
type TileTBF16 struct {
	A          uintptr
	APitch     int // bytes
	B          uintptr
	BPitch     int // bytes
	Depth      int // rows of pairs, a multiple of PairsMultiple
	C          uintptr
	CPitch     int // bytes
	Rows       int // 1 to BF16.Rows
	Width      int // a multiple of Lanes up to BF16.Cols, or up to Panels of them
	Accumulate int
	BPanel     int // bytes from a panel of B to the next
}

// BF16Lines is the operands of a step: Count times some lines of as many
// columns, each time a pitch, in bytes, further on. What is read and written
// must not overlap.
type BF16Lines struct {
	In, Out, Add                *uintptr // addresses of lines; Add is nil for none
	InPitch, OutPitch, AddPitch int
	Count, Columns              int
	Bias                        uintptr // a line of float32
}
