// Package cpu is what kernels run on: a pool of threads, memory, and the
// innermost loops in every instruction set that the machine may have.
package cpu

import "unsafe"

// Matrix is a view of Rows×Cols floats, Pitch floats from row to row. Data
// begins at element (0,0) and may go on behind the last.
type Matrix struct {
	Data              []float32
	Rows, Cols, Pitch int
}

// Row returns row i.
func (m Matrix) Row(i int) []float32 { return m.Data[i*m.Pitch : i*m.Pitch+m.Cols] }

func pointer(x []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }
