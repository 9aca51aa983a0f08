package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/moments"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/generate"
	"fluxion/engine/model"
)

// judging is one evaluation.
type judging struct {
	*evalOptions
	face      console.Face
	device    device.Device
	metrics   []evaluate.Metric
	needs     evaluate.Needs
	extractor evaluate.ExtractorOptions
	about     moments.About   // what the features are; empty while no images were looked at
	stored    []moments.About // what files say of theirs
	sampling  map[string]string
	notes     []string
	kept      [2]*remembered // the images of both sets, for a sheet
}

// collect makes or reads what is known of set i.
func (j *judging) collect(ctx context.Context, path string, i int) (*evaluate.Set, error) {
	if moments.Is(path) {
		set, about, err := moments.Read(path)
		j.stored = append(j.stored, about)
		return set, err
	}
	j.stored = append(j.stored, moments.About{})
	source, err := j.source(path)
	if err != nil {
		return nil, err
	}
	defer source.close()
	if j.nearest != "" {
		j.kept[i] = &remembered{source: source}
		source = j.kept[i]
	}
	if err := j.readNetwork(); err != nil {
		return nil, err
	}
	n, begin := source.Len(), time.Now()
	shown := begin
	j.face.Begin()
	set, err := evaluate.Collect(ctx, source, j.extractor, j.needs, func(done int) error {
		if time.Since(shown) < samplePeriod {
			return nil
		}
		shown = time.Now()
		rate := float64(done) / time.Since(begin).Seconds()
		left := time.Duration(float64(n-done) / rate * float64(time.Second))
		j.face.Status(map[string]any{"set": source.Name(), "images": done, "of": n, "images_per_second": rate, "left_seconds": left.Seconds()},
			fmt.Sprintf("%s: %s/%s images  %3.0f%%  %.1f img/s  %s left", source.Name(), console.Thousands(int64(done)), console.Thousands(int64(n)),
				100*float64(done)/float64(n), rate, left.Round(time.Second)), false)
		return nil
	})
	j.face.End()
	if err == nil && set.Statistics != nil && set.N < int64(len(set.Statistics.Mean)) {
		j.note(fmt.Sprintf("%d images are fewer than the %d numbers that the network says of each: the distance is far too large, and only compares with those of as many", set.N, len(set.Statistics.Mean)))
	}
	return set, err
}

// note tells something once.
func (j *judging) note(text string) {
	if !slices.Contains(j.notes, text) {
		j.notes = append(j.notes, text)
	}
}

// readNetwork reads the weights of the network of features, once.
func (j *judging) readNetwork() error {
	if j.about != (moments.About{}) {
		return nil
	}
	g, err := j.extractor.Network.Build(1)
	if err != nil {
		return err
	}
	path, hash, err := findFeatures(j.extractor.Network.Name, j.features)
	if err != nil {
		return err
	}
	if j.extractor.Weights, err = j.extractor.Network.ReadWeights(path, g.Params); err != nil {
		return err
	}
	j.about = moments.About{Network: j.extractor.Network.Name, Weights: hash, Convention: j.extractor.Convention.Name}
	return nil
}

// agree says whether features of different origin may be compared.
func (j *judging) agree(args []string) error {
	for i, about := range j.stored {
		switch {
		case !moments.Is(args[i]):
		case about == (moments.About{}):
			if j.about != (moments.About{}) {
				j.note(fmt.Sprintf("%s does not say of which network and convention it is: taken to be %s", args[i], j.how()))
			}
		case j.about == (moments.About{}):
			j.about = about
		case about != j.about:
			return fault.Usagef("%s is of %s, weights %s, convention %s; want %s", args[i], about.Network, about.Weights, about.Convention, j.how())
		}
	}
	if j.about == (moments.About{}) {
		for _, m := range j.metrics {
			if m.Network != "" {
				j.note(fmt.Sprintf("the files do not say that they are of %s, without which there is no %s", m.Network, m.Name))
			}
		}
		return nil
	}
	if err := evaluate.Check(j.metrics, j.about.Network, true); err != nil {
		return fault.Usage(err)
	}
	return nil
}

// how the features were made.
func (j *judging) how() string {
	if j.about == (moments.About{}) {
		return "features that the files do not name"
	}
	return fmt.Sprintf("features of %s, weights %s, convention %s", j.about.Network, j.about.Weights, j.about.Convention)
}

// source is images that can be closed.
type source interface {
	evaluate.Source
	close()
}

// source opens data, or a model that is to be sampled.
func (j *judging) source(path string) (source, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() && model.Is(path) {
		return j.model(path)
	}
	set, err := data.Open(path, data.Options{Size: j.size})
	if err != nil {
		return nil, err
	}
	if set.Kind() != data.Bytes {
		set.Close()
		return nil, fault.Usagef("%s holds numbers, not pictures: networks of features want pictures", path)
	}
	n := set.Len()
	if j.count > 0 {
		n = min(n, j.count)
	}
	return dataSource{set, n}, nil
}

// dataSource is the first images of data.
type dataSource struct {
	set data.Dataset
	n   int
}

func (d dataSource) Name() string { return d.set.Name() }
func (d dataSource) Len() int     { return d.n }
func (d dataSource) close()       { d.set.Close() }

func (d dataSource) Each(_ context.Context, visit func(evaluate.Image) error) error {
	height, width, channels := d.set.Shape()
	example := data.NewExample(d.set)
	for i := range d.n {
		// Data in the order of their classes are met in all of them.
		if err := d.set.Read(int(int64(i)*int64(d.set.Len())/int64(d.n)), example); err != nil {
			return err
		}
		if err := visit(evaluate.Image{Pixels: example.Bytes, Height: height, Width: width, Channels: channels}); err != nil {
			return err
		}
	}
	return nil
}

// modelSource is samples of a model.
type modelSource struct {
	*judging
	options *sampleOptions
	job     job
	seeds   []int64
}

func (j *judging) model(path string) (source, error) {
	o := j.sampleOptions
	o.model, o.out, o.json = path, "none", false
	if o.count == 0 {
		return nil, fault.Usagef("%s is a model: say how many images of it to judge, with --count N", path)
	}
	seeds, err := o.check()
	if err != nil {
		return nil, err
	}
	job, err := o.plan()
	if err != nil {
		return nil, err
	}
	if job.model.Floats {
		return nil, fault.Usagef("%s makes numbers, not pictures: networks of features want pictures", path)
	}
	if job.precision, err = device.Precision(o.precision, j.device.Target()); err != nil {
		return nil, fault.Usagef("--precision: %w", err)
	}
	j.sampling = o.text(job, job.precision.String())
	var how []string
	for key, value := range j.sampling {
		how = append(how, key+" "+value)
	}
	sort.Strings(how)
	j.note("sampled with " + strings.Join(how, ", "))
	return &modelSource{j, &o, job, seeds}, nil
}

func (m *modelSource) Name() string { return m.options.model }
func (m *modelSource) Len() int     { return len(m.seeds) }
func (m *modelSource) close()       {}

// errEnough ends sampling when the visitor does.
var errEnough = errors.New("no more samples are wanted")

func (m *modelSource) Each(ctx context.Context, visit func(evaluate.Image) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var failed error
	quiet := console.NewFace(io.Discard, false)
	err := m.options.make(ctx, quiet, m.device, m.job, m.seeds, func(_, _ int, s generate.Sample) func() error {
		if failed == nil {
			if failed = visit(evaluate.Image{Pixels: s.Pixels, Height: m.job.size[0], Width: m.job.size[1], Channels: m.job.size[2]}); failed != nil {
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
