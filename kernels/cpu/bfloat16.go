package cpu

// Half is the kernels of an instruction set that multiplies bfloat16 itself:
// exact products of pairs, summed in float32, to nearest even. Denormals count
// as zero, in operands, sums and results; everything else is as package number
// rounds it.
//
// The right operand is stored in pairs: row p holds, for every column, the
// elements of rows 2p and 2p+1 side by side. This is the order of AVX512-BF16 and
// that of AMX tiles, which take 16 such rows of 16 columns at the pitch of a
// panel: kernels for AMX can read what was packed for these.
type Half struct {
	Tile  func(t *TileHalf)
	TileT func(t *TileTHalf)
	// Pairs interleaves rows of bfloat16: row p of out gets, for every column, the
	// elements of rows 2p and 2p+1 of in, addresses, and zeros up to a multiple of
	// Lanes. The pitch is bytes.
	Pairs func(out uintptr, pitch int, in *uintptr, pairs, cols int)

	peak func(rounds int)
}

// TileHalf is the operands of a matrix micro-kernel on bfloat16,
//
//	C[i][j] = Σ_tap Σ_k A[tap][i][k]·B[tap][k][j] + Bias[j] + Add[i][j].
//
// A, B and Add are bfloat16, Bias is float32. B is rows of pairs; where Depth is odd the
// second elements of the last are zero, and A is not read past its end.
type TileHalf struct {
	A        *uintptr // Taps·TileRows addresses of Depth elements; those of rows that do not exist repeat others
	B        *uintptr // Taps addresses of ⌈Depth/2⌉ rows of Width pairs
	Taps     int
	Depth    int // at least 1
	BPitch   int // bytes
	C        uintptr
	CPitch   int // bytes
	Rows     int // of C, 1 to TileRows
	Width    int // a multiple of Lanes, at most TileCols
	Float32  int // 1: C is float32, else bfloat16
	Bias     uintptr
	Add      uintptr
	AddPitch int // bytes
}

// TileTHalf is the operands of the micro-kernel of weight gradients on rows of
// pairs, C float32:
//
//	C[i][j] = Σ_p A[p][i]·B[p][j], or C += Σ.
//
// It reads TileRows pairs of each row of A even where Rows is less.
type TileTHalf struct {
	A          uintptr
	APitch     int // bytes
	B          uintptr
	BPitch     int // bytes
	Depth      int // rows of pairs, at least 1
	C          uintptr
	CPitch     int // bytes
	Rows       int
	Width      int
	Accumulate int
}
