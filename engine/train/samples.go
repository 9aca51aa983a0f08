package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"fluxion/data"
	"fluxion/engine/generate"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
	"fluxion/engine/sampler"
	"fluxion/nets"
)

// GridSampler makes the images of a grid, which are some side by side, from the same seeds
// in every grid. A network that is trained for few steps has its own.
const GridSampler = "euler"

// samplingSteps compiles the steps of sampling from the EMA, for grids; nil if there are none.
func (r *run) samplingSteps(step *Step) (*generate.Shapes, error) {
	if r.gridCount() == 0 {
		return nil, nil
	}
	sizes, _ := r.gridSizes()
	return generate.NewShapes(generate.Options{
		Network: r.network, Source: r.objective.Process().Source, Batch: r.settings.Batch,
		Calls: r.sampleSteps(0), Target: step.Target, Precision: r.precision, Weights: step.Buffers.EMA,
		Guided: r.gridGuidance().Scale != 1 && !r.network.Spec().Told(),
	}, sizes)
}

// gridGuidance is that of a grid's images. A network that is told its guidance is told one
// in its range.
func (r *run) gridGuidance() generate.Guidance {
	spec, scale := r.network.Spec(), r.settings.SampleGuidance
	switch {
	case spec.Told() && scale == 1:
		scale = spec.Unguided()
	case spec.Told():
		scale = min(max(scale, spec.Guidance[0]), spec.Guidance[1])
	}
	return generate.Guidance{Scale: scale}
}

// checkGuidance refuses what no grid can be made with.
func (s Settings) checkGuidance(d data.Dataset, n nets.Spec) error {
	switch {
	case s.SampleGuidance == 1:
	case len(d.Classes()) == 0:
		return &SettingError{"sample_guidance", fmt.Sprintf("%g, and %s has no classes to be guided by; leave it out", s.SampleGuidance, d.Name())}
	case s.LabelDrop == 0 && !n.Told():
		return &SettingError{"sample_guidance", fmt.Sprintf("%g, and no image goes without its label (label_drop 0), so that the network does not learn what to guide away from; want label_drop 0.1, or leave it out", s.SampleGuidance)}
	}
	return nil
}

// gridPoints is the least number of points in a picture of some.
const gridPoints = 2048

// gridCount is the number of samples in a grid: none of images that cannot be seen.
func (r *run) gridCount() int {
	switch images, points := data.Showable(r.shown()); {
	case points && r.settings.SampleCount > 0:
		return max(gridPoints, r.settings.SampleCount)
	case images:
		return r.settings.SampleCount
	}
	return 0
}

// floatNotes says what should be known of data that are not pictures.
func (r *run) floatNotes(variance float64) (notes []string) {
	if data.Pictures(r.data) {
		return nil
	}
	switch off := variance > floatVariance || variance < 1/floatVariance; {
	case off && r.decoding != nil:
		notes = append(notes, fmt.Sprintf("latents have a variance of %.3g, where schedules and learning rates are for one of about 1: the scaling_factor of their autoencoder is for other images; latents --scaling makes them with means and deviations of your own", variance))
	case off:
		notes = append(notes, fmt.Sprintf("the data are taken as they are: a variance of %.3g, where schedules and learning rates are for one of about 1; scale them first", variance))
	}
	if r.settings.SelfConditioning > 0 {
		notes = append(notes, "self-conditioning: the estimate that the network is given is clipped to ±1, the range of pictures, here and in sampling")
	}
	if _, _, channels := r.data.Shape(); r.settings.SampleCount > 0 && r.gridCount() == 0 {
		notes = append(notes, fmt.Sprintf("images of %d channels cannot be seen: there are no grids; fluxion sample --out FILE.npz writes them as they are", channels))
	}
	return notes
}

// floatVariance is how many times that of the data may be 1, or 1 that, without a word:
// pictures have a tenth at least.
const floatVariance = 10.0

// planSampling returns the table of the sampler for a grid after so many images.
func (r *run) planSampling(images int64) (sampler.Table, error) {
	name, o := GridSampler, sampler.Options{Steps: r.sampleSteps(images)}
	if few := r.objective.Few(images); few != nil {
		name, o = few.Sampler, few.Options(few.Steps)
	}
	s, err := sampler.Get(name)
	if err != nil {
		return sampler.Table{}, err
	}
	return s.Plan(r.objective.Process(), o)
}

// sampleSteps of a grid's image after so many: what the network is trained for, if that
// is a few.
func (r *run) sampleSteps(images int64) int {
	if few := r.objective.Few(images); few != nil {
		return few.Steps
	}
	return r.settings.SampleSteps
}

// gridColumns is the number of images in a row of a grid, gridRows how many shapes it shows if it has
// room for fewer such rows.
const gridColumns, gridRows = 10, 4

// gridSizes are those of the images of a grid, and how many are in a row. Of images of several shapes
// each row has one, the most frequent first.
func (r *run) gridSizes() (sizes []generate.Size, columns int) {
	n, b := r.gridCount(), data.BucketsOf(r.data)
	height, width, _ := r.data.Shape()
	switch {
	case b == nil:
		return slices.Repeat([]generate.Size{{Height: height, Width: width}}, n), gridColumns
	case r.settings.TakesInputs(r.data):
		return SpreadSizes(r.data, n), gridColumns
	}
	often := b.MostFrequent(min(n, max(n/gridColumns, gridRows)))
	columns = min(gridColumns, (n+len(often)-1)/len(often))
	for i := range n {
		sizes = append(sizes, often[i/columns%len(often)])
	}
	return sizes, columns
}

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
	request, given, err := r.gridRequest(images)
	if err != nil {
		return err
	}
	sizes, columns := r.gridSizes()
	_, _, channels := r.data.Shape()
	tiles := make([]data.Tile, len(sizes))
	err = r.generator.Run(ctx, request, func(i int, s generate.Sample) error {
		pixels := data.NewPixels(r.data.Kind(), sizes[i].Height*sizes[i].Width*channels)
		pixels.Copy(data.Pixels{Bytes: s.Pixels, Floats: s.Values})
		tiles[i] = data.Tile{Pixels: pixels, Size: sizes[i], Channels: channels}
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
		for i, t := range tiles {
			if tiles[i], err = r.shownAs(t); err != nil {
				return err
			}
		}
		err = r.writeGrid(path, tiles, given, columns)
	}
	if err != nil { // the disk may be full for a while
		r.warn("no grid after %d images, the run goes on: %v", images, err)
		return nil
	}
	return r.record.Grid(record.File{Path: path, Images: images})
}

// gridRequest is what the generator is asked for, and the inputs that it is given.
func (r *run) gridRequest(images int64) (request generate.Request, given Given, err error) {
	table, err := r.planSampling(images)
	if err != nil {
		return request, given, err
	}
	request = generate.Request{
		Table: table, Seed: r.settings.Seed, Guidance: r.gridGuidance(), Clip: data.Pictures(r.data) && table.Rows[0].Call.Limits(), NullClass: r.nullClass(),
	}
	sizes, columns := r.gridSizes()
	n := len(sizes)
	if r.making != nil {
		request.Step = func(done, of int) { r.making(done*n/of, n) }
	}
	for i := range n {
		request.Seeds = append(request.Seeds, int64(i))
		if classes := len(r.data.Classes()); classes > 0 {
			request.Classes = append(request.Classes, i%min(classes, columns))
		}
	}
	r.trainer.Label(&request, !r.settings.TakesInputs(r.data))
	if r.settings.TakesInputs(r.data) {
		if given, err = ReadGiven(r.data, n, r.settings.SkipBroken); err == nil {
			given.Of(&request, r.network, r.objective.Process().Source, r.nullClass())
		}
	}
	return request, given, err
}

// firstSamples makes the grid of a network that has learnt nothing, or what it begins with.
func (r *run) firstSamples(ctx context.Context) error {
	if r.settings.SampleEvery == 0 {
		return nil
	}
	err := r.samples(ctx, 0)
	if bad := (*generate.NotFiniteError)(nil); errors.As(err, &bad) {
		r.warn("no grid before the first step: %v", err)
		return nil
	}
	return err
}

// writeGrid writes samples side by side; of inputs between these and the images of the data.
func (r *run) writeGrid(path string, samples []data.Tile, given Given, columns int) error {
	height, width, channels := r.shown()
	if _, points := data.Showable(height, width, channels); points {
		var all []float32
		for _, t := range samples {
			all = append(all, t.Floats...)
		}
		return data.WriteSheet(path, data.Pixels{Floats: all}, len(samples), height, width, channels, columns)
	}
	inputs, _ := data.InputOf(r.data)
	seen, _ := data.Showable(height, width, inputs)
	if given.Classes == nil || !seen && r.decoding == nil {
		return data.WriteTiles(path, samples, columns)
	}
	var all []data.Tile
	_, _, own := r.data.Shape()
	for i, t := range samples {
		row := []data.Tile{{Pixels: given.input(i), Size: given.Sizes[i], Channels: inputs}, {Pixels: given.image(i), Size: given.Sizes[i], Channels: own}}
		for k := range row {
			var err error
			if row[k], err = r.shownAs(row[k]); err != nil {
				return err
			}
		}
		all = append(all, row[0], t, row[1])
	}
	return data.WriteTiles(path, all, columns/3*3)
}
