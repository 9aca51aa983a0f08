package groupnorm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/kernels/reduce"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestJointCUDA: a launch that makes its statistics itself gives the bits of two, whether another kernel measured
// or not, and so a card of few multiprocessors, on which images are whole blocks, those of one of many. A gradient
// that makes its sums gives them up to the order of the additions.
func TestJointCUDA(t *testing.T) {
	for _, c := range []struct {
		shape       tensor.Shape
		groups, gap int
		scale       bool
	}{
		{tensor.Shape{2, 18, 17, 64}, 16, 8, true},
		{tensor.Shape{3, 4, 5, 48}, 4, 0, false},
		{tensor.Shape{1, 17, 20, 9}, 3, 5, false},
		{tensor.Shape{1, 5, 5, 68}, 1, 4, true}, // a group that is wider than a tile
	} {
		for _, of := range []number.Type{number.Float32, number.BFloat16} {
			t.Run(fmt.Sprint(c, of), func(t *testing.T) {
				j := jointCUDA{t: t, g: kerneltest.NewGPU(t, 3), rng: rand.New(rand.NewPCG(9, 8)), gap: c.gap}
				j.common = common{o: Options{Groups: c.groups, Epsilon: 1e-5, SiLU: true}, scaleShift: c.scale}
				j.make(c.shape, of)
				j.forward()
				j.backward()
			})
		}
	}
}

type jointCUDA struct {
	t      *testing.T
	g      *kerneltest.GPU
	rng    *rand.Rand
	gap    int
	common common
	in     []cuda.Operand // x, stats, gamma, beta, scaleShift
	dy     cuda.Operand
}

func (j *jointCUDA) values(mean float64, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = mean + j.rng.NormFloat64()
	}
	return v
}

func (j *jointCUDA) image(mean float64, s tensor.Shape, of number.Type) cuda.Operand {
	o := j.g.Matrix(of, s.TotalSize()/s[3], s[3], j.gap, j.values(mean, s.TotalSize()))
	o.Shape = s
	return o
}

func (j *jointCUDA) empty(of number.Type, s ...int) cuda.Operand {
	gap := 0
	if len(s) == 4 {
		gap = j.gap
	}
	o := j.g.Empty(of, tensor.Shape(s).TotalSize()/s[len(s)-1], s[len(s)-1], gap)
	o.Shape = s
	return o
}

func (j *jointCUDA) make(s tensor.Shape, of number.Type) {
	c := s[3]
	j.in = []cuda.Operand{j.image(20, s, of), {}, j.g.Vector(number.Float32, j.values(1, c)), j.g.Vector(number.Float32, j.values(0, c))}
	if j.common.scaleShift {
		o := j.g.Matrix(number.Float32, s[0], 2*c, 0, j.values(0, 2*s[0]*c))
		o.Shape = tensor.Shape{s[0], 2 * c}
		j.in = append(j.in, o)
	}
	j.dy = j.image(0, s, of)
}

// launch runs a kernel and says how many functions that took.
func (j *jointCUDA) launch(k cuda.Kernel, l cuda.Launch) int {
	if n := k.CUDAScratch(l); n > 0 {
		l.Scratch = j.g.Alloc(n)
	}
	calls := k.CUDA(l)
	j.g.Run(calls...)
	return len(calls)
}

var (
	narrowCard = cuda.Card{Multiprocessors: 1}
	wideCard   = cuda.Card{Multiprocessors: 1000}
)

func (j *jointCUDA) forward() {
	x := j.in[0]
	stats, y := j.empty(number.Float32, x.Shape[0], j.common.o.Groups, 2), j.empty(x.Type, x.Shape...)
	alone := statsOp{o: j.common.o}
	j.launch(alone, cuda.Launch{In: j.in[:1], Out: stats})
	j.in[1] = stats
	j.launch(apply{j.common}, cuda.Launch{In: j.in, Out: y})
	partials := cuda.Partials{Groups: j.common.o.Groups, Chunks: 1}
	var left []float64
	for n := range x.Shape[0] { // as somebody else would have left them
		for _, values := range [][]float32{nil, j.g.Values(stats)} {
			for g := range partials.Groups {
				if values == nil {
					left = append(left, float64(x.Shape[1]*x.Shape[2]*x.Cols/partials.Groups))
				} else {
					left = append(left, float64(values[2*(n*partials.Groups+g)]))
				}
			}
		}
		for g := range partials.Groups {
			r := float64(j.g.Values(stats)[2*(n*partials.Groups+g)+1])
			left = append(left, (1/(r*r)-j.common.o.Epsilon)*left[len(left)-2*partials.Groups])
		}
	}
	both := apply{j.common}.Joined(1, alone).(interface {
		cuda.Kernel
		cuda.Measured
	})
	for _, card := range []cuda.Card{narrowCard, wideCard, {}} {
		made, out := j.empty(number.Float32, stats.Shape...), j.empty(x.Type, x.Shape...)
		in := slices.Clone(j.in)
		in[1] = made
		n := j.launch(both, cuda.Launch{Card: card, In: in, Out: out})
		if one := n == 1; one != (card == narrowCard && j.common.o.Groups > 1) && x.Shape[1]*x.Shape[2] > 256 {
			j.t.Errorf("%d functions on %d multiprocessors", n, card.Multiprocessors)
		}
		if !slices.Equal(j.g.Values(made), j.g.Values(stats)) || !slices.Equal(j.g.Values(out), j.g.Values(y)) {
			j.t.Errorf("on %d multiprocessors %d functions give other bits than statistics and a normalisation", card.Multiprocessors, n)
		}
		p := partials
		p.Address = j.g.Vector(number.Float32, left).Address
		in[1], out = j.empty(number.Float32, stats.Shape...), j.empty(x.Type, x.Shape...)
		j.launch(both, cuda.Launch{Card: card, In: in, Out: out, Partials: p})
		j.near("what partials give", j.g.Values(out), j.g.Values(y), 8e-3)
	}
}

func (j *jointCUDA) backward() {
	x := j.in[0]
	add, dx := j.image(0, x.Shape, x.Type), j.empty(x.Type, x.Shape...)
	totals := j.empty(number.Float32, x.Shape[0], 2*x.Cols)
	with := append(slices.Clone(j.in), j.dy)
	j.launch(sums{j.common}, cuda.Launch{In: with, Out: totals})
	j.launch(inputGrad{j.common}, cuda.Launch{In: append(with, totals), Out: dx, Add: add})
	both := inputGrad{j.common}.Joined(len(with), sums{j.common}).(cuda.Kernel)
	for _, card := range []cuda.Card{narrowCard, wideCard} {
		made, out := j.empty(number.Float32, totals.Shape...), j.empty(x.Type, x.Shape...)
		n := j.launch(both, cuda.Launch{Card: card, In: append(slices.Clone(with), made), Out: out, Add: add})
		if one := n == 1; one != (card == narrowCard && j.common.o.Groups > 1) && x.Shape[1]*x.Shape[2] > 256 {
			j.t.Errorf("%d functions on %d multiprocessors", n, card.Multiprocessors)
		}
		sum := j.tallied(with, add, card)
		j.near("dx with its sums", sum.dx, j.g.Values(out), 0)
		j.near("sums of dx", sum.pixels, sum.want, 1e-6)
		j.near("sums", j.g.Values(made), j.g.Values(totals), 1e-5)
		j.near("dx", j.g.Values(out), j.g.Values(dx), 8e-3)
	}
}

// tally is a gradient with its sums over the pixels, and what they are to be.
type tally struct{ dx, pixels, want []float32 }

func (j *jointCUDA) tallied(with []cuda.Operand, add cuda.Operand, card cuda.Card) (s tally) {
	x := j.in[0]
	alone := reduce.Pixels(gorgonia.NewTensor(gorgonia.NewGraph(), tensor.Float32, 4, gorgonia.WithShape(x.Shape...), gorgonia.WithName("x"))).Op().(kernels.PixelSum)
	k := inputGrad{j.common}.Joined(len(with), sums{j.common}).(kernels.Tallying).Tallied(alone).(cuda.Kernel)
	out, pixels := j.empty(x.Type, x.Shape...), j.empty(number.Float32, x.Shape[0], x.Cols)
	j.launch(k, cuda.Launch{Card: card, In: append(slices.Clone(with), j.empty(number.Float32, x.Shape[0], 2*x.Cols), pixels), Out: out, Add: add})
	s = tally{j.g.Values(out), j.g.Values(pixels), make([]float32, x.Shape[0]*x.Cols)}
	for i, v := range s.dx {
		s.want[i/(len(s.dx)/x.Shape[0])*x.Cols+i%x.Cols] += v
	}
	return s
}

// near compares in relative L2.
func (j *jointCUDA) near(what string, got, want []float32, most float64) {
	j.t.Helper()
	apart, size := 0.0, 0.0
	for i := range want {
		apart += math.Pow(float64(got[i])-float64(want[i]), 2)
		size += math.Pow(float64(want[i]), 2)
	}
	if e := math.Sqrt(apart / size); !(e <= most) {
		j.t.Errorf("%s is %.2g apart, at most %.2g is allowed", what, e, most)
	}
}
