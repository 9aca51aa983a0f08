package kerneltest

import "testing"

// Allocations returns how often f allocates each time it runs. The runtime counts the
// allocations of the whole process, so that other goroutines (the collector, a timer) may
// add some; f is measured again to tell them apart.
func Allocations(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 4 {
		if least == 0 {
			break
		}
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}
