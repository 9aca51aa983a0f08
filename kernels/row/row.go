// Package row brings the numbers of a launch that change from run to run to a kernel
// on a GPU. They are declared once, as a Go struct with the fields of the CUDA struct,
// in its order and of its widths. Both languages put a field at a multiple of its own
// size, so both lay the struct out alike: what the CPU's kernel reads is copied as it
// lies in memory. kerneltest.CheckRow holds one declaration against the other.
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
