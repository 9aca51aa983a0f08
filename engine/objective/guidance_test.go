package objective

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"fluxion/engine/process"
	"fluxion/kernels"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gaussians is a network that knows points about a mean of each class, N(means[class], s²),
// and of no class says those about the last; told a scale, it is guided.
type gaussians struct {
	process.Process
	means  []float64
	s      float64
	scales [2]float64
}

func (gaussians) ClassName() string                        { return "gaussians" }
func (gaussians) JSON() []byte                             { return []byte("{}") }
func (gaussians) Validate() error                          { return nil }
func (g gaussians) Fit(nets.Spec) (nets.Network, error)    { return g, nil }
func (g gaussians) Denoiser() (nets.Network, error)        { return g, nil }
func (gaussians) Notes() []string                          { return nil }
func (g gaussians) WithNotes(lines ...string) nets.Network { return g }

func (g gaussians) Spec() nets.Spec {
	return nets.Spec{Height: 1, Width: 1, Channels: 1, Outputs: 1, Widest: 1, Classes: len(g.means), Guidance: g.scales}
}

func (g gaussians) Apply(_ *nets.Scope, in nets.Inputs) nets.Result {
	nodes := []*gorgonia.Node{in.Sample, in.Time, in.Class}
	if g.Spec().Told() {
		nodes = append(nodes, in.Guidance)
	}
	name := fmt.Sprint("gaussians of ", g.String(), g.means)
	y := kernels.Apply(gaussiansSay{kernels.Signature{Name: name, Ranks: []int{4, 1, 1, 1}[:len(nodes)], Rank: 4}, g}, nodes...)
	return nets.Result{Output: y, Blocks: []*gorgonia.Node{y}}
}

// says is y of z, guided by a scale.
func (g gaussians) says(q process.Point, z float64, class int, scale float64) float64 {
	x := 0.0
	for _, c := range []struct{ share, m float64 }{{scale, g.means[class]}, {1 - scale, g.means[len(g.means)-1]}} {
		x += c.share * (c.m + q.Alpha*g.s*g.s/(q.Alpha*q.Alpha*g.s*g.s+q.Sigma*q.Sigma)*(z-q.Alpha*c.m))
	}
	return q.A*x + q.B*(z-q.Alpha*x)/q.Sigma
}

type gaussiansSay struct {
	kernels.Signature
	g gaussians
}

func (gaussiansSay) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return s[0].Clone(), nil
}

func (gaussiansSay) DiffWRT(n int) []bool { return make([]bool, n) }

func (o gaussiansSay) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		for i, z := range in[0].Data {
			q, scale := o.g.At(in[1].Data[i]/process.DefaultTimeScale), 1.0
			if len(in) > 3 {
				scale = in[3].Data[i]
			}
			y.Data[i] = o.g.says(q, z/q.Input, int(in[2].Data[i]), scale)
		}
		return y
	}, v)
}

// along is a process.
func along(t *testing.T, schedule, output string) process.Process {
	t.Helper()
	p, err := process.Get(schedule, process.ScheduleOptions{}, output)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestGuidanceIsFixed: a network that says what the guided teacher says, at every scale
// that it is told, has nothing to learn, whatever the schedule and output of the teacher
// and however that is guided.
func TestGuidanceIsFixed(t *testing.T) {
	means := []float64{-1, 1.5, 0.25}
	student := gaussians{along(t, "fm", "u"), means, 0.5, [2]float64{1, 4}}
	fixed := student
	fixed.scales = [2]float64{}
	for name, c := range map[string]struct {
		student gaussians
		change  func(*Teacher)
		off     bool // it says something else
	}{
		"no class":      {student, func(*Teacher) {}, false},
		"another scale": {fixed, func(t *Teacher) { t.Guidance = 3 }, true},
		"told": {student, func(t *Teacher) {
			told := t.Frozen.Network.(gaussians)
			told.scales = [2]float64{0, 5}
			t.Frozen.Network = told
		}, false},
		"a guide": {student, func(t *Teacher) {
			weak := t.Frozen.Network.(gaussians)
			weak.means = []float64{0.25, 0.25, 0.25} // which is what the teacher says of no class
			t.Guide = &Frozen{Name: "guide", Network: weak}
		}, false},
		"another guide":  {student, func(t *Teacher) { t.Guide = &Frozen{Name: "guide", Network: t.Frozen.Network.(gaussians)} }, true},
		"outside":        {fixed, func(t *Teacher) { t.Guidance, t.Interval = 3, process.Interval{1e8, 1e9} }, false},
		"in an interval": {fixed, func(t *Teacher) { t.Guidance, t.Interval = 3, process.Interval{0.5, 2} }, true},
	} {
		s := mapSetup(t, process.ScheduleOptions{})
		s.Scales = c.student.scales
		s.Teacher = &Teacher{Frozen: &Frozen{Name: "teacher", Network: gaussians{along(t, "cosine", "eps"), means, 0.5, [2]float64{}}}, Process: along(t, "cosine", "eps"), Guidance: 1, None: []float32{2}}
		c.change(s.Teacher)
		if s.Teacher.Guidance == 1 && s.Scales == [2]float64{} {
			t.Fatal(name)
		}
		o, err := newGuided(s, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		got := apart(t, o, c.student, func(b *Builder, x, noise []float32) {
			random := rand.New(rand.NewPCG(1, 2))
			for i := range x {
				x[i], noise[i] = float32(random.NormFloat64()), float32(random.NormFloat64())
				b.Classes.Values[i] = float32(i % 3)
			}
		})
		if c.off != (got > 0.05) || !c.off && got > 2e-4 {
			t.Errorf("%s: what the student says is %g from the target", name, got)
		}
	}
}

// TestGuidanceRefuses what it cannot learn.
func TestGuidanceRefuses(t *testing.T) {
	s := mapSetup(t, process.ScheduleOptions{})
	if _, err := newGuided(s, nil); err == nil || !strings.Contains(err.Error(), "--teacher MODEL") {
		t.Error(err)
	}
	s.Teacher = &Teacher{Guidance: 1}
	if _, err := newGuided(s, nil); err == nil || !strings.Contains(err.Error(), "--guidance-input 1,4") {
		t.Error(err)
	}
	kind, err := Find("denoising")
	if err != nil {
		t.Fatal(err)
	}
	if s.Target = "ema"; true {
		if _, err := kind.New(s); err == nil || !strings.Contains(err.Error(), "leave it out") {
			t.Error(err)
		}
	}
}

// apart builds the loss of an objective for a network, gives it images, and returns the
// largest difference between what the network says and what it is to say.
func apart(t *testing.T, o Objective, n nets.Network, give func(b *Builder, x, noise []float32)) float64 {
	t.Helper()
	const batch = 64
	b, l, err := Build(o, Options{Network: n, Batch: batch, Height: 1, Width: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range batch {
		l.Feed(i, int64(i))
	}
	x, noise := make([]float32, batch), make([]float32, batch)
	give(b, x, noise)
	let := func(n *gorgonia.Node, v []float32) {
		if err := gorgonia.Let(n, tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(v))); err != nil {
			t.Fatal(err)
		}
	}
	for node, values := range fed(b) {
		let(node, values)
	}
	let(b.Data(), x)
	let(b.Noise(), noise)
	vm := gorgonia.NewTapeMachine(b.Graph)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	var both [][]float32
	for _, n := range graphFrom(b.Graph, l.Value)[:2] {
		both = append(both, n.Value().Data().([]float32))
	}
	most := 0.0
	for i, y := range both[0] {
		most = max(most, math.Abs(float64(y-both[1][i])))
	}
	return most
}
