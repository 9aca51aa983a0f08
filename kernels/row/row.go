// Package row copies the parameters of a launch that change from run to run to a kernel
// on a GPU. They are one Go struct, which the CPU's kernel reads itself, and a struct of
// the .cu file with the same fields in the same order and widths. Both languages align a
// field to its own size, so that the bytes of the one are those of the other.
// kerneltest.CheckRow compares the two declarations.
package row

import "unsafe"

// Flag is a truth value in a row; 1 is true.
type Flag uint32

// If is the Flag of a condition.
func If(condition bool) Flag {
	if condition {
		return 1
	}
	return 0
}

// Bytes of n values.
func Bytes[T any](n int) int {
	var value T
	return n * int(unsafe.Sizeof(value))
}

// Put copies values to the beginning of a row and returns what lies behind them.
// Devices and hosts are little-endian alike. It panics where the row ends before.
func Put[T any](to []byte, values ...T) []byte {
	n := Bytes[T](len(values))
	copy(to[:n], unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), n))
	return to[n:]
}
