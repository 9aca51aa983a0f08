package groupnorm

import (
	"math"

	"fluxion/kernels"
)

func referenceStats(x kernels.Array, o Options) kernels.Array {
	n, c := x.Shape[0], x.Shape[3]
	pixels := x.Shape[1] * x.Shape[2]
	s := kernels.NewArray(n, o.Groups, 2)
	per := c / o.Groups
	each := func(i, g int, visit func(x float64)) {
		for p := range pixels {
			for j := g * per; j < (g+1)*per; j++ {
				visit(x.Data[(i*pixels+p)*c+j])
			}
		}
	}
	count := float64(pixels * per)
	for i := range n {
		for g := range o.Groups {
			mean, variance := 0.0, 0.0
			each(i, g, func(x float64) { mean += x / count })
			each(i, g, func(x float64) { variance += (x - mean) * (x - mean) / count })
			s.Data[(i*o.Groups+g)*2], s.Data[(i*o.Groups+g)*2+1] = mean, 1/math.Sqrt(variance+o.Epsilon)
		}
	}
	return s
}

// fields reads the small inputs of a normalisation. The formulas over them are
// the same in the reference (float64) and in the kernels (float32 storage).
type fields[T float32 | float64] struct {
	stats, gamma, beta, scaleShift []T
	groups, channels               int
}

// moments returns mean and rstd of the group of channel c of image n.
func (f fields[T]) moments(n, c int) (mean, rstd float64) {
	i := (n*f.groups + c/(f.channels/f.groups)) * 2
	return float64(f.stats[i]), float64(f.stats[i+1])
}

// modulation returns 1+scale and shift.
func (f fields[T]) modulation(n, c int) (scale, shift float64) {
	if f.scaleShift == nil {
		return 1, 0
	}
	row := f.scaleShift[n*2*f.channels:]
	return 1 + float64(row[c]), float64(row[f.channels+c])
}

// line returns a and b of u = a·x + b, the value before the activation.
func (f fields[T]) line(n, c int) (a, b float64) {
	mean, rstd := f.moments(n, c)
	scale, shift := f.modulation(n, c)
	a = rstd * float64(f.gamma[c]) * scale
	return a, (float64(f.beta[c])-mean*rstd*float64(f.gamma[c]))*scale + shift
}

// normalised returns Σdu and Σdu·x̂ of channel c of image n, from the sums.
func (f fields[T]) normalised(sums []T, n, c int) (du, dux float64) {
	mean, rstd := f.moments(n, c)
	row := sums[n*2*f.channels:]
	du = float64(row[c])
	return du, rstd * (float64(row[f.channels+c]) - mean*du)
}

// correction returns q and r of dx = a·du + q·x + r for a group of image n: the
// mean of the gradient and its mean along x̂ are taken out.
func (f fields[T]) correction(sums []T, n, group, pixels int) (q, r float64) {
	per := f.channels / f.groups
	count := float64(per * pixels)
	mean, rstd := f.moments(n, group*per)
	m1, m2 := 0.0, 0.0
	for c := group * per; c < (group+1)*per; c++ {
		scale, _ := f.modulation(n, c)
		du, dux := f.normalised(sums, n, c)
		m1 += float64(f.gamma[c]) * scale * du / count
		m2 += float64(f.gamma[c]) * scale * dux / count
	}
	q = -rstd * rstd * m2
	return q, -rstd*m1 - q*mean
}

// parameterGrad writes the gradient of gamma, beta (C) or scaleShift (N,2C) for
// the channels [from, to).
func (f fields[T]) parameterGrad(which string, out, sums []T, from, to int) {
	images := len(sums) / (2 * f.channels)
	for c := from; c < to; c++ {
		total := 0.0
		for n := range images {
			scale, _ := f.modulation(n, c)
			du, dux := f.normalised(sums, n, c)
			switch which {
			case "gamma":
				total += dux * scale
			case "beta":
				total += du * scale
			default:
				out[n*2*f.channels+c] = T(dux*float64(f.gamma[c]) + du*float64(f.beta[c]))
				out[n*2*f.channels+f.channels+c] = T(du)
			}
		}
		if which != "scaleshift" {
			out[c] = T(total)
		}
	}
}

func (c common) fields(in []kernels.Array) fields[float64] {
	f := fields[float64]{in[1].Data, in[2].Data, in[3].Data, nil, c.o.Groups, in[0].Shape[3]}
	if c.scaleShift {
		f.scaleShift = in[4].Data
	}
	return f
}

// each visits every element: its index, image and channel.
func each(x kernels.Array, visit func(i, n, c int)) {
	channels := x.Shape[3]
	per := len(x.Data) / x.Shape[0]
	for i := range x.Data {
		visit(i, i/per, i%channels)
	}
}

func (a apply) reference(in []kernels.Array) kernels.Array {
	f := a.fields(in)
	y := kernels.NewArray(in[0].Shape...)
	each(y, func(i, n, c int) {
		scale, shift := f.line(n, c)
		u := scale*in[0].Data[i] + shift
		if a.o.SiLU {
			u /= 1 + math.Exp(-u)
		}
		y.Data[i] = u
	})
	return y
}

// beforeActivation returns du of element i.
func (c common) beforeActivation(f fields[float64], x, dy float64, n, channel int) float64 {
	if !c.o.SiLU {
		return dy
	}
	a, b := f.line(n, channel)
	u := a*x + b
	s := 1 / (1 + math.Exp(-u))
	return dy * s * (1 + u*(1-s))
}

func (s sums) referenceSums(in []kernels.Array, dy kernels.Array) kernels.Array {
	f := s.fields(in)
	out := kernels.NewArray(in[0].Shape[0], 2*f.channels)
	each(dy, func(i, n, c int) {
		du := s.beforeActivation(f, in[0].Data[i], dy.Data[i], n, c)
		out.Data[n*2*f.channels+c] += du
		out.Data[n*2*f.channels+f.channels+c] += du * in[0].Data[i]
	})
	return out
}

func (g inputGrad) referenceInputGrad(in []kernels.Array, dy, sums kernels.Array) kernels.Array {
	f := g.fields(in)
	dx := kernels.NewArray(in[0].Shape...)
	pixels := in[0].Shape[1] * in[0].Shape[2]
	per := f.channels / f.groups
	q, r := make([]float64, in[0].Shape[0]*f.groups), make([]float64, in[0].Shape[0]*f.groups)
	for i := range q {
		q[i], r[i] = f.correction(sums.Data, i/f.groups, i%f.groups, pixels)
	}
	each(dx, func(i, n, c int) {
		a, _ := f.line(n, c)
		group := n*f.groups + c/per
		dx.Data[i] = a*g.beforeActivation(f, in[0].Data[i], dy.Data[i], n, c) + q[group]*in[0].Data[i] + r[group]
	})
	return dx
}
