package pool

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
)

// CPU binds the operation: a task is a row of windows, to which each place of the window
// brings its pixels, in order.
func (p windows) CPU(l kernels.Launch) func(*cpu.Pool) {
	x, out := l.In[0], l.Out
	z := p.o.of(x.Shape[0], x.Shape[1], x.Shape[2])
	var k *cpu.Kernels
	begin := float32(0)
	if p.max {
		begin = float32(math.Inf(-1))
	}
	row := func(task, _ int) {
		n, oy := task/z.oh, task%z.oh
		for ox := range z.ow {
			to := out.Row(task*z.ow + ox)
			for c := range to {
				to[c] = begin
			}
		}
		top, bottom, _, _ := z.window(oy, 0)
		for y := top; y < bottom; y++ {
			for kx := range z.Side {
				first, end := kernels.Reached(z.ow, z.w, z.Stride, z.Pad, kx)
				if first >= end {
					continue
				}
				to := kernels.Rows(out.Matrix, task*z.ow+first, end-first)
				from := cpu.Matrix{Data: x.Data[((n*z.h+y)*z.w+first*z.Stride-z.Pad+kx)*x.Pitch:], Rows: end - first, Cols: x.Cols, Pitch: x.Pitch * z.Stride}
				if p.max {
					k.Larger(to, to, from)
				} else {
					k.Add(to, to, from)
				}
			}
		}
		for ox := range z.ow {
			if _, _, left, right := z.window(oy, ox); !p.max {
				k.Scale(line(out.Row(task*z.ow+ox)), line(out.Row(task*z.ow+ox)), 1/float32((bottom-top)*(right-left)))
			}
		}
	}
	return func(pool *cpu.Pool) {
		k = pool.Kernels()
		pool.Run(z.images*z.oh, row)
	}
}

func line(x []float32) cpu.Matrix { return cpu.Matrix{Data: x, Rows: 1, Cols: len(x), Pitch: len(x)} }

// CPU binds the operation: a task is an image, whose windows are visited in order.
func (g gradient) CPU(l kernels.Launch) func(*cpu.Pool) {
	dy, dx := l.In[0], l.Out
	z := g.o.of(dy.Shape[0], g.h, g.w)
	image := func(n, _ int) {
		for i := range g.h * g.w {
			clear(dx.Row(n*g.h*g.w + i))
		}
		for oy := range z.oh {
			for ox := range z.ow {
				from := dy.Row((n*z.oh+oy)*z.ow + ox)
				top, bottom, left, right := z.window(oy, ox)
				share := 1 / float32((bottom-top)*(right-left))
				for y := top; y < bottom; y++ {
					for x := left; x < right; x++ {
						to := dx.Row((n*g.h+y)*g.w + x)
						for c, v := range from {
							to[c] += float32(share * v)
						}
					}
				}
			}
		}
	}
	return func(pool *cpu.Pool) { pool.Run(z.images, image) }
}
