package depthwise

import (
	_ "embed"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
)

// CPU binds the convolution: a task is a row of the output, to which each place of
// the kernel adds its products, in order.
func (f forward) CPU(l kernels.Launch) func(*cpu.Pool) {
	x, w, b, out := l.In[0], l.In[1], l.In[2].Row(0), l.Out
	z := f.o.of(x.Shape, w.Shape)
	ones, zeros := make([]float32, z.c), make([]float32, z.c)
	for i := range ones {
		ones[i] = 1
	}
	var k *cpu.Kernels
	row := func(task, _ int) {
		n, oy := task/z.oh, task%z.oh
		for ox := range z.ow {
			copy(out.Row(task*z.ow+ox), b)
		}
		for ky := range z.kh {
			iy := oy*z.Stride - z.PadTop + ky
			if iy < 0 || iy >= z.h {
				continue
			}
			for kx := range z.kw {
				first, end := kernels.Reached(z.ow, z.w, z.Stride, z.PadLeft, kx)
				if first >= end {
					continue
				}
				to := kernels.Rows(out.Matrix, task*z.ow+first, end-first)
				from := cpu.Matrix{Data: x.Data[((n*z.h+iy)*z.w+first*z.Stride-z.PadLeft+kx)*x.Pitch:], Rows: end - first, Cols: z.c, Pitch: x.Pitch * z.Stride}
				k.GradAffine(to, from, to, ones, w.Row(ky*z.kw+kx), zeros, cpu.Matrix{})
			}
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(z.n*z.oh, row)
	}
}

//go:embed depthwise.ptx.zst
var ptx string

var module = cuda.Register("depthwise", ptx)

const rowsPerThread = 2 // as in depthwise.cu

// CUDAScratch is none.
func (forward) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA launches the convolution.
func (f forward) CUDA(l cuda.Launch) []cuda.Call {
	x, w, b := l.In[0], l.In[1], l.In[2]
	z := f.o.of(x.Shape, w.Shape)
	t := cuda.Over(l.Out, x, w, b)
	return []cuda.Call{{
		Module: module, Function: t.Function("depthwise_conv", l.Out.Type), Grid: t.Grid(rowsPerThread), Block: t.Block(),
		Args: cuda.Args(t.View(l.Out), t.View(x), t.View(w), b.Address, t.Rows, t.Cols, z.h, z.w, z.oh, z.ow, z.kh, z.kw, z.Stride, z.PadTop, z.PadLeft),
	}}
}
