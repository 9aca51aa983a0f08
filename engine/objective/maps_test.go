package objective

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"fluxion/engine/process"
	"fluxion/kernels"
	"fluxion/kernels/feed"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// two is ½N(−m, s²) + ½N(m, s²), and its flow map on the straight path, which keeps
// quantiles.
type two struct{ m, s float64 }

// parts are the deviation at t and the densities of both parts.
func (d two) parts(z, t float64) (deviation, low, high float64) {
	deviation = math.Hypot((1-t)*d.s, t)
	of := func(m float64) float64 {
		x := (z - (1-t)*m) / deviation
		return math.Exp(-x * x / 2)
	}
	return deviation, of(-d.m), of(d.m)
}

// means are E[x|z] and E[ε|z].
func (d two) means(z, t float64) (x, eps float64) {
	deviation, low, high := d.parts(z, t)
	for _, c := range [][2]float64{{low, -d.m}, {high, d.m}} {
		r := (z - (1-t)*c[1]) / (deviation * deviation)
		x += c[0] / (low + high) * (c[1] + (1-t)*d.s*d.s*r)
		eps += c[0] / (low + high) * t * r
	}
	return x, eps
}

func (d two) below(z, t float64) float64 {
	deviation, _, _ := d.parts(z, t)
	of := func(m float64) float64 { return math.Erfc(-(z-(1-t)*m)/deviation/math.Sqrt2) / 2 }
	return (of(-d.m) + of(d.m)) / 2
}

// leads is where the flow leads from t to r.
func (d two) leads(z, t, r float64) float64 {
	share, low, high := d.below(z, t), -20.0, 20.0
	for range 100 {
		if mid := (low + high) / 2; d.below(mid, r) < share {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}

// u is the mean velocity.
func (d two) u(z, t, r float64) float64 {
	if t-r < 1e-6 {
		x, eps := d.means(z, t)
		return eps - x
	}
	return (z - d.leads(z, t, r)) / (t - r)
}

// TestTwo: the values of the map that was computed elsewhere.
func TestTwo(t *testing.T) {
	d := two{1, 0.2}
	for r, want := range map[float64]float64{.75: .3970970857, .5: .3994029894, .25: .6631753245, 0: .9404384358} {
		if got := d.leads(0.5, 1, r); math.Abs(got-want) > 1e-9 {
			t.Errorf("from 0.5 at 1 to %v it leads to %v, want %v", r, got, want)
		}
	}
	if got := d.u(0.5, 0.8, 0.3); math.Abs(got+.32503988) > 1e-8 {
		t.Errorf("u is %v", got)
	}
	if got := d.u(0.5, 0.5, 0.5); math.Abs(got+.5095429148) > 1e-9 {
		t.Errorf("v is %v", got)
	}
}

// knows is a network that knows the map, or without a jump the velocity.
type knows struct {
	two
	scale float64
	jump  bool
	wrong float64 // is added to u, times t − r
}

func (knows) ClassName() string                        { return "knows" }
func (knows) JSON() []byte                             { return []byte("{}") }
func (knows) Validate() error                          { return nil }
func (k knows) Fit(nets.Spec) (nets.Network, error)    { return k, nil }
func (k knows) Denoiser() (nets.Network, error)        { return k, nil }
func (knows) Notes() []string                          { return nil }
func (k knows) WithNotes(lines ...string) nets.Network { return k }

func (k knows) Spec() nets.Spec {
	return nets.Spec{Height: 1, Width: 1, Channels: 1, Outputs: 1, Widest: 1, Jump: k.jump}
}

func (k knows) Apply(_ *nets.Scope, in nets.Inputs) nets.Result {
	nodes, name := []*gorgonia.Node{in.Sample, in.Time}, "velocity"
	if k.jump {
		nodes, name = append(nodes, in.Jump), "map"
	}
	y := kernels.Apply(answers{kernels.Signature{Name: name, Ranks: []int{4, 1, 1}[:len(nodes)], Rank: 4}, k}, nodes...)
	return nets.Result{Output: y, Blocks: []*gorgonia.Node{y}}
}

// answers is the operation of knows.
type answers struct {
	kernels.Signature
	k knows
}

func (answers) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return s[0].Clone(), nil
}

func (answers) DiffWRT(n int) []bool { return make([]bool, n) }

func (o answers) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		for i, z := range in[0].Data {
			t, h := in[1].Data[i]/o.k.scale, 0.0
			if o.k.jump {
				h = in[2].Data[i] / o.k.scale
			}
			y.Data[i] = o.k.u(z, t, t-h) + o.k.wrong*h
		}
		return y
	}, v)
}

// mapSetup is what flow maps are made of.
func mapSetup(t *testing.T, o process.ScheduleOptions) Setup {
	t.Helper()
	p, err := process.Get("fm", o, "u")
	if err != nil {
		t.Fatal(err)
	}
	s := Setup{Seed: 3, Batch: 64}
	if s.Objective, err = process.NewObjective(p, "logit-normal", "plain"); err != nil {
		t.Fatal(err)
	}
	return s
}

// residual builds the loss of an objective on points where x and ε are what z says of
// them, so that ε − x is the velocity, and returns the largest difference between what
// the network says and what it is to say.
func residual(t *testing.T, name string, s Setup, k knows) float64 {
	t.Helper()
	kind, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	o, err := kind.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return apart(t, o, k, func(b *Builder, x, noise []float32) {
		random := rand.New(rand.NewPCG(1, 2))
		for node, values := range fed(b) {
			if node.Name() != "coefficients of z" {
				continue
			}
			for i := range x {
				at := float64(values[2*i+1])
				z := (1-at)*k.m*float64(2*random.IntN(2)-1) + math.Hypot((1-at)*k.s, at)*random.NormFloat64()
				mean, eps := k.means(z, at)
				x[i], noise[i] = float32(mean), float32(eps)
			}
		}
	})
}

// fed are the numbers of images that a step is told, by their nodes.
func fed(b *Builder) map[*gorgonia.Node][]float32 {
	all := map[*gorgonia.Node][]float32{}
	for _, stage := range b.Before {
		if v, ok := stage.Kernel.(*feed.Vector); ok {
			all[stage.Out.Node] = v.Values
		}
	}
	return all
}

// graphFrom are the operands of a node.
func graphFrom(g *gorgonia.ExprGraph, n *gorgonia.Node) (of []*gorgonia.Node) {
	for it := g.From(n.ID()); it.Next(); {
		of = append(of, it.Node().(*gorgonia.Node))
	}
	return of
}

// TestMapsAreFixed: the map of a distribution is what each objective of flow maps wants of
// its network, of data and of a teacher; another one is not.
func TestMapsAreFixed(t *testing.T) {
	const oneSided = 5e-3 // differences at the ends are off by half their width times u's second derivative
	for _, c := range []struct {
		name string
		most float64
	}{
		{"flowmap:ends=0", 1e-3}, {"flowmap", oneSided}, {"flowmap:p=1", oneSided}, {"flowmap:predicted=1", oneSided}, {"flowmap:same=0,data=1,norm=0.1", oneSided}, {"flowmap:same=0,ends=0.5", oneSided},
		{"shortcut:share=1,levels=0", 1e-5}, {"lagrangian:same=0", oneSided}, {"lagrangian:ends=0.5", oneSided}, {"lagrangian:through=0", oneSided},
	} {
		for _, d := range []two{{0, 0.5}, {1, 0.5}} {
			for _, taught := range []bool{false, true} {
				s := mapSetup(t, process.ScheduleOptions{TimeScale: 16})
				k := knows{two: d, scale: 16, jump: true}
				if taught {
					teacher := k
					teacher.jump, teacher.scale = false, 1000
					s.Teacher = &Teacher{Frozen: &Frozen{Name: "teacher", Network: teacher}, Process: mapSetup(t, process.ScheduleOptions{}).Process, Guidance: 1}
				}
				if got := residual(t, c.name, s, k); got > c.most {
					t.Errorf("%s, data %+v, a teacher %v: u is off by %g", c.name, d, taught, got)
				}
				k.wrong = 0.5
				if got := residual(t, c.name, s, k); got < 0.05 {
					t.Errorf("%s, data %+v: another map is off by %g alone", c.name, d, got)
				}
			}
		}
	}
}

// TestShortcutLevels: jumps are powers of ½ between multiples of themselves; the least is
// made of velocities.
func TestShortcutLevels(t *testing.T) {
	o, err := newShortcut(mapSetup(t, process.ScheduleOptions{}), process.Parameters{"share": 1, "levels": 4})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[float64]int{}
	for at := range int64(4000) {
		from, mid, to, one, two := o.(*semigroup).jumps(at)
		d := from - to
		seen[d]++
		if half := d / 2; from > 1 || to < 0 || math.Mod(from, d) != 0 || mid != to+half || one != two || one != half && (d != 0.125 || one != 0) {
			t.Fatalf("from %v by %v to %v, told %v and %v", from, mid, to, one, two)
		}
	}
	for _, d := range []float64{1, 0.5, 0.25, 0.125} {
		if seen[d] < 850 || len(seen) != 4 {
			t.Errorf("jumps: %v", seen)
		}
	}
}

// TestMapTimes: shares of images at the ends, and with one time.
func TestMapTimes(t *testing.T) {
	f, err := newFlowMap("flowmap", mapSetup(t, process.ScheduleOptions{TimeScale: 16}), process.Parameters{"ends": 0.1, difference: 2e-3})
	if err != nil {
		t.Fatal(err)
	}
	f.same = 0.5
	same, first, last := 0, 0, 0
	for at := range int64(10_000) {
		from, to := f.times(at)
		if !(from >= to && to >= 0 && from <= 1) {
			t.Fatalf("from %v to %v", from, to)
		}
		if from == to {
			same++
		}
		if from == 1 {
			first++
		}
		if to == 0 {
			last++
		}
	}
	if few := f.Few(0); !few.Any || few.Steps != 4 || few.Options(4).Eta != nil {
		t.Errorf("it is sampled by %v", few)
	}
	f.data = true
	if few := f.Few(0); few.Any || few.Check("map", "uniform", 2) != nil || few.Check("heun", "uniform", 2) == nil || *few.Options(2).Eta != 1 {
		t.Errorf("what leads to the data alone is sampled by %v", few)
	}
	for at := range int64(1000) {
		if from, to := f.times(at); to != 0 && to != from {
			t.Fatalf("from %v to %v, which is not the data", from, to)
		}
	}
	if math.Abs(float64(same)-5000) > 200 || math.Abs(float64(first)-1000) > 120 || math.Abs(float64(last)-500) > 90 {
		t.Errorf("of 10,000, %d have one time, %d begin in pure noise, %d lead to the data", same, first, last)
	}
}

// TestMapsRefuse: what no flow map can be learnt of.
func TestMapsRefuse(t *testing.T) {
	for _, c := range []struct {
		name string
		o    process.ScheduleOptions
		want string
	}{
		{"flowmap", process.ScheduleOptions{}, "--time-scale 16"}, {"lagrangian", process.ScheduleOptions{TimeScale: 17}, "--time-scale 16"},
		{"flowmap", process.ScheduleOptions{TimeScale: 16, MaxLogSNR: 9}, "without --clip-lambda"},
		{"flowmap:same=2", process.ScheduleOptions{TimeScale: 16}, "same is 2"}, {"flowmap:predicted=0.5", process.ScheduleOptions{TimeScale: 16}, "predicted is 0.5"},
		{"flowmap:difference=0", process.ScheduleOptions{TimeScale: 16}, "difference is 0"}, {"flowmap:warmup=-1", process.ScheduleOptions{TimeScale: 16}, "warmup is -1"},
		{"flowmap:p=1,norm=1", process.ScheduleOptions{TimeScale: 16}, "one of them"}, {"flowmap:data=2", process.ScheduleOptions{TimeScale: 16}, "data is 2"},
		{"flowmap:p=-1", process.ScheduleOptions{TimeScale: 16}, "p is -1"}, {"lagrangian:p=1,c=0", process.ScheduleOptions{TimeScale: 16}, "c is 0"},
		{"shortcut:levels=1.5", process.ScheduleOptions{}, "levels is 1.5"}, {"shortcut:share=-1", process.ScheduleOptions{}, "share is -1"},
	} {
		kind, err := Find(c.name)
		if err == nil {
			_, err = kind.New(mapSetup(t, c.o))
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v, want an error about %q", c.name, c.o, err, c.want)
		}
	}
}
