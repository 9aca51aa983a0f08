package kerneltest

import "testing"

// Allocations is how often f allocates, each time that it runs. The runtime counts
// what the whole process allocates, so what its own goroutines (the collector, a
// timer) add now and then is told from what f does by another look.
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
