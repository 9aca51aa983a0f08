package objective

import (
	"errors"
	"fmt"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/mix"
)

// guided makes of a guided teacher a network that needs one pass for its two: C. Meng et
// al., "On Distillation of Guided Diffusion Models" (2023), stage one. A network that is
// told the scale learns all of a range, drawn uniformly; another one that of the teacher.
// Times and weights are those of denoising; the target is what the teacher says of the
// noisy image.
type guided struct{ *denoising }

func newGuided(s Setup, _ process.Parameters) (Objective, error) {
	if err := s.taught("guidance"); err != nil {
		return nil, err
	}
	if t := s.Teacher; t.Guidance == 1 && s.Scales == [2]float64{} {
		return nil, errors.New("objective guidance learns what guidance makes of a teacher; want --guidance-input 1,4, for a network that is told how far, or --teacher-guidance 3, for one that knows this alone")
	}
	if s.Times.Adaptive != nil {
		return nil, fmt.Errorf("objective guidance: times %s learn from errors of images, and a teacher's are known; want another --time-sampler, such as logit-normal", s.Times.Name)
	}
	d, err := makeDenoising(s)
	return &guided{d}, err
}

// Taught is the teacher.
func (g *guided) Taught() *Teacher { return g.Teacher }

func (g *guided) About() [][2]string {
	told := ""
	if g.Scales != [2]float64{} {
		told = fmt.Sprintf(", guidance from %g to %g, which the network is told", g.Scales[0], g.Scales[1])
	}
	return g.distance.about([][2]string{{"objective", fmt.Sprintf("guidance distillation of %v%s, %v", g.Teacher, told, g.Process())}, {"weighting", g.Summary()}})
}

// Few is no way in particular.
func (g *guided) Few(int64) *sampler.Few { return nil }

// State is none: what the teacher says is known.
func (g *guided) State() *State { return nil }

func (g *guided) Baseline(float64, float64) (baseline, zero float64) { return 0, 0 }

func (g *guided) Loss(b *Builder) Loss {
	x, noise := b.Data(), b.Noise()
	weight, sees := b.Number("weight"), b.Coefficients("coefficients of z", 2)
	z := b.Mix(mix.Options{}, sees, x, noise)
	student, teacher := b.ask("the student", Trained, z, nil), g.says(b, "the teacher", z)
	weighed := g.distance.loss(b, student.output, teacher.y, weight)
	return Loss{Value: weighed.value, Feed: func(i int, at int64) Observation {
		q := g.drawn(at)
		sees.Set(i, q.Alpha, q.Sigma)
		student.tell(i, q.Point, 1)
		teacher.tell(i, q.LogSNR, q.A, q.B)
		weighed.set(i, q.Weight/g.mean, 1)
		return Observation{}
	}}
}
