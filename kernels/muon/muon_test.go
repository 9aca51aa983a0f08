package muon

import (
	"math"
	"slices"
	"testing"

	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/kernels/optim"
	"fluxion/kernels/optim/optimtest"

	"gorgonia.org/tensor"
)

// The layout of a row is the one that muon.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "muon.cu", "Row", Row{}) }

// orthogonal is the direction of a matrix, in float64.
func orthogonal(m Matrix, x []float64) []float64 {
	at := func(x []float64, columns, i, j int) float64 { return x[i*columns+j] }
	norm := 0.0
	for _, e := range x {
		norm += e * e
	}
	y := make([]float64, len(x))
	for i, e := range x {
		y[i] = e / (math.Sqrt(norm) + smallest)
	}
	if !m.left() { // of the transpose
		for i := range m.Rows {
			for j := range m.Columns {
				y[j*m.Rows+i] = x[i*m.Columns+j] / (math.Sqrt(norm) + smallest)
			}
		}
	}
	side, long := m.side(), max(m.Rows, m.Columns)
	product := func(a, b []float64, columns int) []float64 { // a is square
		c := make([]float64, side*columns)
		for i := range side {
			for k := range side {
				for j := range columns {
					c[i*columns+j] += a[i*side+k] * b[k*columns+j]
				}
			}
		}
		return c
	}
	for range iterations {
		a := make([]float64, side*side)
		for i := range side {
			for j := range side {
				for k := range long {
					a[i*side+j] += at(y, long, i, k) * at(y, long, j, k)
				}
			}
		}
		b := product(a, a, side)
		for i := range b {
			b[i] = quintic*b[i] + cubic*a[i]
			if i%(side+1) == 0 {
				b[i] += linear
			}
		}
		y = product(b, y, long)
	}
	d := slices.Clone(y)
	if !m.left() {
		for i := range m.Rows {
			for j := range m.Columns {
				d[i*m.Columns+j] = y[j*m.Rows+i]
			}
		}
	}
	for i := range d {
		d[i] *= m.scale()
	}
	return d
}

// step is a training and what is done with it.
type step struct {
	Hyper
	matrices  []Matrix
	undecayed optim.Ranges
}

// training is parameters, moments and average.
type training [4][]float64

// launch is a step; it returns the training after it.
func (s step) launch(before training, gradients []float64, norm float64, copied bool) (kerneltest.Launch, training) {
	h, n := s.Hyper, len(before[0])
	factor, _ := h.Clip.Factor(norm)
	var after training
	for k := range after {
		after[k] = slices.Clone(before[k])
	}
	directions := make([]float64, n)
	inside := make([]bool, n)
	for _, m := range s.matrices {
		u := make([]float64, m.size())
		for i := range u {
			at := m.Offset + i
			inside[at] = true
			g := gradients[at] * factor
			after[1][at] = h.Momentum*before[1][at] + g
			if u[i] = after[1][at]; h.Nesterov {
				u[i] = g + h.Momentum*after[1][at]
			}
		}
		copy(directions[m.Offset:], orthogonal(m, u))
	}
	for i := range n {
		if !inside[i] {
			g := gradients[i] * factor
			after[1][i] = h.Beta1*before[1][i] + (1-h.Beta1)*g
			after[2][i] = h.Beta2*before[2][i] + (1-h.Beta2)*g*g
			directions[i] = after[1][i] * optim.Correction(h.Beta1, h.Count) / (math.Sqrt(after[2][i]*optim.Correction(h.Beta2, h.Count)) + h.Epsilon)
		}
		if _, un := s.undecayed.Next(i, n); !un {
			directions[i] += h.WeightDecay * before[0][i]
		}
		after[0][i] -= h.LearningRate * directions[i]
		after[3][i] += (1 - h.EMADecay) * (after[0][i] - before[3][i])
	}
	buffer := func(k int) kerneltest.Operand {
		return kerneltest.Operand{Shape: tensor.Shape{n}, Before: before[k], After: after[k]}
	}
	l := kerneltest.Launch{
		Kernel: New(&h, s.matrices, s.undecayed), Within: 1e-6, Out: buffer(0),
		In: []kerneltest.Operand{{Shape: tensor.Shape{n}, Before: gradients}, buffer(1), buffer(2), buffer(3), {Shape: tensor.ScalarShape(), Before: []float64{norm}}},
	}
	if copied {
		l.In = append(l.In, kerneltest.Operand{Shape: tensor.Shape{n}, Type: number.BFloat16, Before: make([]float64, n), After: after[0]})
	}
	return l, after
}

func example(clip float64) step {
	return step{
		Hyper: Hyper{
			LearningRate: 0.01, WeightDecay: 0.1, Momentum: 0.95, Nesterov: true, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Count: 3,
			Clip: optim.Clip{Scale: 0.25, Norm: clip}, EMADecay: 0.8,
		},
		// wide, tall, of sides that no vector fits, twice the same shape
		matrices:  []Matrix{{32, 24, 40}, {32 + 960 + 16, 90, 16}, {2480, 27, 5}, {2640, 27, 5}},
		undecayed: optim.Ranges{0, 16, 992, 1008},
	}
}

// begin is the midst of a training, with gradients. There is nothing in the gaps behind matrices.
func (s step) begin(n int) (w training, gradients []float64) {
	w = training{optimtest.Random(n, 1), optimtest.Random(n, 2), optimtest.Random(n, 3), optimtest.Random(n, 4)}
	gradients = optimtest.Random(n, 5)
	for i, x := range w[2] {
		w[2][i] = math.Abs(x)
	}
	for _, m := range s.matrices {
		for at := m.Offset + m.size(); at%optim.Line != 0; at++ {
			w[0][at], w[1][at], w[2][at], w[3][at], gradients[at] = 0, 0, 0, 0, 0
		}
	}
	return w, gradients
}

// TestSteps: with clipping and without, along the momentum and with Nesterov's; on a GPU
// also with a copy.
func TestSteps(t *testing.T) {
	for _, clip := range []float64{0, 0.5} {
		const n, norm = 2800, 100
		s := example(clip)
		s.Nesterov = clip == 0
		w, g := s.begin(n)
		l, _ := s.launch(w, g, norm, clip == 0)
		if clip == 0 {
			kerneltest.CheckLaunchCUDA(t, l)
			continue
		}
		kerneltest.CheckLaunch(t, l)
	}
	s := example(0)
	s.matrices = []Matrix{{16, 9 * 64, 128}} // tasks of the CPU end within it
	const n = 16 + 9*64*128 + 16
	w, g := s.begin(n)
	l, _ := s.launch(w, g, 1, false)
	kerneltest.CheckLaunchCPU(t, l)
}

// TestNotFinite: a step whose gradients are not finite changes nothing.
func TestNotFinite(t *testing.T) {
	const n = 2800
	s := example(1)
	w, g := s.begin(n)
	l, _ := s.launch(w, g, math.NaN(), false)
	for i := range l.In {
		l.In[i].After = nil
	}
	l.Out.After = nil
	kerneltest.CheckLaunch(t, l)
}

// TestPublished: a gradient diag(3,1) of 2×3 leads to diag(0.75, 1.1328125) in PyTorch's
// bfloat16, which has 8 bits.
func TestPublished(t *testing.T) {
	m := Matrix{0, 2, 3}
	d := orthogonal(m, []float64{3, 0, 0, 0, 1, 0})
	for i, want := range []float64{0.75, 0, 0, 0, 1.1328125, 0} {
		if got := d[i] / m.scale(); math.Abs(got-want) > 1.0/64 {
			t.Errorf("value %d is %v, want about %v", i, got, want)
		}
	}
}

// TestPyTorch follows the matrix of scripts/optimizers.py.
func TestPyTorch(t *testing.T) {
	want := map[int64][6]float64{
		1:  {0.9965171432312918, 0.7472788358281836, 0.5002857637312423, 0.25157407640213447, 0.0014305896627825698, -0.2514904004057331},
		4:  {0.9873863681506415, 0.7480603096470192, 0.5027575971902302, 0.25257807513247893, 0.0019071780360598344, -0.260807132200911},
		20: {0.9400623633661294, 0.7410555021105188, 0.5051205591471349, 0.21725972194366328, 0.017066243848268194, -0.25486143667433714},
	}
	const n = 16
	s := step{Hyper: Hyper{LearningRate: 0.01, WeightDecay: 0.1, Momentum: 0.95, Nesterov: true, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Clip: optim.Clip{Scale: 1}}, matrices: []Matrix{{0, 3, 2}}}
	var w training
	for k := range w {
		w[k] = make([]float64, n)
	}
	for i := range 6 {
		w[0][i] = 1 - 0.25*float64(i)
	}
	for s.Count = 1; s.Count <= 20; s.Count++ {
		g := make([]float64, n)
		for i := range 6 {
			g[i] = math.Sin(0.7*float64(s.Count)+1.3*float64(i)) + 0.3*math.Cos(2.1*float64(i))
		}
		l, next := s.launch(w, g, 1, false)
		if s.Count%7 == 1 {
			kerneltest.CheckLaunch(t, l)
		}
		w = next
		for i, x := range want[s.Count] {
			if math.Abs(w[0][i]-x) > 1e-12 && want[s.Count] != [6]float64{} {
				t.Errorf("weight %d after %d steps is %.15g, PyTorch's %.15g", i, s.Count, w[0][i], x)
			}
		}
	}
}
