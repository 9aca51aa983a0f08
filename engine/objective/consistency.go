package objective

import (
	"fmt"
	"math"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/mix"
	"fluxion/kernels/philox"

	"gorgonia.org/gorgonia"
)

// consistency makes a network say of every point of a path the image that the path leads
// to: Y. Song, P. Dhariwal, M. Chen, I. Sutskever, "Consistency Models" (2023). At a point
// it is to say what it says itself of a point of the same path that is nearer to the
// image: of the same image and noise, or where a teacher's flow leads. How much nearer
// is Z. Geng et al., "Consistency Models Made Easy" (2024): a share that falls with each
// stage, from all the way. Or points are neighbours on a grid, as in iCT.
type consistency struct {
	plain
	mean, std float64 // of ln σ/α
	stages    float64
	grid      growingGrid // of the points of a path; zero: they are anywhere
}

// The shape of the steps, in the names of Geng et al., equation 20.
const (
	nearerBase  = 2.0
	nearerShape = 8.0
)

func newConsistency(s Setup, p process.Parameters) (Objective, error) {
	c := &consistency{plain: plain{s}, mean: p["mean"], std: p["std"], stages: p["stages"], grid: growingGrid{p["first"], p["last"]}}
	switch {
	case !(c.std > 0):
		return nil, fmt.Errorf("objective consistency: std is %g, want a positive number", c.std)
	case c.stages < 1 || c.stages > 30 || c.stages != math.Trunc(c.stages):
		return nil, fmt.Errorf("objective consistency: stages is %g, want a whole number from 1 to 30", c.stages)
	}
	if err := c.grid.check(); err != nil {
		return nil, err
	}
	// At the image the answer must be the image, whatever the network says.
	if l, err := s.Process.AtLogSNR(30).X(); err != nil || math.Abs(l.Y) > 1e-3 {
		return nil, fmt.Errorf("objective consistency: beside the image, the network's %s would still decide what it is; want an output such as u or v", s.Process.Output.Name)
	}
	if s.Process.At(s.Process.Start()).Limits() {
		return nil, fmt.Errorf("objective consistency: in pure noise, %s tells nothing of the image; want another --output-kind, such as u or v", s.Process.Output.Name)
	}
	return c, nil
}

func (c *consistency) Process() process.Process { return c.Setup.Process }

// Taught is the teacher; nil: the points are of images and noise.
func (c *consistency) Taught() *Teacher { return c.Teacher }

func (c *consistency) About() [][2]string {
	kind := "training, on images and noise"
	if c.Teacher != nil {
		kind = "distillation of " + c.Teacher.String()
	}
	_, target := c.target()
	near := fmt.Sprintf("%g stages of nearness", c.stages)
	if c.grid.first > 0 {
		near = fmt.Sprintf("neighbours of grids of %g to %g steps", c.grid.first, c.grid.last)
	}
	return c.distance.about([][2]string{{"objective", fmt.Sprintf("consistency %s, %v, target %s, %s", kind, c.Process(), target, near)}})
}

// Few is one step, or a few with fresh noise between.
func (c *consistency) Few(int64) *sampler.Few {
	return &sampler.Few{Objective: "consistency", Steps: 1, Most: 8, Sampler: "consistency", Grid: "uniform"}
}

// stage is that of the image at a position, from 0.
func (c *consistency) stage(at int64) float64 {
	if c.Images == 0 {
		return 0
	}
	return math.Floor(min(c.stages*float64(at)/float64(c.Images), c.stages-1))
}

// nearer is σ/α of the nearer point, for one of σ/α and a stage.
func nearer(ratio, stage float64) float64 {
	return max(0, ratio*(1-math.Pow(nearerBase, -(stage+1))*(1+nearerShape/(1+math.Exp(ratio)))))
}

// mostRatio is EDM's largest σ/α. It stands for pure noise, where σ/α has no end.
const mostRatio = 80.0

// ratio is σ/α of the image at a position. A tenth of them begin where sampling does.
func (c *consistency) ratio(at int64) float64 {
	own := c.Setup.Process
	most := min(mostRatio, math.Exp(-own.At(own.Start()).LogSNR/2))
	if philox.Uniform64(c.Seed, philox.Time, uint64(at), 1) < 0.1 {
		return most
	}
	u := philox.Uniform64(c.Seed, philox.Time, uint64(at), 0)
	if c.grid.first > 0 {
		u = c.share(leastRatio) + u*(c.share(mostRatio)-c.share(leastRatio))
	}
	return min(most, math.Exp(c.mean+c.std*math.Sqrt2*math.Erfinv(2*u-1)))
}

// share of levels below one.
func (c *consistency) share(ratio float64) float64 {
	return math.Erfc((c.mean-math.Log(ratio))/(c.std*math.Sqrt2)) / 2
}

// points are σ/α of the image at a position, and of the nearer point.
func (c *consistency) points(at int64) (ratio, next float64) {
	if ratio = c.ratio(at); c.grid.first > 0 {
		return c.grid.neighbours(ratio, c.grid.steps(at, c.Images))
	}
	return ratio, nearer(ratio, c.stage(at))
}

func (c *consistency) Loss(b *Builder) Loss {
	x, noise := b.Data(), b.Noise()
	weight, sees, wanted := b.Number("weight"), b.Coefficients("coefficients of z", 2), b.Coefficients("coefficients of the target", 2)
	z := b.Mix(mix.Options{}, sees, x, noise)
	student := b.ask("the student", Trained, z, nil)
	var (
		from        answer
		along       step
		nearerSees  Numbers
		nearerState *gorgonia.Node
	)
	if c.Teacher != nil {
		from = b.ask("the teacher", Role{Frozen: c.Teacher.Frozen}, z, c.Teacher)
		along = b.step("the teacher", from)
		nearerState = along.z
	} else {
		nearerSees = b.Coefficients("coefficients of the nearer z", 2)
		nearerState = b.Mix(mix.Options{Detached: true}, nearerSees, x, noise)
	}
	role, _ := c.target()
	target := b.ask("the target", role, nearerState, nil)
	clean := b.step("the target", target)
	own := c.Setup.Process
	var teacher process.Process
	if c.Teacher != nil {
		teacher = c.Teacher.Process.Under(own.Schedule)
	}
	weighed := c.distance.loss(b, student.output, b.Mix(mix.Options{Detached: true}, wanted, z, clean.z), weight)
	return Loss{Value: weighed.value, Feed: func(i int, at int64) Observation {
		ratio, next := c.points(at)
		q := own.AtLogSNR(-2 * math.Log(ratio))
		if start := own.At(own.Start()); ratio == mostRatio || q.LogSNR <= start.LogSNR {
			q = start
		}
		r := own.End()
		if l := -2 * math.Log(next); l < own.Schedule.LogSNR(0) {
			r = own.AtLogSNR(l)
		} else {
			next = 0
		}
		sees.Set(i, q.Alpha, q.Sigma)
		student.tell(i, q, 1)
		if c.Teacher != nil {
			from.tell(i, teacher.At(q.Time), b.guidance(c.Teacher, i, q))
			along.tell(i, teacher.At(q.Time), r.Alpha, r.Sigma)
		} else {
			nearerSees.Set(i, r.Alpha, r.Sigma)
		}
		target.tell(i, r, 1)
		if next == 0 { // the nearer point is the image
			clean.to.Set(i, 1/r.Alpha, 0)
		} else {
			clean.tell(i, r, 1, 0)
		}
		l, err := process.Point{Alpha: q.Alpha, Sigma: q.Sigma, A: 1}.To(q.A, q.B)
		if err != nil {
			l = process.Linear{}
		}
		wanted.Set(i, l.Z, l.Y)
		if c.distance.c == 0 {
			weighed.set(i, 1/(1-next/ratio), 1)
		} else { // of x, as in iCT and in the paper on tuning
			weighed.set(i, 1/(ratio-next), 1/math.Abs(l.Y))
		}
		return Observation{}
	}}
}
