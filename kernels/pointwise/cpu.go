package pointwise

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"
)

// bf16 tells whether a launch is on bfloat16.
func bf16(l kernels.Launch) bool { return l.Out.Type == number.BFloat16 }

// bind is a launch that does the same to every range of rows: out is made of the first
// input x and of the last, y.
func bind[T cpu.Element](l kernels.Launch, f func(k *cpu.Norms[T], out, x, y cpu.MatrixOf[T])) func(*cpu.Pool) {
	out, x, y := kernels.View[T](l.Out), kernels.View[T](l.In[0]), kernels.View[T](l.In[len(l.In)-1])
	return kernels.RowLoop(l.Out.Matrix, func(k *cpu.Kernels, r, n int) {
		f(cpu.NormsOf[T](k), kernels.Rows(out, r, n), kernels.Rows(x, r, n), kernels.Rows(y, r, n))
	})
}

// columns is a number for each column, always the same.
func columns(n int, x float64) []float32 {
	c := make([]float32, n)
	for i := range c {
		c[i] = float32(x)
	}
	return c
}

// CPU binds the addition.
func (AddOp) CPU(l kernels.Launch) func(*cpu.Pool) {
	if bf16(l) { // 1·y + 1·x + 0
		ones, zeros := columns(l.Out.Cols, 1), columns(l.Out.Cols, 0)
		return bind(l, func(k *cpu.Norms[uint16], out, x, y cpu.MatrixOf[uint16]) {
			k.GradAffine(out, x, y, ones, ones, zeros, cpu.MatrixOf[uint16]{})
		})
	}
	return kernels.RowLoop(l.Out.Matrix, func(k *cpu.Kernels, r, n int) {
		k.Add(kernels.Rows(l.Out.Matrix, r, n), kernels.Rows(l.In[0].Matrix, r, n), kernels.Rows(l.In[1].Matrix, r, n))
	})
}

// TakesBFloat16 says yes.
func (PerImageOp) TakesBFloat16() bool { return true }

// CPU binds the addition.
func (PerImageOp) CPU(l kernels.Launch) func(*cpu.Pool) {
	if bf16(l) {
		return bindPerImage[uint16](l)
	}
	return bindPerImage[float32](l)
}

func bindPerImage[T cpu.Element](l kernels.Launch) func(*cpu.Pool) {
	out, x := kernels.View[T](l.Out), kernels.View[T](l.In[0])
	images := l.In[1].Rows
	pixels := out.Rows / images
	ones := columns(out.Cols, 1)
	var k *cpu.Norms[T]
	image := func(n, _ int) {
		k.Affine(kernels.Rows(out, n*pixels, pixels), kernels.Rows(x, n*pixels, pixels), ones, l.In[1].Row(n))
	}
	return func(p *cpu.Pool) {
		k = cpu.NormsOf[T](p.Kernels())
		p.Run(images, image)
	}
}

func (a affine) CPU(l kernels.Launch) func(*cpu.Pool) {
	if bf16(l) {
		return bindAffine[uint16](l, a)
	}
	return bindAffine[float32](l, a)
}

func bindAffine[T cpu.Element](l kernels.Launch, a affine) func(*cpu.Pool) {
	scale, shift := columns(l.Out.Cols, a.scale), columns(l.Out.Cols, a.shift)
	return bind(l, func(k *cpu.Norms[T], out, x, _ cpu.MatrixOf[T]) { k.Affine(out, x, scale, shift) })
}

func (silu) CPU(l kernels.Launch) func(*cpu.Pool) {
	if bf16(l) {
		return bindSiLU[uint16](l)
	}
	return bindSiLU[float32](l)
}

func bindSiLU[T cpu.Element](l kernels.Launch) func(*cpu.Pool) {
	ones, zeros := columns(l.Out.Cols, 1), columns(l.Out.Cols, 0)
	return bind(l, func(k *cpu.Norms[T], out, x, _ cpu.MatrixOf[T]) { k.AffineSiLU(out, x, ones, zeros) })
}

func (siluGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	if bf16(l) {
		return bindSiLUGrad[uint16](l)
	}
	return bindSiLUGrad[float32](l)
}

func bindSiLUGrad[T cpu.Element](l kernels.Launch) func(*cpu.Pool) {
	ones, zeros := columns(l.Out.Cols, 1), columns(l.Out.Cols, 0)
	return bind(l, func(k *cpu.Norms[T], out, x, y cpu.MatrixOf[T]) {
		k.SiLUGradAffine(out, x, y, ones, zeros, ones, zeros, zeros, cpu.MatrixOf[T]{})
	})
}

func (copyOp) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, r, n int) {
		kernels.Copy(l.Out.Part(r, n, 0, l.Out.Cols), l.In[0].Part(r, n, 0, l.Out.Cols))
	})
}
