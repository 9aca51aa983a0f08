package conv

import "fluxion/kernels"

// each visits every pair of pixels that a tap of the kernel brings together: where in
// output, input and weights the channels of each begin.
func each(s size, visit func(y, x, w int)) {
	for n := range s.n {
		for oy := range s.oh {
			for ox := range s.ow {
				for ky := range s.kh {
					for kx := range s.kw {
						source := s.source(oy*s.Stride+ky-s.PadTop, ox*s.Stride+kx-s.PadLeft)
						if source < 0 {
							continue
						}
						visit(((n*s.oh+oy)*s.ow+ox)*s.cout, (n*s.inputPixels()+int(source))*s.cin, (ky*s.kw+kx)*s.cin*s.cout)
					}
				}
			}
		}
	}
}

func reference(o Options, x, w, b kernels.Array) kernels.Array {
	s := mustSize(o, x.Shape, w.Shape)
	y := kernels.NewArray(s.output()...)
	for i := range y.Data {
		y.Data[i] = b.Data[i%s.cout]
	}
	each(s, func(yi, xi, wi int) {
		to := y.Data[yi:][:s.cout]
		for i, e := range x.Data[xi:][:s.cin] {
			for o, f := range w.Data[wi+i*s.cout:][:s.cout] {
				to[o] += e * f
			}
		}
	})
	return y
}

func referenceInputGrad(o Options, dy, w kernels.Array, h, width int) kernels.Array {
	dx := kernels.NewArray(dy.Shape[0], h, width, w.Shape[2])
	s := mustSize(o, dx.Shape, w.Shape)
	each(s, func(yi, xi, wi int) {
		from := dy.Data[yi:][:s.cout]
		for i := range s.cin {
			for o, f := range w.Data[wi+i*s.cout:][:s.cout] {
				dx.Data[xi+i] += from[o] * f
			}
		}
	})
	return dx
}

func referenceWeightGrad(o Options, x, dy kernels.Array, kh, kw int) kernels.Array {
	dw := kernels.NewArray(kh, kw, x.Shape[3], dy.Shape[3])
	s := mustSize(o, x.Shape, dw.Shape)
	each(s, func(yi, xi, wi int) {
		from := dy.Data[yi:][:s.cout]
		for i, e := range x.Data[xi:][:s.cin] {
			to := dw.Data[wi+i*s.cout:][:s.cout]
			for o := range to {
				to[o] += from[o] * e
			}
		}
	})
	return dw
}
