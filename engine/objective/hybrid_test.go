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

// boundOf is the term of an image in bits, and its gradient by v, for what a network says.
func boundOf(t *testing.T, h *hybrid, step int, eps, noise, x, v []float64) (bits float64, gradient []float64) {
	t.Helper()
	q := h.Process().At(h.stepTime(step))
	k := h.numbers(q)
	if want := 0.001 * float64(h.steps); math.Abs(k[loss.Weight]-want) > 1e-12 {
		t.Errorf("step %d weighs %g, want %g", step, k[loss.Weight], want)
	}
	k[loss.Weight] = 1
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
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	return value.Value().Data().(float64), grads[0].Value().Data().([]float64)
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
			bits, gradient := boundOf(t, ofSteps(t, c.Schedule, output, c.Levels), c.Step, c.Eps, c.Noise, c.X, c.V)
			if off := math.Abs(bits - c.Bits); !(off <= 1e-5*math.Max(1, math.Abs(c.Bits))) {
				t.Errorf("%s, step %d, %s: %g bits, want %g", c.Schedule, c.Step, output, bits, c.Bits)
			}
			largest := 0.0
			for _, g := range c.Gradient {
				largest = math.Max(largest, math.Abs(g))
			}
			for i, g := range gradient {
				if off := math.Abs(g - c.Gradient[i]); !(off <= 1e-5*largest) {
					t.Errorf("%s, step %d, %s: gradient %g, want %g", c.Schedule, c.Step, output, g, c.Gradient[i])
					break
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
			at, before := h.Process().At(h.stepTime(step)), h.Process().At(h.stepTime(step-1))
			if bits, g := boundOf(t, h, step, noise, noise, x, []float64{-1, -1}); math.Abs(bits) > 1e-12 || math.Abs(g[0]) > 1e-12 {
				t.Errorf("%s, step %d: the posterior itself costs %g bits, gradient %g", schedule, step, bits, g[0])
			}
			u := 2 * math.Log(at.Sigma/before.Sigma) // ln β − ln β̃
			want := (u + math.Exp(-u) - 1) / 2 / math.Ln2
			if bits, _ := boundOf(t, h, step, noise, noise, x, []float64{1, 1}); !(math.Abs(bits-want) <= 1e-9*want+1e-14) {
				t.Errorf("%s, step %d: the largest variance costs %g bits, want %g", schedule, step, bits, want)
			}
		}
	}
	// At the end of a path with no image left nothing is said of the mean of eps.
	h := ofSteps(t, "cosine", "eps", true)
	if k := h.numbers(h.Process().At(1)); k[loss.Weight] != 0 {
		t.Errorf("pure noise weighs %g", k[loss.Weight])
	}
}

// TestHybridSteps: times are those of steps.
func TestHybridSteps(t *testing.T) {
	h := ofSteps(t, "ddpm-linear", "eps", true)
	for time, want := range map[float64]int{0: 0, 1e-9: 0, 0.001: 0, 0.0011: 1, 0.9995: 999, 1: 999} {
		if n := h.stepOf(time); n != want {
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
