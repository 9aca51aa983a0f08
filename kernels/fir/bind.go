package fir

import (
	_ "embed"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// TakesBFloat16 says yes: it sums in float32.
func (resampling) TakesBFloat16() bool { return true }

// Scratch is, for each thread, a row of the result and one of the image, for bfloat16.
func (resampling) Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	return threads * (out[2] + in[0][2]) * out[3]
}

// CPU binds the resampling: a task is a row of the result, to which each tap adds its
// products, in order.
func (r resampling) CPU(l kernels.Launch) func(*cpu.Pool) {
	x, out := l.In[0], l.Out
	height, width, channels := x.Shape[1], x.Shape[2], x.Shape[3]
	ones, zeros := make([]float32, channels), make([]float32, channels)
	for i := range ones {
		ones[i] = 1
	}
	n := len(r.taps)
	weights := make([][]float32, n*n) // of each pair of taps, for every channel
	for i := range weights {
		weights[i] = make([]float32, channels)
		for c := range weights[i] {
			weights[i][c] = float32(r.weight(i/n) * r.weight(i%n))
		}
	}
	bf16 := out.Type == number.BFloat16
	narrow, wide := kernels.View[uint16](out), kernels.View[uint16](x)
	var k *cpu.Kernels
	row := func(task, worker int) {
		image, oy := task/r.height, task%r.height
		var to, line cpu.Matrix
		if !bf16 {
			to = kernels.Rows(out.Matrix, task*r.width, r.width)
		} else {
			own := l.Scratch[worker*(r.width+width)*channels:][:(r.width+width)*channels]
			to = cpu.Matrix{Data: own, Rows: r.width, Cols: channels, Pitch: channels}
			line = cpu.Matrix{Data: own[r.width*channels:], Rows: width, Cols: channels, Pitch: channels}
		}
		for ox := range r.width {
			clear(to.Row(ox))
		}
		for ky := range n {
			iy, ok := r.source(oy, ky, height)
			if !ok {
				continue
			}
			from := (image*height + iy) * width
			if bf16 {
				for ix := range width {
					k.Widen(line.Row(ix), wide.Row(from+ix))
				}
			} else {
				line = kernels.Rows(x.Matrix, from, width)
			}
			for kx := range n {
				if ox, ix, count := r.reached(kx, width); count > 0 {
					y := every(to, ox, count, r.up)
					k.GradAffine(y, every(line, ix, count, r.down), y, ones, weights[ky*n+kx], zeros, cpu.Matrix{})
				}
			}
		}
		if bf16 {
			for ox := range r.width {
				k.Narrow(narrow.Row(task*r.width+ox), to.Row(ox))
			}
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(x.Shape[0]*r.height, row)
	}
}

// reached is the first place of a row to which tap k brings a pixel, that pixel, and how many
// there are, every up-th place and every down-th pixel.
func (r resampling) reached(k, width int) (to, from, count int) {
	for to < r.width {
		i, ok := r.source(to, k, width)
		if ok {
			return to, i, min((r.width-1-to)/r.up, (width-1-i)/r.down) + 1
		}
		to++
	}
	return 0, 0, 0
}

// every is n rows of m, every step-th from a row on.
func every(m cpu.Matrix, from, n, step int) cpu.Matrix {
	return cpu.Matrix{Data: m.Data[from*m.Pitch:], Rows: n, Cols: m.Cols, Pitch: step * m.Pitch}
}

//go:embed fir.ptx.zst
var ptx string

var module = cuda.Register("fir", ptx)

const rowsPerThread = 2 // as in fir.cu

// CUDAScratch is none.
func (resampling) CUDAScratch(cuda.Launch) int { return 0 }

// filter is struct Filter of fir.cu.
func (r resampling) filter() []byte {
	var args []any
	for k := range MostTaps {
		if k < len(r.taps) {
			args = append(args, float32(r.weight(k)))
		} else {
			args = append(args, float32(0))
		}
	}
	return cuda.Args(append(args, len(r.taps), r.up, r.down, r.pad)...)
}

// CUDA launches the resampling.
func (r resampling) CUDA(l cuda.Launch) []cuda.Call {
	x := l.In[0]
	t := cuda.Over(l.Out, x)
	return []cuda.Call{{
		Module: module, Function: t.Function("fir_resample", l.Out.Type), Grid: t.Grid(rowsPerThread), Block: t.Block(),
		Args: cuda.Args(t.View(l.Out), t.View(x), t.Rows, t.Cols, x.Shape[1], x.Shape[2], r.height, r.width, r.filter()),
	}}
}
