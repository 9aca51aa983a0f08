//go:build !amd64

package resample

func combine(out, in []float64, stride int, w []float64) { combineGo(out, in, stride, w) }
