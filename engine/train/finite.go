package train

import (
	"errors"
	"fmt"
	"math"
)

// NotFiniteError stops a run whose loss or gradients are no longer numbers.
type NotFiniteError struct {
	Images int64
	Loss   float64
	Norm   float64
	Where  string // the first tensor that is not finite; "": all are, and their squares are not
	Last   string // the last good checkpoint, "" if there is none
	Tried  int    // how often the run went back to one before, with a smaller learning rate
}

func (e *NotFiniteError) Error() string {
	kept := "there is no good checkpoint"
	if e.Last != "" {
		kept = "the last good checkpoint is " + e.Last
	}
	help := "a lower lr, a longer warmup or --recover"
	if e.Tried > 0 {
		help = fmt.Sprintf("--recover is used up (%d); a lower lr or a longer warmup", e.Tried)
	}
	where := ""
	if e.Where != "" {
		where = "first bad tensor: " + e.Where + "; "
	}
	return fmt.Sprintf("after %d images: loss %g, gradient norm %g; %s%s; %s may help", e.Images, e.Loss, e.Norm, where, kept, help)
}

// finiteHook ends a run at the first step whose loss or gradients are not finite.
func (r *run) finiteHook() Hook {
	return Hook{Name: "finite", Check: func(p Progress) error {
		if diverges(p) == nil {
			return nil
		}
		if r.group.Rank == 0 {
			if err := r.pause(); err != nil {
				return err
			}
		}
		return errors.Join(r.saver.wait(), r.notFinite(p))
	}}
}

// diverges is the error of a step whose loss or gradients are not finite, without what only
// looking for it tells.
func diverges(p Progress) error {
	if finiteNumber(p.Step.Loss) && finiteNumber(p.Step.GradNorm) {
		return nil
	}
	return &NotFiniteError{Images: p.Images, Loss: p.Step.Loss, Norm: p.Step.GradNorm}
}

func finiteNumber(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func (r *run) notFinite(p Progress) error {
	where, err := r.trainer.FirstBad()
	if err != nil {
		return err
	}
	return &NotFiniteError{Images: p.Images, Loss: p.Step.Loss, Norm: p.Step.GradNorm, Where: where, Last: r.lastGood(), Tried: r.state.Recovered}
}
