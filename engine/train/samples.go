package train

import (
	"context"
	"os"
	"path/filepath"

	"fluxion/data"
	"fluxion/engine/generate"
	"fluxion/engine/rundir"
	"fluxion/engine/sampler"
)

// A grid is some generated images side by side. They are sampled by gridSampler, from the
// same seeds in every grid.
const gridSampler = "euler"

// samplingStep compiles a step of sampling from the EMA, for grids; nil if there are none.
func (r *run) samplingStep(height, width int, step *Step) (*generate.Step, error) {
	if r.settings.SampleCount == 0 {
		return nil, nil
	}
	return generate.NewStep(generate.Options{
		Network: r.network, Height: height, Width: width, Batch: min(r.settings.Batch, r.settings.SampleCount),
		Calls: r.settings.SampleSteps, Target: step.Target, Precision: r.precision, Weights: step.Buffers.EMA,
	})
}

// planSampling returns the table of the sampler for grids.
func (r *run) planSampling() (sampler.Table, error) {
	s, err := sampler.Get(gridSampler)
	if err != nil {
		return sampler.Table{}, err
	}
	return s.Plan(r.objective.Process, sampler.Options{Steps: r.settings.SampleSteps})
}

// gridColumns is the number of images in a row of a grid.
const gridColumns = 10

func (r *run) gridPath(images int64) string {
	return filepath.Join(r.dir, rundir.SamplesDir, rundir.GridName(images))
}

// gridHook makes a grid now and then. One that was due when a kill or a signal came is
// made when the run goes on.
func (r *run) gridHook() Hook {
	return Hook{
		Name: "grids", Every: r.settings.SampleEvery, Pauses: true,
		After: func(ctx context.Context, p Progress) error { return r.samples(ctx, p.Images) },
		Done: func(images int64) bool {
			info, err := os.Stat(r.gridPath(images))
			return err == nil && info.Size() > 0
		},
	}
}

// samples writes a grid from the EMA of the weights. With classes, columns are
// classes in turn.
func (r *run) samples(ctx context.Context, images int64) error {
	if r.generator == nil {
		return nil
	}
	request := generate.Request{
		Table: r.table, Seed: r.settings.Seed, Guidance: generate.Guidance{Scale: 1}, Clip: r.table.Rows[0].Call.Limits(), NullClass: r.objective.NullClass,
	}
	for i := range r.settings.SampleCount {
		request.Seeds = append(request.Seeds, int64(i))
		if n := len(r.data.Classes()); n > 0 {
			request.Classes = append(request.Classes, i%min(n, gridColumns))
		}
	}
	height, width, channels := r.data.Shape()
	all := make([]byte, 0, r.settings.SampleCount*height*width*channels)
	err := r.generator.Run(ctx, request, func(_ int, s generate.Sample) error {
		pixels := s.Pixels
		all = append(all, pixels...)
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.folder.Check(); err != nil {
		return err
	}
	path := r.gridPath(images)
	if err = r.disk.MkdirAll(filepath.Dir(path)); err == nil {
		err = data.WriteGrid(path, all, r.settings.SampleCount, height, width, channels, gridColumns)
	}
	if err != nil { // the disk may be full for a while
		r.warn("no grid after %d images, the run goes on: %v", images, err)
		return nil
	}
	r.observer.Samples(path, images)
	return nil
}
