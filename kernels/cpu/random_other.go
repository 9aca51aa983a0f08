//go:build !amd64

package cpu

// Uniform is not called: Values is 0.
func (Random) Uniform([]float32, Counter, float32, float32) {}

// Normal is not called: Values is 0.
func (Random) Normal([]float32, Counter) {}
