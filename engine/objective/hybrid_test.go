package objective

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"fluxion/engine/process"
	"fluxion/kernels/loss"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ofSteps is the objective on a schedule.
func ofSteps(t *testing.T, schedule, output string, levels bool) *hybrid {
	t.Helper()
	p, err := process.Get(schedule, process.ScheduleOptions{Shift: 1}, output)
	if err != nil {
		t.Fatal(err)
	}
	o, err := process.NewObjective(p, "uniform", "plain")
	if err != nil {
		t.Fatal(err)
	}
	kind, err := Find("hybrid:lambda=0.001")
	if err != nil {
		t.Fatal(err)
	}
	made, err := kind.New(Setup{Batch: 4, Objective: o, Levels: levels})
	if err != nil {
		t.Fatal(err)
	}
	return made.(*hybrid)
}

// boundOf is the term of an image in bits, and its gradients by v and by the noise that is
// predicted, for what a network says.
func boundOf(t *testing.T, h *hybrid, step int, eps, noise, x, v []float64) (bits float64, gradient, mean []float64) {
	t.Helper()
	q := h.Process().At(h.chain.Time(step))
	k := h.numbers(step, q, 1)
	// The output y that says eps at z = αx + σ·noise.
	answers := func(eps []float64) []float64 {
		y := make([]float64, len(eps))
		for i := range y {
			z := q.Alpha*x[i] + q.Sigma*noise[i]
			y[i] = q.A*(z-q.Sigma*eps[i])/q.Alpha + q.B*eps[i]
		}
		return y
	}
	g := gorgonia.NewGraph()
	node := func(name string, values []float64, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float64, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))))
	}
	image := []int{1, 1, 1, len(x)}
	y, of := node("y", answers(eps), image...), node("v", v, image...)
	target, data, numbers := node("target", answers(noise), image...), node("x", x, image...), node("numbers", k, 1, loss.Columns)
	zero := node("zero", []float64{0}, 1, 1, 1, 1)
	value := loss.Variational(y, of, target, data, numbers, loss.MSE(zero, zero, node("weight", []float64{1}, 1)))
	grads, err := gorgonia.Grad(value, of)
	if err != nil {
		t.Fatal(err)
	}
	whole := loss.Bound(y, of, target, data, numbers)
	both, err := gorgonia.Grad(whole, y, of)
	if err != nil {
		t.Fatal(err)
	}
	terms := loss.Terms(y, of, target, data, numbers)
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	bits, gradient = value.Value().Data().(float64), grads[0].Value().Data().([]float64)
	same := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-12*math.Abs(want) {
			t.Errorf("step %d: %s %g, want %g", step, what, got, want)
		}
	}
	same("the bound alone", whole.Value().Data().(float64), bits)
	same("the term of the image", terms.Value().Data().([]float64)[0], bits)
	for i, g := range both[1].Value().Data().([]float64) {
		same("its gradient", g, gradient[i])
	}
	for _, g := range both[0].Value().Data().([]float64) {
		mean = append(mean, g*(q.B-q.A*q.Sigma/q.Alpha)) // dy/dε̂
	}
	return bits, gradient, mean
}

// TestHybrid: terms of the bound and their gradients are those that PyTorch makes of the paper's
// equations, whatever the network predicts.
func TestHybrid(t *testing.T) {
	var cases []struct {
		Schedule                   string
		Step                       int
		Levels                     bool
		Bits                       float64
		X, Noise, Eps, V, Gradient []float64
		Mean                       []float64
	}
	text, err := os.ReadFile("testdata/hybrid.json")
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil || len(cases) == 0 {
		t.Fatal(len(cases), err)
	}
	for _, c := range cases {
		for _, output := range []string{"eps", "v", "x"} {
			if output == "x" && c.Step == 998 { // of x, eps is a difference of nearly equal numbers there
				continue
			}
			bits, gradient, mean := boundOf(t, ofSteps(t, c.Schedule, output, c.Levels), c.Step, c.Eps, c.Noise, c.X, c.V)
			if off := math.Abs(bits - c.Bits); !(off <= 1e-5*math.Max(1, math.Abs(c.Bits))) {
				t.Errorf("%s, step %d, %s: %g bits, want %g", c.Schedule, c.Step, output, bits, c.Bits)
			}
			for _, by := range []struct {
				name      string
				got, want []float64
			}{{"the variance", gradient, c.Gradient}, {"the mean", mean, c.Mean}} {
				largest := 0.0
				for _, g := range by.want {
					largest = math.Max(largest, math.Abs(g))
				}
				for i, g := range by.got {
					if off := math.Abs(g - by.want[i]); !(off <= 1e-5*largest) {
						t.Errorf("%s, step %d, %s: gradient by %s %g, want %g", c.Schedule, c.Step, output, by.name, g, by.want[i])
						break
					}
				}
			}
		}
	}
}

// TestHybridClosed: with the mean that is right and the variance of the posterior a step costs
// nothing, and with the largest one ½(β/β̃ terms); of continuous schedules, too.
func TestHybridClosed(t *testing.T) {
	for _, schedule := range []string{"ddpm-linear", "ddpm-squaredcos", "cosine", "fm"} {
		h := ofSteps(t, schedule, "v", true)
		for _, step := range []int{1, 50, 700, 998} {
			x, noise := []float64{0.5, -0.25}, []float64{1.5, -0.5}
			at, before := h.chain.At(h.chain.Time(step)), h.chain.At(h.chain.Time(step-1))
			if bits, g, _ := boundOf(t, h, step, noise, noise, x, []float64{-1, -1}); math.Abs(bits) > 1e-12 || math.Abs(g[0]) > 1e-12 {
				t.Errorf("%s, step %d: the posterior itself costs %g bits, gradient %g", schedule, step, bits, g[0])
			}
			u := 2 * math.Log(at.Sigma/before.Sigma) // ln β − ln β̃
			want := (u + math.Exp(-u) - 1) / 2 / math.Ln2
			if bits, _, _ := boundOf(t, h, step, noise, noise, x, []float64{1, 1}); !(math.Abs(bits-want) <= 1e-9*want+1e-14) {
				t.Errorf("%s, step %d: the largest variance costs %g bits, want %g", schedule, step, bits, want)
			}
		}
	}
	// At the end of a path with no image left nothing is said of the mean of eps.
	h := ofSteps(t, "cosine", "eps", true)
	if k := h.numbers(999, h.chain.At(1), 1); k[loss.Weight] != 0 {
		t.Errorf("pure noise weighs %g", k[loss.Weight])
	}
}

// TestHybridSteps: times are those of steps.
func TestHybridSteps(t *testing.T) {
	h := ofSteps(t, "ddpm-linear", "eps", true)
	for time, want := range map[float64]int{0: 0, 1e-9: 0, 0.001: 0, 0.0011: 1, 0.9995: 999, 1: 999} {
		if n := h.chain.StepOf(time); n != want {
			t.Errorf("time %g is of step %d, want %d", time, n, want)
		}
	}
	for at := range int64(50) {
		q := h.drawn(at)
		if n := q.NetworkTime; n != math.Round(n) || n < 0 || n > 999 {
			t.Errorf("the network is told time %g", n)
		}
	}
}
