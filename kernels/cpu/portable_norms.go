package cpu

import (
	"math"
	"unsafe"

	"fluxion/kernels/number"
)

// portableNorms are those of portable, without fused products, too.
func portableNorms[T Element](k *Norms[T]) {
	k.ColSum = func(acc []float32, x MatrixOf[T]) {
		visit(x, func(_, c int, x float32) { acc[c] += x })
	}
	k.ColSumSquares = func(acc, mean []float32, x MatrixOf[T]) {
		visit(x, func(_, c int, x float32) { acc[c] += float32((x - mean[c]) * (x - mean[c])) })
	}
	k.Affine = func(dst, x MatrixOf[T], a, b []float32) {
		visit(x, func(r, c int, x float32) { set(dst, r, c, float32(a[c]*x)+b[c]) })
	}
	k.AffineSiLU = func(dst, x MatrixOf[T], a, b []float32) {
		visit(x, func(r, c int, x float32) {
			u := float32(a[c]*x) + b[c]
			set(dst, r, c, u*sigmoid(u))
		})
	}
	k.GradSums = func(s1, s2 []float32, x, dy MatrixOf[T]) {
		visit(x, func(r, c int, x float32) {
			du := at(dy, r, c)
			s1[c] += du
			s2[c] += float32(du * x)
		})
	}
	k.SiLUGradSums = func(kept Matrix, s1, s2 []float32, x, dy MatrixOf[T], a, b []float32) {
		visit(x, func(r, c int, x float32) {
			du := siluGrad(float32(a[c]*x)+b[c], at(dy, r, c))
			s1[c] += du
			s2[c] += float32(du * x)
			if kept.Data != nil {
				set(kept, r, c, du)
			}
		})
	}
	k.GradAffine = func(dx, x, dy MatrixOf[T], p, q, r []float32, add MatrixOf[T]) {
		visit(x, func(i, c int, x float32) {
			set(dx, i, c, float32(p[c]*at(dy, i, c))+float32(q[c]*x)+r[c]+at(add, i, c))
		})
	}
	k.SiLUGradAffine = func(dx, x, dy MatrixOf[T], a, b, p, q, r []float32, add MatrixOf[T]) {
		visit(x, func(i, c int, x float32) {
			set(dx, i, c, float32(p[c]*siluGrad(float32(a[c]*x)+b[c], at(dy, i, c)))+float32(q[c]*x)+r[c]+at(add, i, c))
		})
	}
	k.DuAffine = func(dx, x MatrixOf[T], du Matrix, p, q, r []float32, add MatrixOf[T]) {
		visit(x, func(i, c int, x float32) {
			set(dx, i, c, float32(p[c]*at(du, i, c))+float32(q[c]*x)+r[c]+at(add, i, c))
		})
	}
}

// single reports whether elements are float32, which is known when T is.
func single[T Element]() bool { return unsafe.Sizeof(*new(T)) == 4 }

func visit[T Element](x MatrixOf[T], f func(r, c int, x float32)) {
	for r := range x.Rows {
		for c := range x.Cols {
			f(r, c, at(x, r, c))
		}
	}
}

// at is an element of a matrix that may not be there.
func at[T Element](m MatrixOf[T], r, c int) float32 {
	if m.Data == nil {
		return 0
	}
	x := m.Data[r*m.Pitch+c]
	if single[T]() {
		return float32(x)
	}
	return number.Widen(uint16(x))
}

func set[T Element](m MatrixOf[T], r, c int, x float32) {
	if single[T]() {
		m.Data[r*m.Pitch+c] = T(x)
	} else {
		m.Data[r*m.Pitch+c] = T(number.Narrow(x))
	}
}

func sigmoid(u float32) float32 { return float32(1 / (1 + math.Exp(-float64(u)))) }

func siluGrad(u, dy float32) float32 {
	s := sigmoid(u)
	return dy * s * (1 + float32(u*(1-s)))
}
