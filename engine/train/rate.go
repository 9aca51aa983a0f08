package train

import "fmt"

// rate is how the learning rate goes on behind its warm-up: its share of the largest, at
// the step that begins after so many images. Another one is a file with a value of this
// type and a line in the list.
type rate struct {
	method
	share func(s Settings, images int64) float64
}

var rates = []rate{linear, cosine, constant, inverseSqrt, stepwise}

// linearName is the name of the schedule of runs that name none.
const linearName = "linear"

// learningRate at the step that begins after this many images: a linear rise, then what
// the schedule says. The first step has a share of the warm-up already, as with
// torch.optim.lr_scheduler.LinearLR; a rate of 0 would teach nothing.
func (s Settings) learningRate(images int64) float64 {
	lr := s.LR
	if s.Warmup > 0 {
		lr *= min(1, float64(images+int64(s.Batch))/float64(s.Warmup))
	}
	for _, r := range rates {
		if r.name == s.LRSchedule {
			return lr * r.share(s, images)
		}
	}
	return lr * linear.share(s, images)
}

// warmupNotes say that a run ends, or nearly so, before its learning rate has risen, as one by a
// longer recipe does.
func (s Settings) warmupNotes() []string {
	if s.Warmup <= s.Images/2 {
		return nil
	}
	highest := 0.0
	for at := int64(0); at < s.Images; at += max(int64(s.Batch), s.Images/1000) {
		highest = max(highest, s.learningRate(at))
	}
	reached := " in all"
	if highest < 0.99*s.LR {
		reached = fmt.Sprintf(": it comes to %.2g of the %g that --lr says", highest, s.LR)
	}
	return []string{fmt.Sprintf("the learning rate rises over %d images (--warmup), and the run has %d%s; want --warmup %d, a tenth of the run", s.Warmup, s.Images, reached, s.Images/10)}
}

// above is a share that falls to 0, lifted so that it falls to lr_end.
func (s Settings) above(share float64) float64 {
	if s.LREnd == 0 {
		return share
	}
	end := s.LREnd / s.LR
	return end + (1-end)*share
}

// learningRate of a run: each stage is as a run of its own.
func (r *run) learningRate(images int64) float64 {
	s, stage := r.settings, r.stageAt(images)
	s.Images = stage.end - stage.begin
	return r.calmed() * s.learningRate(images-stage.begin)
}
