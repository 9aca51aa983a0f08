// Package noise draws what lies at the noise end of a process, on devices and on the host.
package noise

import (
	"sync"

	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/kernels/colour"
	"fluxion/kernels/draw"
)

var distributions = map[process.SourceKind]draw.Distribution{process.Normal: draw.Normal, process.Uniform: draw.Uniform, process.Laplace: draw.Laplace}

// Stages fill a node, (N,H,W,C) and under guidance twice as many, with the noise of images
// of height × width.
func Stages(s process.Source, o draw.NoiseOptions, height, width int, h *draw.Head, addresses []int64, to plan.Ref) []plan.Stage {
	o.Of = distributions[s.Kind()]
	stages := []plan.Stage{{Kernel: draw.NewNoise(o, h, addresses), Out: to}}
	if !s.Gaussian() || s.White() {
		return stages
	}
	return append(stages, plan.Stage{Kernel: colour.New(spectrum(s, height, width), o.Network(o.Guided).Images, o.Channels), Out: to})
}

func spectrum(s process.Source, height, width int) colour.Spectrum {
	c := colour.Spectrum{Height: height, Width: width}
	for _, a := range s.Amplitudes(height, width) {
		c.Amplitude = append(c.Amplitude, float32(a))
	}
	return c
}

// Draw returns what fills a slice of an image's size with the noise of an address, as
// Stages do, to the bit. Several goroutines may call it at once.
func Draw(s process.Source, height, width, channels int, seed uint64, stream uint32) func(address int64, to []float32) {
	of := distributions[s.Kind()]
	white := func(address int64, to []float32) { of.At(to, 0, seed, stream, uint64(address), 0) }
	if !s.Gaussian() || s.White() {
		return white
	}
	k := colour.New(spectrum(s, height, width), 1, channels)
	scratch := sync.Pool{New: func() any { x := make([]float32, height*width*channels); return &x }}
	return func(address int64, to []float32) {
		white(address, to)
		x := scratch.Get().(*[]float32)
		k.Image(to, *x)
		scratch.Put(x)
	}
}
