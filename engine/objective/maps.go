package objective

import (
	"fmt"
	"math"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/loss"
	"fluxion/kernels/mix"
	"fluxion/kernels/philox"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// flowMap is what the objectives of flow maps have in common. The network learns
// u(z, t, r), the mean velocity of the flow from t to r: it leads to z_r = z − (t−r) u, and
// of r = t it is the velocity. The path is the straight one, z = (1−t)x + tε, on which t is
// the σ of the process, whatever its shift.
type flowMap struct {
	Setup
	name       string
	scale      float64 // of the time that the network is told
	same, ends float64 // shares of images: with r = t; with t = 1, and with r = 0
	width      float64 // of differences; 0: there are none
	p, c       float64 // of adaptive weights, 1/(error + c)^p
	norm       float64 // c of normalised errors; 0: they are not
	data       bool    // all lead to the data, r = 0, as in consistency models
}

func newFlowMap(name string, s Setup, p process.Parameters) (flowMap, error) {
	base, m := process.Unmodified(s.Process.Schedule)
	f := flowMap{Setup: s, name: name, scale: float64(process.TimeScale(s.Process.Schedule)), ends: p["ends"], width: p[difference], p: p["p"], c: p["c"], norm: p["norm"], data: p["data"] == 1}
	_, derives := p[difference]
	switch {
	case base.Name() != "fm" || s.Process.Output.Name != "u" || m.MaxLogSNR != 0 || m.Scale != "":
		return f, fmt.Errorf("objective %s: the run is for %v; flow maps are learnt on the straight path (--schedule fm --output-kind u, without --clip-lambda and --scale), and sampled along any", name, s.Process)
	case s.distance.c != 0:
		return f, fmt.Errorf("objective %s has weights of its own in the place of loss %v; want p=0.5,c=C², by which errors weigh as in that loss", name, s.distance)
	case s.Times.Adaptive != nil:
		return f, fmt.Errorf("objective %s: times %s learn from errors of velocities; want another --time-sampler, such as logit-normal", name, s.Times.Name)
	case derives && f.scale > slowTime:
		return f, fmt.Errorf("objective %s takes derivatives in time, and a network that is told %g t changes too fast for differences; want --time-scale %d or less, and for --init and --teacher a model trained with it", name, f.scale, slowTime)
	case !(f.p >= 0 && f.p <= 2):
		return f, fmt.Errorf("objective %s: p is %g, want a power from 0 (errors weigh the same) to 2", name, f.p)
	case f.p > 0 && !(f.c > 0):
		return f, fmt.Errorf("objective %s: c is %g, want a small positive number", name, f.c)
	case !(f.norm >= 0) || f.norm > 0 && f.p > 0:
		return f, fmt.Errorf("objective %s: norm is %g and p is %g, want one of them, such as norm=0.1, or both 0", name, f.norm, f.p)
	case p["data"] != 0 && p["data"] != 1:
		return f, fmt.Errorf("objective %s: data is %g, want 1 (all lead to the data, as in consistency models) or 0", name, p["data"])
	case derives && !(f.width >= 1e-4 && f.width <= 0.1):
		return f, fmt.Errorf("objective %s: %s is %g, want a number from 0.0001 to 0.1", name, difference, f.width)
	}
	for _, key := range []string{"ends", "same", "share"} {
		if x := p[key]; !(x >= 0 && x <= 1) {
			return f, fmt.Errorf("objective %s: %s is %g, want a share from 0 to 1", name, key, x)
		}
	}
	return f, nil
}

func (f flowMap) Process() process.Process { return f.Setup.Process }

// Taught is the teacher; nil: velocities are of images and noise.
func (f flowMap) Taught() *Teacher { return f.Teacher }

// Derives says whether the objective takes differences, which bf16 is too coarse for.
func (f flowMap) Derives() bool { return f.width > 0 }

func (f flowMap) about(how string) [][2]string {
	velocity := "of images and noise"
	if f.Teacher != nil {
		velocity = "of " + f.Teacher.String()
	}
	if f.data {
		how += ", to the data alone"
	}
	switch {
	case f.norm > 0:
		how += fmt.Sprintf(", mean errors e of images weigh 1/(√e + %g)", f.norm)
	case f.p > 0:
		how += fmt.Sprintf(", mean errors e of images weigh 1/(e + %g)^%g", f.c, f.p)
	}
	_, target := f.target()
	return [][2]string{
		{"objective", fmt.Sprintf("flow map, %s, target %s, %v, times %s; velocities %s for %.3g %% of the images", how, target, f.Process(), f.Times.Name, velocity, 100*f.same)},
		{"network", fmt.Sprintf("is told %g t, and %[1]g (t − r), which its answer is to lead over", f.scale)},
	}
}

// Fit wants a network that is told how far its answer is to lead.
func (f flowMap) Fit(like nets.Spec) nets.Spec {
	like.Estimate, like.Jump, like.Variance, like.Guidance = false, true, false, f.Scales
	return like
}

func (f flowMap) Baseline(float64, float64) (baseline, zero float64) { return 0, 0 }
func (f flowMap) Observe(Observation, float64)                       {}
func (f flowMap) State() *State                                      { return nil }

// usualSteps are those of a flow map where nobody says.
const usualSteps = 4

// Few is the usual way, among others. What leads to the data alone goes there in each step,
// and back by fresh noise, as consistency models do.
func (f flowMap) Few(int64) *sampler.Few {
	if f.data {
		return &sampler.Few{Objective: f.name, Steps: 1, Most: 8, Sampler: "map", Grid: "uniform", Eta: 1}
	}
	return &sampler.Few{Objective: f.name, Steps: usualSteps, Any: true, Sampler: "map", Grid: "uniform"}
}

// loss of what the map says and is to say. With a power p, the error e of an image weighs
// 1/(e + c)^p, where e is a mean over D values, and D times our c MeanFlow's. In few dimensions that is another map, which leads to the middle of modes: the
// target of one image is far from its mean, and the weight of it less. With thousands of
// values all errors of a noise level are alike, and levels alone change places.
func (f flowMap) loss(b *Builder, says, wanted *gorgonia.Node) *gorgonia.Node {
	n := b.Number("weight")
	for i := range b.Batch {
		n.Set(i, 1)
	}
	weight := n.Node
	switch {
	case f.norm > 0:
		weight = loss.Normalised(loss.Images(says, wanted), weight, f.norm)
	case f.p > 0:
		weight = loss.Adaptive(loss.Images(says, wanted), weight, f.p, f.c)
	}
	return loss.MSE(says, wanted, weight)
}

// draw is a uniform number of the image at a position of the stream.
func (f flowMap) draw(at int64, number uint32) float64 {
	return philox.Uniform64(f.Seed, philox.Time, uint64(at), number)
}

// sigma is σ at a time, which the flow map takes for its time.
func (f flowMap) sigma(time float64) float64 {
	_, sigma := f.Setup.Process.Schedule.AlphaSigma(time)
	return sigma
}

// times are t and r of the image at a position: two of the run's times in order, some at
// the ends, where samplers begin and end and few times are otherwise; or one for both.
func (f flowMap) times(at int64) (t, r float64) {
	t = f.sigma(f.Times.Time(f.Times.Uniform(at, f.Batch, func(at int64) float64 { return f.draw(at, 0) })))
	same, begins := f.draw(at, 1) < f.same, f.draw(at, 3) < f.ends
	switch r = t; {
	case same:
	case f.data:
		r = 0
	default:
		other := f.sigma(f.Times.Time(f.draw(at, 2)))
		t, r = max(t, other), min(t, other)
		if f.draw(at, 4) < f.ends {
			r = 0
		}
	}
	if begins {
		if t = 1; same {
			r = 1
		}
	}
	return t, r
}

// lead is what a flow map says of a state, with the times that it must be told.
type lead struct {
	scale      float64
	u          *gorgonia.Node
	time, jump Numbers
}

// lead asks a flow map of a state z.
func (f flowMap) lead(b *Builder, name string, r Role, z *gorgonia.Node) lead {
	l := lead{scale: f.scale, time: b.Number("time of " + name), jump: b.Number("jump of " + name)}
	l.u = b.Apply(r, nets.Inputs{Sample: z, Time: l.time.Node, Jump: l.jump.Node, Class: b.Class()})
	return l
}

// tell sets from where, and how far, the answer for image i is to lead.
func (l lead) tell(i int, t, jump float64) {
	l.time.Set(i, l.scale*t)
	l.jump.Set(i, l.scale*jump)
}

// path is the state of each image on the straight path, and the velocity there.
type path struct {
	z, v    *gorgonia.Node
	sees    Numbers
	teacher *velocity
	data    Numbers
}

// velocity is what a teacher says of the velocity of a state.
type velocity struct{ says }

// path begins a loss. The velocity is the teacher's, or else ε − x.
func (f flowMap) path(b *Builder) (p path) {
	x, noise := b.Data(), b.Noise()
	p.sees = b.Coefficients("coefficients of z", 2)
	p.z = b.Mix(mix.Options{}, p.sees, x, noise)
	if f.Teacher != nil {
		p.teacher = f.velocity(b, "the teacher", p.z)
		p.v = p.teacher.y
		return p
	}
	p.data = b.Coefficients("coefficients of the velocity", 2)
	p.v = b.Mix(mix.Options{}, p.data, x, noise)
	return p
}

// tell sets the place of image i.
func (p path) tell(i int, t float64) {
	p.sees.Set(i, 1-t, t)
	if p.teacher != nil {
		p.teacher.tell(i, t)
		return
	}
	p.data.Set(i, -1, 1)
}

// velocity asks the teacher, which may have learnt along any schedule.
func (f flowMap) velocity(b *Builder, name string, z *gorgonia.Node) *velocity {
	return &velocity{f.says(b, name, z)}
}

// tell sets the place of image i.
func (v *velocity) tell(i int, t float64) {
	t = max(t, 1e-3) // at the image itself, z tells no velocity, nor does every output
	v.says.tell(i, 2*(math.Log1p(-t)-math.Log(t)), -1, 1)
}
