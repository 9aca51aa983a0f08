package cpu

import "unsafe"

// vectorArgs is what the assembly of vector kernels reads; asm/vectors.go has
// the offsets. Pitches and lengths are bytes.
type vectorArgs struct {
	dst, x, y, add                     unsafe.Pointer
	dstPitch, xPitch, yPitch, addPitch int
	rows, full, tail                   int
	mask                               unsafe.Pointer
	columns                            [5]unsafe.Pointer
	sum1, sum2, constants              unsafe.Pointer
}

// mask is a row's last vector: 16 bits for AVX-512 and, 64 bytes on, 8 words for AVX2.
type mask struct {
	bits  uint64
	_     [7]uint64
	words [16]int32
}

// masks by the number of elements that exist.
var masks = func() (all [16]mask) {
	for n := range all {
		all[n].bits = 1<<n - 1
		for i := range n {
			all[n].words[i] = -1
		}
	}
	return all
}()

// every is the mask of a whole vector.
var every = mask{bits: 1<<16 - 1, words: [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}}

// args describes a matrix of rows×cols to a kernel of this many lanes.
func args(lanes, rows, cols int) vectorArgs { return argsOf(lanes, 4, rows, cols) }

// argsOf does so for a kernel whose smallest elements have this size.
func argsOf(lanes, size, rows, cols int) vectorArgs {
	tail := cols % lanes
	return vectorArgs{rows: rows, full: size * (cols - tail), tail: tail, mask: unsafe.Pointer(&masks[tail])}
}

func (a *vectorArgs) withDst(m Matrix) *vectorArgs {
	a.dst, a.dstPitch = pointer(m.Data), 4*m.Pitch
	return a
}

func (a *vectorArgs) withX(m Matrix) *vectorArgs {
	a.x, a.xPitch = pointer(m.Data), 4*m.Pitch
	return a
}

func (a *vectorArgs) withY(m Matrix) *vectorArgs {
	a.y, a.yPitch = pointer(m.Data), 4*m.Pitch
	return a
}

func (a *vectorArgs) withAdd(m Matrix) *vectorArgs {
	a.add, a.addPitch = pointer(m.Data), 4*m.Pitch
	return a
}

func (a *vectorArgs) withColumns(cols int, vectors ...[]float32) *vectorArgs {
	for i, v := range vectors {
		a.columns[i] = pointer(v[:cols])
	}
	return a
}

// constants are numbers that a kernel reads as whole vectors.
type constants [10][16]float32

func (c *constants) set(values ...float32) unsafe.Pointer {
	for i, v := range values {
		for j := range c[i] {
			c[i][j] = v
		}
	}
	return unsafe.Pointer(c)
}

func row(x []float32) Matrix { return Matrix{Data: x, Rows: 1, Cols: len(x), Pitch: len(x)} }

// dotBlock is how many products are summed in float32 before float64 takes over.
const dotBlock = 4096

// constants of the optimizer's kernel, in the order it reads them.
func (h *AdamW) constants(c *constants) unsafe.Pointer {
	return c.set(h.GradScale, h.Beta1, 1-h.Beta1, h.Beta2, 1-h.Beta2, h.C2, h.Eps, h.LR*h.C1, h.LR*h.WeightDecay, 1-h.EMADecay)
}

// transformArgs is what the assembly of Winograd's transforms reads;
// asm/winograd.go has the offsets.
type transformArgs struct {
	in, out    *uintptr
	full, tail int // bytes, floats
	mask       unsafe.Pointer
	bias       uintptr
	add        *uintptr
}

func transform(lanes int, in, out *uintptr, channels int) transformArgs {
	tail := channels % lanes
	return transformArgs{in: in, out: out, full: 4 * (channels - tail), tail: tail, mask: unsafe.Pointer(&masks[tail])}
}

// transposeArgs is what the assembly of Transpose reads; asm/transpose.go has the offsets.
type transposeArgs struct {
	out               uintptr
	pitch, full, tail int            // of the result; squares, columns behind them
	cols, rows        unsafe.Pointer // masks of a square at the edge
	in                [16]uintptr    // rows; those that do not exist repeat others
}

// strip sets the rows of a strip of squares.
func (a *transposeArgs) strip(out, in uintptr, pitch, rows int) {
	a.out, a.rows = out, unsafe.Pointer(&masks[rows%len(masks)])
	if rows == len(masks) {
		a.rows = unsafe.Pointer(&every)
	}
	for i := range a.in {
		a.in[i] = in + uintptr(min(i, rows-1)*pitch)
	}
}
