package conv

import "fluxion/kernels"

// each visits every product of the convolution: output element, input element, weight element.
func each(s size, visit func(y, x, w int)) {
	for n := range s.n {
		for oy := range s.oh {
			for ox := range s.ow {
				for ky := range s.kh {
					for kx := range s.kw {
						iy, ix := oy*s.Stride+ky-s.PadTop, ox*s.Stride+kx-s.PadLeft
						if s.source(iy, ix) < 0 {
							continue
						}
						for i := range s.cin {
							for o := range s.cout {
								visit(((n*s.oh+oy)*s.ow+ox)*s.cout+o, (n*s.inputPixels()+int(s.source(iy, ix)))*s.cin+i, ((ky*s.kw+kx)*s.cin+i)*s.cout+o)
							}
						}
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
	each(s, func(yi, xi, wi int) { y.Data[yi] += x.Data[xi] * w.Data[wi] })
	return y
}

func referenceInputGrad(o Options, dy, w kernels.Array, h, width int) kernels.Array {
	dx := kernels.NewArray(dy.Shape[0], h, width, w.Shape[2])
	each(mustSize(o, dx.Shape, w.Shape), func(yi, xi, wi int) { dx.Data[xi] += dy.Data[yi] * w.Data[wi] })
	return dx
}

func referenceWeightGrad(o Options, x, dy kernels.Array, kh, kw int) kernels.Array {
	dw := kernels.NewArray(kh, kw, x.Shape[3], dy.Shape[3])
	each(mustSize(o, x.Shape, dw.Shape), func(yi, xi, wi int) { dw.Data[wi] += dy.Data[yi] * x.Data[xi] })
	return dw
}
