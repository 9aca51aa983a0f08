package kerneltest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// around is the bytes in front of and behind an operand. Like the gaps between
// its rows they hold nothing: to read them is an error, and so is to write them.
const around = 64

// layout puts operands into the memory of a board. Its methods do nothing
// after the first error, which stays in err.
type layout struct {
	board
	allocated []cuda.Address
	inputs    []place
	err       error
}

// place is an operand within its allocation.
type place struct {
	cuda.Operand
	base   cuda.Address
	bytes  int
	memory []byte // what was written, for inputs
}

func (m *layout) alloc(n int) cuda.Address {
	if n == 0 || m.err != nil {
		return 0
	}
	var a cuda.Address
	if a, m.err = m.Alloc(n); m.err == nil {
		m.allocated = append(m.allocated, a)
	}
	return a
}

func (m *layout) free() {
	for _, a := range m.allocated {
		if err := m.Free(a); err != nil && m.err == nil {
			panic(err) // it was allocated here, and nothing went wrong since
		}
	}
}

// place allocates an operand. Tensors of rank 4 have a gap of so many elements
// between rows and begin as many behind a multiple of 64 bytes.
func (m *layout) place(shape tensor.Shape, of number.Type, gap int) place {
	if len(shape) < 4 {
		gap = 0
	}
	o := packed(shape, of)
	o.Pitch += gap
	p := place{Operand: o, bytes: 2*around + of.Size()*(gap+o.Rows*o.Pitch)}
	if p.base = m.alloc(p.bytes); m.err == nil {
		p.Address = p.base + cuda.Address(around+of.Size()*gap)
	}
	return p
}

// packed is an operand without gaps, nowhere yet.
func packed(shape tensor.Shape, of number.Type) cuda.Operand {
	cols := 1
	if len(shape) > 0 {
		cols = shape[len(shape)-1]
	}
	return cuda.Operand{Type: of, Shape: shape, Rows: shape.TotalSize() / cols, Cols: cols, Pitch: cols}
}

// row returns the address of a row and its bytes.
func (p place) row(r int) (cuda.Address, int) {
	return p.Address + cuda.Address(r*p.Pitch*p.Type.Size()), p.Cols * p.Type.Size()
}

// input allocates an operand and writes its values.
func (m *layout) input(a kernels.Array, of number.Type, gap int) cuda.Operand {
	p := m.place(a.Shape, of, gap)
	m.write(&p, a.Data)
	m.inputs = append(m.inputs, p)
	return p.Operand
}

// write gives an operand its values.
func (m *layout) write(p *place, values []float64) {
	for _, x := range values {
		switch p.Type {
		case number.BFloat16:
			p.memory = binary.LittleEndian.AppendUint16(p.memory, number.Narrow(float32(x)))
		case number.Uint8:
			p.memory = append(p.memory, byte(x))
		default:
			p.memory = binary.LittleEndian.AppendUint32(p.memory, math.Float32bits(float32(x)))
		}
	}
	for r := range p.Rows {
		at, n := p.row(r)
		if m.err == nil {
			m.err = m.Write(at, p.memory[r*n:(r+1)*n])
		}
	}
}

// read returns a result, and an error if it is not whole or anything else was written.
func (m *layout) read(result place) []float64 {
	memory := m.rows(result)
	for _, p := range m.inputs {
		if got := m.rows(p); m.err == nil && !bytes.Equal(got, p.memory) {
			m.err = fmt.Errorf("an input %v was written", p.Shape)
		}
	}
	return numbers(memory, result.Type)
}

// numbers are the elements of a type in memory.
func numbers(memory []byte, of number.Type) []float64 {
	var values []float64
	for i := 0; i < len(memory); i += of.Size() {
		switch of {
		case number.BFloat16:
			values = append(values, float64(number.Widen(binary.LittleEndian.Uint16(memory[i:]))))
		case number.Uint8:
			values = append(values, float64(memory[i]))
		default:
			values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(memory[i:]))))
		}
	}
	return values
}

// rows reads an operand and checks that it and nothing around it holds values.
func (m *layout) rows(p place) []byte {
	var memory []byte
	inside, written := 0, 0
	for r := range p.Rows {
		at, n := p.row(r)
		row := make([]byte, n)
		if m.err == nil {
			m.err = m.Read(at, row)
		}
		if m.err == nil {
			written, m.err = m.Written(at, n)
			inside += written
		}
		memory = append(memory, row...)
	}
	if m.err != nil {
		return memory
	}
	if m.sure() && inside != len(memory) {
		m.err = fmt.Errorf("%d of %d bytes of %v were not written", len(memory)-inside, len(memory), p.Shape)
		return memory
	}
	// What lies before, between and behind the rows.
	outside, from := 0, p.base
	for r := range p.Rows + 1 {
		to, n := p.base+cuda.Address(p.bytes), 0
		if r < p.Rows {
			to, n = p.row(r)
		}
		if m.err == nil {
			written, m.err = m.Written(from, int(to-from))
			outside += written
		}
		from = to + cuda.Address(n)
	}
	if m.err == nil && outside > 0 {
		m.err = fmt.Errorf("%d bytes around %v were written", outside, p.Shape)
	}
	return memory
}
