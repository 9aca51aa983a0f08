package kerneltest

import (
	"encoding/binary"
	"math"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// GPU is a simulated GPU, for tests of kernels that CheckLaunch does not fit.
// Whatever a kernel reads must have been written, and nothing outside of an
// operand may be touched: the simulator sees to both. Where tests are to run on
// the GPU of this machine, it is that.
type GPU struct {
	t     testing.TB
	board board
}

// NewGPU is a fresh one; seed decides the order in which warps run.
func NewGPU(t testing.TB, seed uint64) *GPU {
	b, err := newBoard(seed)
	if err != nil {
		t.Fatal(err)
	}
	return &GPU{t, b}
}

// NewSimulator is a simulated one in any case, for tests of what it counts.
func NewSimulator(t testing.TB, seed uint64) *GPU { return &GPU{t, newSimulator(seed)} }

// NeedsHopper ends a test of kernels that are compiled for it alone on another GPU.
func (g *GPU) NeedsHopper() {
	if !g.board.hopper() {
		g.t.Skip("this GPU is no H100 or H200: it has no wgmma")
	}
}

func (g *GPU) check(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// Alloc returns memory that holds no values yet.
func (g *GPU) Alloc(bytes int) cuda.Address {
	g.t.Helper()
	a, err := g.board.Alloc(bytes)
	g.check(err)
	g.t.Cleanup(func() { g.check(g.board.Free(a)) })
	return a
}

// Bytes returns memory that holds b.
func (g *GPU) Bytes(b []byte) cuda.Address {
	g.t.Helper()
	a := g.Alloc(len(b))
	g.check(g.board.Write(a, b))
	return a
}

// Read copies n bytes from memory; all of them must have been written.
func (g *GPU) Read(a cuda.Address, n int) []byte {
	g.t.Helper()
	b := make([]byte, n)
	g.check(g.board.Read(a, b))
	if written, err := g.board.Written(a, n); err != nil || g.board.sure() && written != n {
		g.t.Fatalf("%d of %d bytes were written: %v", written, n, err)
	}
	return b
}

// Empty is a matrix without values: a range of columns, gap columns into a matrix
// that is 2·gap wider.
func (g *GPU) Empty(typ number.Type, rows, cols, gap int) cuda.Operand {
	g.t.Helper()
	size, pitch := typ.Size(), cols+2*gap
	return cuda.Operand{
		Address: g.Alloc(rows*pitch*size) + cuda.Address(gap*size),
		Type:    typ, Shape: tensor.Shape{rows, cols}, Rows: rows, Cols: cols, Pitch: pitch,
	}
}

// Matrix is an Empty one that holds values, rounded to its type.
func (g *GPU) Matrix(typ number.Type, rows, cols, gap int, values []float64) cuda.Operand {
	g.t.Helper()
	o := g.Empty(typ, rows, cols, gap)
	g.Fill(o, values)
	return o
}

// Fill writes values to a matrix, rounded to its type.
func (g *GPU) Fill(o cuda.Operand, values []float64) {
	g.t.Helper()
	for r := range o.Rows {
		var b []byte
		for _, x := range values[r*o.Cols : (r+1)*o.Cols] {
			if o.Type == number.BFloat16 {
				b = binary.LittleEndian.AppendUint16(b, number.Narrow(float32(x)))
			} else {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
			}
		}
		g.check(g.board.Write(g.row(o, r), b))
	}
}

// Vector is a flat buffer that holds values.
func (g *GPU) Vector(typ number.Type, values []float64) cuda.Operand {
	g.t.Helper()
	o := g.Matrix(typ, 1, len(values), 0, values)
	o.Shape = tensor.Shape{len(values)}
	return o
}

func (g *GPU) row(o cuda.Operand, r int) cuda.Address {
	return o.Address + cuda.Address(r*o.Pitch*o.Type.Size())
}

// Values returns the elements of a matrix. It fails if one of them was never
// written, or anything between its rows was.
func (g *GPU) Values(o cuda.Operand) []float32 {
	g.t.Helper()
	var values []float32
	for r := range o.Rows {
		b := g.Read(g.row(o, r), o.Cols*o.Type.Size())
		for c := range o.Cols {
			if o.Type == number.BFloat16 {
				values = append(values, number.Widen(binary.LittleEndian.Uint16(b[2*c:])))
			} else {
				values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(b[4*c:])))
			}
		}
		if between := (o.Pitch - o.Cols) * o.Type.Size(); between > 0 && r+1 < o.Rows {
			written, err := g.board.Written(g.row(o, r)+cuda.Address(len(b)), between)
			if g.check(err); written != 0 {
				g.t.Fatalf("%d bytes behind row %d were written", written, r)
			}
		}
	}
	return values
}

// Parameters is a table of rows of equal length, at step of which the device is.
func (g *GPU) Parameters(step int, rows ...[]byte) cuda.Parameters {
	g.t.Helper()
	stride := (len(rows[0]) + 15) / 16 * 16
	p := cuda.Parameters{Table: g.Alloc(stride * len(rows)), Stride: stride}
	for i, row := range rows {
		g.check(g.board.Write(p.Table+cuda.Address(i*stride), row))
	}
	p.Counter = g.Bytes(binary.LittleEndian.AppendUint32(nil, uint32(step)))
	return p
}

// Run executes calls in order and returns what they did, which only a simulator knows.
func (g *GPU) Run(calls ...cuda.Call) (total sim.Counters) {
	g.t.Helper()
	for _, call := range calls {
		c, err := g.board.run(g.t.Context(), call)
		g.check(err)
		total.Add(c)
	}
	return total
}
