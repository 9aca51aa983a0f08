package kernels

import (
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"
)

// Part is a view of rows [row, row+rows) of an operand, fewer at its end, and of
// columns [col, col+cols). It keeps no shape.
func (o Operand) Part(row, rows, col, cols int) Operand {
	p := Operand{Type: o.Type}
	p.Rows, p.Cols, p.Pitch = min(rows, o.Rows-row), cols, o.Pitch
	at := row*o.Pitch + col
	if o.Type == number.BFloat16 {
		p.BF16 = o.BF16[at:]
	} else {
		p.Data = o.Data[at:]
	}
	return p
}

// Copy copies the rows of an operand to another of its type.
func Copy(to, from Operand) {
	if to.Type == number.BFloat16 {
		copyRows(View[uint16](to), View[uint16](from))
		return
	}
	copyRows(to.Matrix, from.Matrix)
}

func copyRows[T cpu.Element](to, from cpu.MatrixOf[T]) {
	if to.Pitch == to.Cols && from.Pitch == to.Cols {
		to.Rows, to.Cols = 1, to.Rows*to.Cols
		from.Cols = to.Cols
	}
	for r := range to.Rows {
		copy(to.Row(r), from.Row(r))
	}
}

// Load writes an operand as float32 to a matrix with as many rows and columns.
func Load(k *cpu.Kernels, to cpu.Matrix, from Operand) {
	switch n := to.Rows * to.Cols; {
	case from.Type != number.BFloat16:
		k.Copy(to, from.Matrix)
	case from.Pitch == to.Cols && to.Pitch == to.Cols:
		k.Widen(to.Data[:n], from.BF16)
	default:
		for r := range to.Rows {
			k.Widen(to.Row(r), from.BF16[r*from.Pitch:])
		}
	}
}

// Loaded returns an operand as float32: itself, or a copy in memory for all its elements.
func Loaded(k *cpu.Kernels, memory []float32, o Operand) cpu.Matrix {
	if o.Type != number.BFloat16 {
		return o.Matrix
	}
	m := cpu.Matrix{Data: memory, Rows: o.Rows, Cols: o.Cols, Pitch: o.Cols}
	Load(k, m, o)
	return m
}

// Store writes a matrix to an operand of any type with as many rows and columns.
func Store(k *cpu.Kernels, to Operand, from cpu.Matrix) {
	switch n := to.Rows * to.Cols; {
	case to.Type != number.BFloat16:
		k.Copy(to.Matrix, from)
	case to.Pitch == to.Cols && from.Pitch == to.Cols:
		k.Narrow(to.BF16[:n], from.Data)
	default:
		for r := range to.Rows {
			k.Narrow(to.BF16[r*to.Pitch:][:to.Cols], from.Row(r))
		}
	}
}
