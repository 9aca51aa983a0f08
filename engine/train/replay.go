package train

import (
	"context"
	"errors"
	"io"

	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/generate"
)

// FaultError is a run that a kernel ended which failed on a GPU.
type FaultError struct {
	Images int64 // after the last whole step
	Err    error
}

func (e *FaultError) Error() string { return e.Err.Error() }
func (e *FaultError) Unwrap() error { return e.Err }

// faulted notes where a run was that a kernel ended.
func (r *run) faulted(err error) error {
	if kernel := (*device.KernelError)(nil); errors.As(err, &kernel) {
		return &FaultError{r.state.Images, err}
	}
	return err
}

// Replay makes steps of a run again, by one process, to find a kernel that fails, of which a device that
// launches kernel by kernel tells. First come the step after so many images, and the next, which may have been launched ahead,
// with the weights of the newest checkpoint, or those that the run begins with; then a grid; then all steps from
// that checkpoint on until these. It only reads the run folder. It returns the error of the kernel, and
// nil if none has failed.
func Replay(ctx context.Context, o Options, images int64) (err error) {
	o.Hooks, o.Sinks, o.Observer, o.Group = nil, nil, unheard{}, collective.Alone
	o.Settings.EMASnapshotEvery = 0
	r, p, err := planRun(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if !o.Fresh {
		if r.from, err = choose(o.Dir, 0); err != nil {
			return err
		}
	}
	r.labels.resume(r.from)
	if err := r.load(o.Device, p.sizes, p.step, p.sampling); err != nil {
		return err
	}
	begin, err := r.rewound()
	batch := int64(r.settings.Batch)
	last := max(begin.Images, min(images+batch, r.settings.Images-batch))
	if err == nil {
		err = r.stepsAgain(ctx, max(begin.Images, min(images, last)), last)
	}
	if err == nil && r.generator != nil {
		err = r.gridAgain(ctx, images)
	}
	if err == nil {
		begin, err = r.rewound()
	}
	if err == nil {
		err = r.stepsAgain(ctx, begin.Images, last)
	}
	return err
}

// rewound brings the weights to where the run goes on from.
func (r *run) rewound() (State, error) {
	s, found, err := r.restore()
	if err == nil && !found {
		err = r.initialise()
	}
	return s, err
}

// stepsAgain makes the steps from so many images on, the last of which begins after last.
func (r *run) stepsAgain(ctx context.Context, from, last int64) error {
	batch := int64(r.settings.Batch)
	r.state.Images, r.state.Steps = from, from/batch
	stream, err := r.openStream(ctx, from)
	if err != nil {
		return err
	}
	r.stream = stream
	defer func() {
		stream.Close()
		r.stream = nil
	}()
	for ; r.state.Images <= last; r.state.Images += batch { // of stages all by the first one's teacher: kernels are the same
		_, err := r.trainer.Train(r.hyper(r.state), func(int) error { return r.fill(ctx) })
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.state.Steps++
	}
	return nil
}

// gridAgain makes the images of a grid, for nobody.
func (r *run) gridAgain(ctx context.Context, images int64) error {
	request, _, err := r.gridRequest(images)
	if err == nil {
		err = r.generator.Run(ctx, request, func(int, generate.Sample) error { return nil })
	}
	if bad := (*generate.NotFiniteError)(nil); errors.As(err, &bad) {
		return nil
	}
	return err
}
