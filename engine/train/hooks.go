package train

import (
	"context"
	"slices"
)

// own are the hooks of every run, and among them those of its caller. They are called in
// this order: a step that is not finite never counts, a checkpoint holds what callers keep
// of its own step, it is written beside the making of a grid, and who stops a run does
// not wait for one, nor for callers that are late.
func (r *run) own(callers []Hook) []Hook {
	if r.group.Rank > 0 {
		return []Hook{{Name: "finite", Check: diverges}, r.learningHook(), r.noiseHook(), r.labelsHook()}
	}
	late := func(is bool) []Hook {
		return slices.DeleteFunc(slices.Clone(callers), func(h Hook) bool { return h.Late != is })
	}
	return slices.Concat([]Hook{
		r.finiteHook(),
		r.learningHook(),
		r.noiseHook(),
		r.teacherHook(),
		r.labelsHook(),
		{Name: "requests", Every: 1, beside: true, After: r.listen},
		{Name: "learning", Every: 1, beside: true, After: r.watch},
		r.statusHook(),
		r.distributionHook(),
	}, late(false), []Hook{
		{Name: "written checkpoints", Every: 1, beside: true, After: func(context.Context, Progress) error { return r.saver.poll() }},
		{Name: "checkpoints", Every: r.settings.CheckpointEvery, After: func(_ context.Context, p Progress) error { return r.saver.save(p.State) }},
		r.snapshotHook(),
		{Name: "stop", Every: 1, beside: true, After: r.stop},
		r.gridHook(),
	}, late(true))
}

// listen takes notice of what comes from outside: a request to save, or that
// nobody can read the output any more, which is no reason to lose a run.
func (r *run) listen(context.Context, Progress) error {
	r.asked = false
	if !r.goesAhead() { // else after that step
		select {
		case <-r.saveNow:
			r.asked = true
		default:
		}
	}
	if err := r.observer.Err(); err != nil && !r.unread {
		r.unread = true
		r.folder.Note("the output cannot be written any more, the run goes on: %v", err)
	}
	return nil
}

// stop ends the run when its context has ended, after the last step that was launched.
func (r *run) stop(ctx context.Context, _ Progress) error {
	if r.goesAhead() {
		return nil
	}
	return context.Cause(ctx)
}

// watch tells once that the run learns nothing.
func (r *run) watch(_ context.Context, p Progress) error {
	if stuck, is := r.stuck(p.State); is && !r.told {
		r.told = true
		r.folder.Note("%v", stuck)
		r.observer.Stuck(stuck)
	}
	return nil
}
