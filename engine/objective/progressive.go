package objective

import (
	"fmt"
	"math"
	"math/bits"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/mix"
	"fluxion/kernels/philox"
)

// progressive halves the steps of a teacher, stage by stage: T. Salimans, J. Ho,
// "Progressive Distillation for Fast Sampling of Diffusion Models" (2022). In each stage
// the student learns to do in one step of DDIM what its teacher does in two, and is the
// teacher of the next.
type progressive struct {
	plain
	first int     // steps of the teacher of the first stage
	ends  []int64 // of the stages, in images
}

const progressiveName = "progressive"

func newProgressive(s Setup, p process.Parameters) (Objective, error) {
	if err := s.taught("progressive"); err != nil {
		return nil, err
	}
	from, to := int(p["from"]), int(p["to"])
	if !powerOfTwo(p["from"]) || !powerOfTwo(p["to"]) || to >= from || from > sampler.MaxSteps {
		return nil, fmt.Errorf("objective progressive: from is %g and to is %g; want powers of two, the second the smaller", p["from"], p["to"])
	}
	if s.Process.At(s.Process.Start()).Limits() {
		return nil, fmt.Errorf("objective progressive: in pure noise, %s tells nothing of the image; want another --output-kind, such as u, v or x", s.Process.Output.Name)
	}
	o := &progressive{plain: plain{s}, first: from}
	stages := bits.TrailingZeros(uint(from)) - bits.TrailingZeros(uint(to))
	// The last two carry most of the loss, and have twice the length.
	shares := make([]int64, stages)
	for i := range shares {
		shares[i] = 1
		if i >= stages-2 && stages > 2 {
			shares[i] = 2
		}
	}
	whole, done := int64(0), int64(0)
	for _, x := range shares {
		whole += x
	}
	batch := int64(s.Batch)
	for _, x := range shares {
		done += x
		o.ends = append(o.ends, s.Images*done/whole/batch*batch)
	}
	o.ends[stages-1] = s.Images
	for i, end := range o.ends {
		if begin := o.begin(i); s.Images > 0 && end-begin < batch {
			return nil, fmt.Errorf("objective progressive: %d images are not a step of %d for each of %d stages; want %d or more", s.Images, batch, stages, batch*whole)
		}
	}
	return o, nil
}

func powerOfTwo(x float64) bool { return x >= 1 && x == math.Exp2(math.Round(math.Log2(x))) }

func (p *progressive) begin(stage int) int64 {
	if stage == 0 {
		return 0
	}
	return p.ends[stage-1]
}

// stage is that of the image at a position of the stream.
func (p *progressive) stage(at int64) int {
	for i, end := range p.ends {
		if at < end {
			return i
		}
	}
	return len(p.ends) - 1
}

// steps are those of the student of a stage.
func (p *progressive) steps(stage int) int { return p.first >> (stage + 1) }

// Taught is the teacher.
func (p *progressive) Taught() *Teacher { return p.Teacher }

// Stages are where its stages end, in images.
func (p *progressive) Stages() []int64 { return p.ends }

func (p *progressive) Process() process.Process { return p.Setup.Process }

func (p *progressive) About() [][2]string {
	return p.distance.about([][2]string{
		{"objective", fmt.Sprintf("progressive distillation, %v, from %d steps to %d in %d stages", p.Process(), p.first, p.steps(len(p.ends)-1), len(p.ends))},
		{"teacher", p.Teacher.String()},
	})
}

// Few is the way of the stage that the last of so many images belongs to.
func (p *progressive) Few(images int64) *sampler.Few {
	return &sampler.Few{Objective: "progressive", Steps: p.steps(p.stage(max(0, images-1))), Sampler: "ddim", Grid: "uniform"}
}

func (p *progressive) Loss(b *Builder) Loss {
	x, noise := b.Data(), b.Noise()
	weight, sees, wanted := b.Number("weight"), b.Coefficients("coefficients of z", 2), b.Coefficients("coefficients of the target", 2)
	role := Role{Frozen: p.Teacher.Frozen}
	z := b.Mix(mix.Options{}, sees, x, noise)
	first := b.ask("the first half", role, z, p.Teacher)
	half := b.step("the first half", first)
	second := b.ask("the second half", role, half.z, p.Teacher)
	end := b.step("the second half", second)
	student := b.ask("the student", Trained, z, nil)
	target := b.Mix(mix.Options{}, wanted, z, end.z)
	own := p.Setup.Process
	teacher, start := p.Teacher.Process.Under(own.Schedule), own.Start()
	weighed := p.distance.loss(b, student.output, target, weight)
	return Loss{Value: weighed.value, Feed: func(i int, at int64) Observation {
		stage := p.stage(at)
		n := p.steps(stage)
		of := teacher
		if stage > 0 {
			of = own // the student of the stage before
		}
		guidance := func(q process.Point) float64 {
			if stage > 0 {
				return b.told(i) // it is guided already, or told how far
			}
			return b.guidance(p.Teacher, i, q)
		}
		k := min(n, 1+int(float64(n)*philox.Uniform64(p.Seed, philox.Time, uint64(at), 0)))
		t, m, s := start*float64(k)/float64(n), start*(float64(k)-0.5)/float64(n), start*float64(k-1)/float64(n)
		q, to := own.At(t), own.At(s)
		if k == 1 {
			to = own.End()
		}
		sees.Set(i, q.Alpha, q.Sigma)
		student.tell(i, q, 1)
		first.tell(i, of.At(t), guidance(q))
		middle := of.At(m)
		half.tell(i, of.At(t), middle.Alpha, middle.Sigma)
		second.tell(i, middle, guidance(middle))
		end.tell(i, middle, to.Alpha, to.Sigma)
		// x and ε that lead from z to where the teacher came: the student is to say them.
		l, err := process.Point{Alpha: q.Alpha, Sigma: q.Sigma, A: to.Alpha, B: to.Sigma}.To(q.A, q.B)
		if err != nil {
			l = process.Linear{}
		}
		wanted.Set(i, l.Z, l.Y)
		weighed.set(i, truncatedSNR(q), 1)
		return Observation{}
	}}
}

// truncatedSNR is max(α²/σ², 1) on x, as a factor on the error of the output.
func truncatedSNR(q process.Point) float64 {
	l, err := q.X()
	if err != nil {
		return 0
	}
	return max(math.Exp(q.LogSNR), 1) * l.Y * l.Y
}
