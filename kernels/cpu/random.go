package cpu

// Counter is what a block of Philox4x32-10 is made of; package philox says of what.
type Counter struct {
	Key   [2]uint32
	Words [4]uint32 // of the first block; those of the next ones differ in word 0
}

// Random is the kernels of random numbers, the same bits as package philox's own
// loops: Uniform and Normal fill multiples of Values, which is 0 where there are none.
// They are not called through variables, for then what they fill could not lie on a stack.
type Random struct{ Values int }
