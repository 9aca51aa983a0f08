package objective

import (
	"fmt"
	"math"

	"fluxion/engine/process"
	"fluxion/kernels/mix"
	"fluxion/kernels/philox"
	"fluxion/kernels/pointwise"
	"fluxion/nets"
)

const selfConditioningName = "self-conditioning"

// selfConditioning puts a pass without gradient before the network's own, which is given
// what the first one, that was given nothing, says of the clean image: algorithm 1 of
// T. Chen, R. Zhang, G. Hinton, "Analog Bits: Generating Discrete Data using Diffusion
// Models with Self-Conditioning" (2022). Images that did not draw it have coefficients of
// 0, and so x̂ = 0; the first pass is made for all the same: a batch of 8 in which none
// draws it at probability ½ is one of 256.
type selfConditioning struct {
	*denoising
	share float64 // of the images that are given an estimate
}

func newSelfConditioning(s Setup, p process.Parameters) (Objective, error) {
	if share := p["share"]; !(share > 0 && share < 1) {
		return nil, fmt.Errorf("objective %s: share is %g, want a number between 0 and 1: sampling begins without an estimate", selfConditioningName, share)
	}
	d, err := makeDenoising(s)
	return &selfConditioning{d, p["share"]}, err
}

func (s *selfConditioning) About() [][2]string {
	estimate := [2]string{"estimate", fmt.Sprintf("self-conditioning: the network's own of the clean image, given for %.3g %% of the images, made by a pass without gradient in every step", 100*s.share)}
	return append([][2]string{estimate}, s.denoising.About()...)
}

func (s *selfConditioning) Fit(like nets.Spec) nets.Spec {
	like.Estimate, like.Jump, like.Variance, like.Guidance = true, false, false, s.Scales
	return like
}

func (s *selfConditioning) Loss(b *Builder) Loss {
	c := b.Coefficients("coefficients of the estimate", 2)
	given := func(in nets.Inputs) nets.Inputs {
		in.Estimate = pointwise.Affine(in.Sample, 0, 0)
		// Pixels lie in ±1, so clipping only brings x̂ nearer to the image.
		in.Estimate = b.Mix(mix.Options{Clip: 1}, c, in.Sample, b.Apply(Trained, in))
		return in
	}
	return s.loss(b, additions{given: given, feed: func(i int, at int64, q process.Point) {
		ofZ, ofY := s.estimate(q, at)
		c.Set(i, ofZ, ofY)
	}})
}

// estimate returns what z, as the network sees it, and the network's output weigh in the
// estimate x̂ that the image at a position of the stream is given. Both are 0 where it is
// given none: it did not draw it, or the output does not determine x there, as ε does not
// in pure noise.
func (s *selfConditioning) estimate(q process.Point, at int64) (z, y float64) {
	if philox.Uniform64(s.Seed, philox.SelfCondition, uint64(at), 0) < s.share {
		if x, err := q.X(); err == nil && finite(x.Z/q.Input) && finite(x.Y) {
			return x.Z / q.Input, x.Y
		}
	}
	return 0, 0
}

// finite says whether a number is one in float32, too.
func finite(x float64) bool { return math.Abs(x) <= math.MaxFloat32 }
