//go:build !amd64

package cpu

func native() []*Kernels { return nil }

// Features lists what of the processor matters here.
func Features() []string { return nil }
