package pool

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
)

// CPU binds the operation: a task is a row of windows.
func (p windows) CPU(l kernels.Launch) func(*cpu.Pool) {
	x, out := l.In[0], l.Out
	z := p.o.of(x.Shape[0], x.Shape[1], x.Shape[2])
	var k *cpu.Kernels
	row := func(task, _ int) {
		n, oy := task/z.oh, task%z.oh
		for ox := range z.ow {
			to := out.Row(task*z.ow + ox)
			top, bottom, left, right := z.window(oy, ox)
			first := true
			for y := top; y < bottom; y++ {
				for at := left; at < right; at++ {
					from := x.Row((n*z.h+y)*z.w + at)
					switch {
					case first:
						copy(to, from)
						first = false
					case p.max:
						larger(to, from)
					default:
						k.Add(line(to), line(to), line(from))
					}
				}
			}
			if count := (bottom - top) * (right - left); !p.max && count > 1 {
				k.Scale(line(to), line(to), 1/float32(count))
			}
		}
	}
	return func(pool *cpu.Pool) {
		k = pool.Kernels()
		pool.Run(z.images*z.oh, row)
	}
}

func line(x []float32) cpu.Matrix { return cpu.Matrix{Data: x, Rows: 1, Cols: len(x), Pitch: len(x)} }

// larger takes what is larger; NaN stays.
func larger(to, from []float32) {
	from = from[:len(to)]
	for i, v := range from {
		to[i] = max(to[i], v)
	}
}

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
