package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/generate"
	"fluxion/engine/latent"
	"fluxion/engine/model"
)

// source is images that can be closed.
type source interface {
	evaluate.Source
	size() [3]int          // height, width, channels
	shapes() *data.Buckets // that images have; nil: one
	close()
}

// source opens data, or a model that is to be sampled.
func (j *judging) source(s *side, samples bool) (source, error) {
	path := s.path
	count, flag := j.count, "--count"
	if !samples {
		count, flag = j.realCount, "--real-count"
	}
	if model.Is(path) {
		if count == 0 {
			return nil, fault.Usagef("%s is a model: say how many images of it to judge, with %s N", path, flag)
		}
		return j.model(s, count)
	}
	set, err := j.openData(path, 0)
	if err != nil {
		return nil, err
	}
	if !data.Pictures(set) {
		set.Close()
		return nil, fault.Usagef("%s holds numbers, not pictures: networks of features want pictures", path)
	}
	for _, n := range data.Notes(set) {
		j.note(path + ": " + n)
	}
	if err := j.oneSize(path, set); err != nil {
		set.Close()
		return nil, err
	}
	n := set.Len()
	if count > 0 && count < n {
		n = count
		j.note(fmt.Sprintf("%s: %s of %s images, evenly spread", path, console.Thousands(int64(n)), console.Thousands(int64(set.Len()))))
	}
	return dataSource{path, set, n, j.skipBroken, j.note, nil}, nil
}

// oneSize refuses a set whose files have several sizes and are brought to none: otherwise that would be told when the
// other set has been sampled.
func (j *judging) oneSize(path string, set data.Dataset) error {
	if j.side != (data.Size{}) || j.skipBroken {
		return nil
	}
	like := ""
	for _, s := range j.sides {
		if s.sampling != nil {
			shape := s.source.size()
			like = fmt.Sprintf("%v, as %s makes them", data.Size{Height: shape[0], Width: shape[1]}, s.path)
		}
	}
	return sizesApart(path, set, like)
}

// openData opens images, as train does it.
func (o *evalOptions) openData(path string, channels int) (data.Dataset, error) {
	fit := data.Fit(o.fit)
	if err := fit.Check(path, o.side); err != nil {
		return nil, fault.Usagef("--fit %w", err)
	}
	return data.Open(path, data.Options{Size: o.side, Fit: fit, FitSaid: fitSaid(o.sources), Channels: channels})
}

// dataSource is images of data, evenly spread.
type dataSource struct {
	path       string
	set        data.Dataset
	n          int
	skipBroken bool
	note       func(text string) // of images that are left out
	// decoder of its latents of a size makes pictures of them; nil: it holds pictures.
	decoder func(generate.Size) *latent.Decoder
}

func (d dataSource) Name() string { return d.path }
func (d dataSource) Len() int     { return d.n }
func (d dataSource) close()       { d.set.Close() }

func (d dataSource) size() (size [3]int) {
	if d.decoder == nil {
		return shapeOf(d.set)
	}
	h, w, _ := d.set.Shape()
	size[0], size[1], size[2] = d.decoder(data.Size{Height: h, Width: w}).Shape()
	return size
}

func (d dataSource) shapes() *data.Buckets { return data.BucketsOf(d.set) }

func (d dataSource) Each(_ context.Context, visit func(evaluate.Image) error) error {
	return d.each(0, d.n, visit)
}

// each hands out some images in a row.
func (d dataSource) each(from, to int, visit func(evaluate.Image) error) error {
	of := d.size()
	example := data.NewExample(d.set)
	n := of[0] * of[1] * of[2] // no image has more
	picture, latents, values := make([]byte, n), make([]float32, example.Len()), make([]float32, n)
	for i := from; i < to; i++ {
		size, err := example.ReadShaped(d.set, data.Spread(d.set.Len(), d.n, i))
		if bad := (*data.Error)(nil); d.skipBroken && errors.As(err, &bad) {
			d.note(bad.Path + " cannot be read and is left out")
			continue
		}
		if err != nil {
			return err
		}
		image := evaluate.Image{Height: size.Height, Width: size.Width, Channels: of[2]}
		if d.decoder == nil {
			image.Pixels = picture[:example.Len()]
			example.Picture(image.Pixels)
		} else {
			decoder, z := d.decoder(size), latents[:example.Len()]
			image.Height, image.Width, _ = decoder.Shape()
			made := values[:image.Height*image.Width*image.Channels]
			example.Values(z)
			if err := decoder.Decode(z, made); err != nil {
				return err
			}
			image.Pixels = picture[:len(made)]
			data.Pixels{Floats: made}.Picture(image.Pixels)
		}
		if err := visit(image); err != nil {
			return err
		}
	}
	return nil
}

// noFile is where samples would go that are not written.
const noFile = "none.npz"

// modelSource is samples of a model.
type modelSource struct {
	*judging
	options *sampleOptions
	job     job
	seeds   []int64
	calls   int64 // of the network, for the images so far
}

func (j *judging) model(s *side, count int) (source, error) {
	o := j.sampleOptions
	o.model = s.path
	m, err := j.sampled(o, count, o.readModel)
	if err != nil {
		return nil, err
	}
	s.sampling = m.text()
	j.note(s.path + ": " + sampledText(s.sampling))
	return m, nil
}

// sampledText says how a model is sampled.
func sampledText(how map[string]string) string {
	var texts []string
	for key, value := range how {
		texts = append(texts, key+" "+value)
	}
	sort.Strings(texts)
	return "sampled with " + strings.Join(texts, ", ")
}

// sampled is images 0 to count−1 of a model, as options say.
func (j *judging) sampled(o sampleOptions, count int, read func() (*model.Model, error)) (*modelSource, error) {
	o.out, o.count = noFile, count // of which nothing is written
	if o.sized = j.side; o.input == "" && !o.initSet() {
		o.fit = "" // which is of data then
	}
	seeds, err := o.check()
	if err != nil {
		return nil, err
	}
	job, err := o.planOf(read)
	if err != nil {
		return nil, err
	}
	if job.images != nil {
		if seeds, err = job.images.spread(count); err != nil {
			return nil, err
		}
	}
	if job.model.Floats && job.autoencoder == nil || job.made[2] != 1 && job.made[2] != 3 {
		return nil, fault.Usagef("%s makes numbers, not pictures: networks of features want pictures", o.model)
	}
	if job.precision, err = device.Precision(o.precision, j.extractor.Device.Target()); err != nil {
		return nil, fault.Usagef("--precision: %w", err)
	}
	return &modelSource{judging: j, options: &o, job: job, seeds: seeds}, nil
}

// text says how the images are sampled.
func (m *modelSource) text() map[string]string {
	return m.options.text(m.job, m.job.precision.String())
}

func (m *modelSource) Name() string          { return m.options.model }
func (m *modelSource) Len() int              { return len(m.seeds) }
func (m *modelSource) close()                {}
func (m *modelSource) size() [3]int          { return m.job.made }
func (m *modelSource) shapes() *data.Buckets { return m.job.several() }

// shapeText is the size of the images of a source, about that where they have several shapes.
func shapeText(s source) string { return several(s.shapes()) + sizeText(s.size()) }

// errEnough ends sampling when the visitor does.
var errEnough = errors.New("no more samples are wanted")

func (m *modelSource) Each(ctx context.Context, visit func(evaluate.Image) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var failed error
	quiet := console.NewFace(io.Discard, false)
	err := m.options.make(ctx, quiet, m.extractor.Device, m.job, m.seeds, func(i, _ int, s generate.Sample) func() error {
		size := m.job.madeOf(m.seeds[i])
		if m.calls += int64(s.Calls); failed == nil {
			if failed = visit(evaluate.Image{Pixels: s.Pixels, Height: size[0], Width: size[1], Channels: size[2]}); failed != nil {
				cancel(errEnough)
			}
		}
		return nil
	})
	if failed != nil {
		return failed
	}
	return err
}
