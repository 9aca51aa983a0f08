package train_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/objective"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/engine/train"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/embed"
	"fluxion/kernels/loss"
	"fluxion/kernels/mix"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
	"fluxion/kernels/pointwise"
	"fluxion/nets"
	"fluxion/nets/catalog"

	"gorgonia.org/gorgonia"
)

// consistency is the training of a consistency model on the straight path (Song et al.,
// "Consistency Models", 2023): f(z,t) = z − t·u is to be what the average of the network
// says of a point of the same image and noise that is a step nearer to the image.
type consistency struct {
	objective.Objective // for what else there is to say
	seed                uint64
	step                float64
}

func (c consistency) Loss(b *objective.Builder) objective.Loss {
	x, noise, weight := b.Data(), b.Noise(), b.Number("weight")
	type point struct {
		time           objective.Numbers
		path, boundary objective.Numbers
		clean          *gorgonia.Node
	}
	at := func(name string, r objective.Role, o mix.Options) (p point) {
		p.time, p.path, p.boundary = b.Number("time of "+name), b.Coefficients("path of "+name, 2), b.Coefficients("boundary of "+name, 2)
		z := b.Mix(mix.Options{}, p.path, x, noise)
		p.clean = b.Mix(o, p.boundary, z, b.Apply(r, nets.Inputs{Sample: z, Time: p.time.Node}))
		return p
	}
	student, target := at("student", objective.Trained, mix.Options{}), at("target", objective.EMA, mix.Options{Detached: true})
	set := func(p point, i int, t float64) {
		p.time.Set(i, 1000*t)
		p.path.Set(i, 1-t, t)
		p.boundary.Set(i, 1, -t)
	}
	return objective.Loss{Value: loss.MSE(student.clean, target.clean, weight.Node), Feed: func(i int, at int64) objective.Observation {
		t := philox.Uniform64(c.seed, philox.Time, uint64(at), 0)
		if at%8 == 0 {
			t = 1 // where sampling begins
		}
		set(student, i, t)
		set(target, i, max(0, t-c.step))
		weight.Set(i, 1)
		return objective.Observation{}
	}}
}

// toy is a network for points of one coordinate, told a jump or not.
type toy struct {
	nets.Network
	jump bool
}

func (t toy) Spec() nets.Spec {
	return nets.Spec{Height: 1, Width: 1, Channels: 1, Outputs: 1, Widest: 32, Jump: t.jump}
}
func (toy) Validate() error                   { return nil }
func (t toy) Denoiser() (nets.Network, error) { return t, nil }

func (t toy) Apply(s *nets.Scope, in nets.Inputs) nets.Result {
	const width = 32
	of := func(name string, n *gorgonia.Node) *gorgonia.Node {
		return s.Linear(name, embed.Timestep(n, embed.TimestepOptions{Dim: 16, FlipSinToCos: true, Scale: 1}), width, nets.Glorot)
	}
	time := of("time", in.Time)
	if t.jump {
		time = pointwise.Add(time, of("jump", in.Jump))
	}
	h := pointwise.SiLU(pointwise.AddPerImage(s.Linear("in", in.Sample, width, nets.Glorot), time))
	for _, name := range []string{"middle", "last"} {
		h = pointwise.SiLU(s.Linear(name, h, width, nets.Glorot))
	}
	h = s.Linear("out", h, 1, nets.Zero)
	return nets.Result{Output: h, Blocks: []*gorgonia.Node{h}}
}

// denoising is an objective to stand on.
func denoising(t *testing.T) objective.Objective {
	t.Helper()
	p, err := process.Get("fm", process.ScheduleOptions{Shift: 1}, "u")
	if err != nil {
		t.Fatal(err)
	}
	o, err := process.NewObjective(p, "uniform", "plain")
	if err != nil {
		t.Fatal(err)
	}
	kind, err := objective.Find("denoising")
	if err != nil {
		t.Fatal(err)
	}
	d, err := kind.New(objective.Setup{Seed: 1, Batch: 64, Objective: o})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// openDevice opens a device, of two threads or simulated.
func openDevice(t *testing.T, name string) device.Device {
	t.Helper()
	t.Setenv(device.Variable, cudatest.Name())
	d, err := device.Open(name, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// load puts a step on a device, with what another plan needs.
func load(t *testing.T, d device.Device, s *train.Step, others ...*plan.Plan) *train.Trainer {
	t.Helper()
	m, err := d.Alloc(plan.Union(s.Sizes(), plan.UnionOf(others...)))
	if err != nil {
		t.Fatal(err)
	}
	tr, err := s.Load(d, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(tr.Free(), m.Free()); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// TestOneStep: one call of a network that was trained for consistency, or as a flow map,
// takes noise to one of the two points of the data, on the side of the noise, as the flow
// does.
func TestOneStep(t *testing.T) {
	o := denoising(t)
	t.Run("consistency", func(t *testing.T) { oneStep(t, consistency{o, 1, 1. / 32}, 1000, false) })
	for _, name := range []string{"flowmap", "flowmap:predicted=1,p=0.5", "shortcut:share=0.5", "lagrangian"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("a second or more")
			}
			s := train.Default()
			s.Batch, s.Objective = 64, name
			s = s.Switched(train.Default(), func(string) bool { return false })
			o, err := train.NewObjective(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			oneStep(t, o, float32(s.TimeScale), true)
		})
	}
}

// oneStep trains a network that is told a scale in pure noise, and calls it once.
func oneStep(t *testing.T, o objective.Objective, scale float32, jump bool) {
	t.Helper()
	const batch, steps = 64, 1500
	preset, err := catalog.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	d, network := openDevice(t, "cpu"), toy{preset.Network, jump}
	s, err := train.NewStep(train.StepOptions{
		Network: network, Objective: o, Floats: true, Height: 1, Width: 1, Batch: batch, Accumulate: 1, Target: d.Target(), Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	g, err := nets.Build(network, nets.BuildOptions{Batch: 4, Height: 1, Width: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := plan.Options{Inputs: []*gorgonia.Node{g.Sample, g.Time}, Outputs: []*gorgonia.Node{g.Output}, Target: d.Target()}
	if jump {
		c.Inputs = append(c.Inputs, g.Jump)
	}
	for i, p := range g.Params {
		c.Parameters = append(c.Parameters, plan.Parameter{Node: g.Nodes[i], Buffer: s.Buffers.EMA, Offset: p.Offset})
	}
	sample, err := plan.Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	tr := load(t, d, s, sample)
	if err := tr.Initialise(3); err != nil {
		t.Fatal(err)
	}
	b := &data.Batch{Pixels: data.NewPixels(data.Floats, batch), Classes: make([]int32, batch), Indices: make([]int64, batch)}
	for i := range batch {
		b.Pixels.Floats[i] = float32(2*(i/2%2) - 1)
	}
	settings := train.Default()
	for step := range int64(steps) {
		for i := range b.Indices {
			b.Indices[i] = step*batch + int64(i)
		}
		rate := 4e-3 * (1 - float64(step)/steps)
		h := train.Hyper{Settings: settings, LearningRate: rate, Count: step + 1, EMADecays: [train.MaxEMAs]float64{0.95}}
		if _, err := tr.Train(h, func(int) error { tr.Fill(b); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	p, err := d.Load(sample, tr.Memory)
	if err != nil {
		t.Fatal(err)
	}
	noise, u := []float32{-1.6, -0.9, 0.9, 1.6}, make([]float32, 4)
	told := []float32{scale, scale, scale, scale}
	if jump {
		err = p.Write(sample.Place(g.Jump), told)
	}
	err = errors.Join(err, p.Write(sample.Place(g.Sample), noise), p.Write(sample.Place(g.Time), told), device.Run(p), p.Read(sample.Place(g.Output), u), p.Free())
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range noise {
		got, want := float64(e-u[i]), math.Copysign(1, float64(e))
		t.Logf("noise %v becomes %.3f", e, got)
		if math.Abs(got-want) > 0.25 {
			t.Errorf("noise %v becomes %v, want %v", e, got, want)
		}
	}
}

// agreement is the loss of what the trained network says against what another one says.
type agreement struct {
	objective.Objective
	with objective.Role
}

func (a agreement) Loss(b *objective.Builder) objective.Loss {
	time, weight := b.Number("time"), b.Number("weight")
	in := nets.Inputs{Sample: b.Noise(), Time: time.Node}
	return objective.Loss{
		Value: loss.MSE(b.Apply(objective.Trained, in), b.Apply(a.with, in), weight.Node),
		Feed: func(i int, at int64) objective.Observation {
			time.Set(i, float64(at%1000))
			return objective.Observation{}
		},
	}
}

// TestRoles: a network agrees with one of the same weights, whether these are its own
// average's or lie in a folder; it learns from those of others; and of theirs, those of
// the average alone move. So it is on GPUs in bf16, too, where products read copies.
func TestRoles(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	preset, err := catalog.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	const side = 4
	network, err := preset.Network.Fit(nets.Spec{Height: side, Width: side, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	dir, params := t.TempDir(), nets.Params(network)
	draw := func(seed uint64) []float32 {
		flat := make([]float32, nets.FlatSize(params))
		nets.Initialise(params, seed, flat)
		for _, p := range params {
			for i := range p.Size() { // no layer is silent
				flat[p.Offset+i] += float32((i+int(seed))%7-3) * 0.02
			}
		}
		return flat
	}
	teacher, other := draw(5), draw(6)
	if err := nets.WriteModel(dir, network, params, teacher); err != nil {
		t.Fatal(err)
	}
	frozen := objective.Role{Frozen: &objective.Frozen{Name: "teacher", Network: network, Dir: dir}}
	for _, c := range []struct {
		device    string
		precision number.Type
		batch     int
		learn     int64 // steps
	}{{"cpu", number.Float32, 4, 20}, {"cuda:0", number.BFloat16, 1, 1}} {
		for _, role := range []objective.Role{objective.EMA, frozen} {
			t.Run(fmt.Sprintf("%s average %v", c.device, role.EMA), func(t *testing.T) {
				d := openDevice(t, c.device)
				s, err := train.NewStep(train.StepOptions{
					Network: network, Objective: agreement{denoising(t), role}, Height: side, Width: side, Batch: c.batch, Accumulate: 1, Target: d.Target(), Precision: c.precision, Seed: 1,
				})
				if err != nil {
					t.Fatal(err)
				}
				tr := load(t, d, s)
				b := &data.Batch{Pixels: data.NewPixels(data.Bytes, c.batch*side*side), Classes: make([]int32, c.batch), Indices: []int64{1, 20, 300, 999}[:c.batch]}
				h := train.Hyper{Settings: train.Default()}
				step := func(rate, decay float64) float64 {
					h.Count++
					h.LearningRate, h.EMADecays[0] = rate, decay
					out, err := tr.Train(h, func(int) error { tr.Fill(b); return nil })
					if err != nil {
						t.Fatal(err)
					}
					return out.Loss
				}
				write := func(weights []float32) {
					if err := errors.Join(tr.Memory.Write(s.Buffers.Parameters, 0, weights), tr.Refresh()); err != nil {
						t.Fatal(err)
					}
				}
				if err := tr.Memory.Write(s.Buffers.EMA, 0, teacher); err != nil {
					t.Fatal(err)
				}
				write(teacher)
				if got := step(0, 1); got != 0 {
					t.Errorf("the loss of equal weights is %v", got)
				}
				write(other)
				first := step(1e-3, 1)
				last := first
				for range c.learn {
					last = step(1e-3, 1)
				}
				if !(last < first) || c.learn > 10 && !(last < 0.7*first) {
					t.Errorf("the loss went from %v to %v: nothing was learnt", first, last)
				}
				step(1e-3, 0.5) // moves the average
				now := slices.Clone(teacher)
				if role.EMA {
					if err := tr.Memory.Read(s.Buffers.EMA, 0, now); err != nil {
						t.Fatal(err)
					}
					if slices.Equal(now, teacher) {
						t.Error("the average has not moved")
					}
				}
				before := step(0, 1) // by the copies that the step has kept up to date
				if err := tr.Refresh(); err != nil {
					t.Fatal(err)
				}
				if after := step(0, 1); before != after {
					t.Errorf("loss %v by copies of weights that are not up to date, %v", before, after)
				}
				write(now)
				if got := step(0, 1); got != 0 {
					t.Errorf("the loss of equal weights is %v in the end", got)
				}
			})
		}
	}
}

// TestFrozenFolder: a folder that holds another network than is applied is refused.
func TestFrozenFolder(t *testing.T) {
	preset, err := catalog.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	like := nets.Spec{Height: 4, Width: 4, Channels: 1}
	applied, err := preset.Network.Fit(like)
	like.Channels = 3
	stored, failed := preset.Network.Fit(like)
	dir, params := t.TempDir(), nets.Params(stored)
	if err := errors.Join(err, failed, nets.WriteModel(dir, stored, params, make([]float32, nets.FlatSize(params)))); err != nil {
		t.Fatal(err)
	}
	d := openDevice(t, "cpu")
	frozen := objective.Role{Frozen: &objective.Frozen{Name: "teacher", Network: applied, Dir: dir}}
	s, err := train.NewStep(train.StepOptions{
		Network: applied, Objective: agreement{denoising(t), frozen}, Height: 4, Width: 4, Batch: 1, Accumulate: 1, Target: d.Target(), Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.Alloc(s.Sizes())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if _, err := s.Load(d, m); err == nil || !strings.Contains(err.Error(), dir+" holds another network than the objective applies as teacher") {
		t.Errorf("a folder with another network: %v", err)
	}
}
