// Package cpu is what kernels run on: a pool of threads, memory, and the
// innermost loops in every instruction set that the machine may have.
package cpu

import "unsafe"

// Element is what the memory of a tensor holds: float32, or bfloat16 as its bits.
type Element interface{ float32 | uint16 }

// MatrixOf is a view of Rows×Cols elements, Pitch elements from row to row. Data
// begins at element (0,0) and may go on behind the last.
type MatrixOf[T Element] struct {
	Data              []T
	Rows, Cols, Pitch int
}

// Matrix is a view of float32.
type Matrix = MatrixOf[float32]

// Row returns row i.
func (m MatrixOf[T]) Row(i int) []T { return m.Data[i*m.Pitch : i*m.Pitch+m.Cols] }

// Part returns rows [row, row+rows) of columns [col, col+cols).
func (m MatrixOf[T]) Part(row, rows, col, cols int) MatrixOf[T] {
	return MatrixOf[T]{m.Data[row*m.Pitch+col:], rows, cols, m.Pitch}
}

// place is the address and the bytes from row to row.
func (m MatrixOf[T]) place() (at unsafe.Pointer, pitch int) {
	return unsafe.Pointer(unsafe.SliceData(m.Data)), m.Pitch * int(unsafe.Sizeof(*new(T)))
}

func pointer(x []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }
