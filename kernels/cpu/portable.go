package cpu

import (
	"math"
	"unsafe"

	"fluxion/kernels/number"
)

// portable returns the kernels in plain Go: what the assembly computes, one
// element at a time. The explicit float32() of each product keeps compilers from
// fusing it with an addition, so that every architecture has the same bits.
func portable() *Kernels {
	k := &Kernels{Name: "portable", TileCols: 16, Lanes: 8, Tile: portableTile, TileT: portableTileT, Gram: portableGram}
	k.Add = func(dst, a, b Matrix) {
		each(dst, a, func(r, c int, x float32) float32 { return x + b.Data[r*b.Pitch+c] })
	}
	k.Copy = func(dst, a Matrix) {
		for r := range dst.Rows {
			copy(dst.Row(r), a.Row(r))
		}
	}
	k.Scale = func(dst, a Matrix, s float32) {
		each(dst, a, func(_, _ int, x float32) float32 { return s * x })
	}
	k.Clip = func(dst, a Matrix, limit float32) {
		each(dst, a, func(_, _ int, x float32) float32 {
			switch {
			case x < 0:
				return 0
			case x > limit:
				return limit
			}
			return x
		})
	}
	k.Larger = func(dst, a, b Matrix) {
		each(dst, a, func(r, c int, x float32) float32 {
			y := b.Data[r*b.Pitch+c]
			p, q := x, y
			if y > x {
				p = y
			}
			if x > y {
				q = x
			}
			return math.Float32frombits(math.Float32bits(p) | math.Float32bits(q))
		})
	}
	k.ScaleRows = func(dst, a Matrix, by []float32) {
		each(dst, a, func(r, _ int, x float32) float32 { return by[r] * x })
	}
	k.Transpose = func(out uintptr, outPitch int, in uintptr, inPitch, rows, cols int) {
		for c := range cols {
			to := words(out+uintptr(c*outPitch), (rows+k.Lanes-1)/k.Lanes*k.Lanes)
			for r := range rows {
				to[r] = words(in+uintptr(r*inPitch), cols)[c]
			}
			clear(to[rows:])
		}
	}
	portableNorms(&k.Norms)
	portableNorms(&k.BF16Norms)
	k.ColMax = func(acc []float32, x Matrix) {
		visit(x, func(_, c int, x float32) { acc[c] = max(acc[c], x) })
	}
	k.ExpColumns = func(dst, x Matrix, scale float32, shift []float32) {
		each(dst, x, func(_, c int, x float32) float32 { return float32(math.Exp(float64(float32(scale*x) - shift[c]))) })
	}
	k.ExpRows = func(dst, x Matrix, scale float32, shift, factor []float32) {
		each(dst, x, func(r, _ int, x float32) float32 {
			return float32(math.Exp(float64(float32(scale*x)-shift[r]))) * factor[r]
		})
	}
	k.SoftmaxGradColumns = func(ds, p, dp Matrix, dot, scale []float32) {
		each(ds, p, func(r, c int, p float32) float32 { return p * (dp.Data[r*dp.Pitch+c] - dot[c]) * scale[c] })
	}
	k.SoftmaxGradRows = func(ds, p, dp Matrix, dot []float32, scale float32) {
		each(ds, p, func(r, c int, p float32) float32 { return p * (dp.Data[r*dp.Pitch+c] - dot[r]) * scale })
	}
	k.Dot = func(a, b []float32) float64 {
		sum := 0.0
		for i, x := range a {
			sum += float64(x) * float64(b[i])
		}
		return sum
	}
	k.SumSquares = func(x []float32) float64 { return k.Dot(x, x) }
	k.AdamW = portableAdamW
	portableWinograd(k)
	portableCasts(k)
	return k
}

func portableCasts(k *Kernels) {
	k.Widen = func(to []float32, from []uint16) {
		for i, x := range from[:len(to)] {
			to[i] = number.Widen(x)
		}
	}
	k.Narrow = func(to []uint16, from []float32) {
		for i, x := range from[:len(to)] {
			to[i] = number.Narrow(x)
		}
	}
}

// each writes f of every element of x.
func each(dst, x Matrix, f func(r, c int, x float32) float32) {
	for r := range dst.Rows {
		to := dst.Row(r)
		for c, e := range x.Row(r) {
			to[c] = f(r, c, e)
		}
	}
}

func portableAdamW(h *AdamW, p, g, m, v, ema []float32) {
	for i := range p {
		e := g[i] * h.GradScale
		m[i] = float32(h.Beta1*m[i]) + float32((1-h.Beta1)*e)
		v[i] = float32(h.Beta2*v[i]) + float32((1-h.Beta2)*e*e)
		step := h.LR * h.C1 * m[i] / (float32(math.Sqrt(float64(v[i]*h.C2))) + h.Eps)
		p[i] -= step + float32(h.LR*h.WeightDecay*p[i])
		if ema != nil {
			ema[i] += float32((1 - h.EMADecay) * (p[i] - ema[i]))
		}
	}
}

// floats returns the n floats at an address that the caller keeps alive.
func floats(address uintptr, n int) []float32 {
	return unsafe.Slice((*float32)(*(*unsafe.Pointer)(unsafe.Pointer(&address))), n)
}

// words is the same memory as whole numbers, from any even address on.
func words(address uintptr, n int) []uint32 {
	return unsafe.Slice((*uint32)(*(*unsafe.Pointer)(unsafe.Pointer(&address))), n)
}

func portableTile(t *Tile) {
	rows := unsafe.Slice(t.A, t.Taps*TileRows)
	panels := unsafe.Slice(t.B, t.Taps)
	var acc [TileRows][16]float32
	for tap, panel := range panels {
		for i := range t.Rows {
			a := floats(rows[tap*TileRows+i], t.Depth)
			sum := acc[i][:t.Width]
			for k, x := range a {
				for j, b := range floats(panel+uintptr(k*t.BPitch), t.Width) {
					sum[j] += float32(x * b)
				}
			}
		}
	}
	for i := range t.Rows {
		c := floats(t.C+uintptr(i*t.CPitch), t.Width)
		if t.Accumulate != 0 {
			for j := range c {
				c[j] += acc[i][j]
			}
			continue
		}
		copy(c, acc[i][:])
		if t.Bias != 0 {
			for j, b := range floats(t.Bias, t.Width) {
				c[j] += b
			}
		}
		if t.Add != 0 {
			for j, e := range floats(t.Add+uintptr(i*t.AddPitch), t.Width) {
				c[j] += e
			}
		}
	}
}

func portableTileT(t *TileT) {
	var acc [TileRows][16]float32
	for k, row := range unsafe.Slice(t.A, t.Depth) {
		a := floats(row+uintptr(t.AOffset), t.Rows)
		b := floats(t.B+uintptr(k*t.BPitch), t.Width)
		for i, x := range a {
			sum := acc[i][:t.Width]
			for j, e := range b {
				sum[j] += float32(x * e)
			}
		}
	}
	for i := range t.Rows {
		c := floats(t.C+uintptr(i*t.CPitch), t.Width)
		for j := range c {
			if t.Accumulate == 0 {
				c[j] = 0
			}
			c[j] += acc[i][j]
		}
	}
}

func portableGram(g *Gram) {
	for i, x := range g.X {
		for j, y := range g.Y {
			sums, a, b := &g.Sums[i][j], floats(x, g.Depth), floats(y, g.Depth)
			*sums = [4]float64{}
			for v := 0; v < len(a); v += 4 {
				for k := range 4 {
					sums[k] += float64(float64(a[v+k]) * float64(b[v+k]))
				}
			}
		}
	}
}
