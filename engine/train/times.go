package train

import (
	"context"

	"fluxion/engine/process"
	"fluxion/nets/pyjson"
)

// timesFile is where a checkpoint keeps what adaptive times have learnt.
const timesFile = "times.json"

// timesHook lets adaptive times learn from each step; others have nothing to learn. They
// begin anew where the run drew its times otherwise so far.
func (r *run) timesHook() Hook {
	h := Hook{Name: "adaptive times"}
	times := r.objective.Times.Adaptive
	if times == nil {
		return h
	}
	h.Every = 1
	h.After = func(context.Context, Progress) error { r.trainer.Observe(r.objective); return nil }
	h.Keep = &Keep{File: timesFile, Store: times.MarshalState, Load: func(data []byte) (func() error, error) {
		var learnt process.Adaptive
		if err := pyjson.Decode(data, &learnt); err != nil {
			return nil, err
		}
		trial := *times
		return func() error { return times.Restore(learnt) }, trial.Restore(learnt)
	}}
	return h
}
