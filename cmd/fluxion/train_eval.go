package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/moments"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/monitor"
	"fluxion/engine/train"
	"fluxion/kernels/number"
)

// evaluation is how a run is evaluated while it trains: its settings, looked up, and what
// its samples are compared with.
type evaluation struct {
	settings train.Settings
	plan     monitor.Plan
	weights  []float32 // of the network of features
	about    moments.About
	notes    []string

	trained data.Dataset  // that the run trains on
	shown   [3]int        // height, width and channels of samples as they are seen
	latents bool          // they are decoded for that
	path    string        // of what samples are compared with
	stored  *evaluate.Set // a file of statistics; else images
	images  data.Dataset
	decoded bool // images are latents, whose pictures are compared
	n       int  // of them
}

// newEvaluation opens what an evaluation needs, so that what cannot be is told before the
// first step; nil is none.
func newEvaluation(s train.Settings, d data.Dataset) (*evaluation, error) {
	shown, latents, err := train.Shown(d)
	if err != nil {
		return nil, err
	}
	p, err := monitor.Check(s, monitor.Data{Name: d.Name(), Channels: shown[2], Floats: !latents && !data.Pictures(d)})
	if err != nil || s.EvalEvery == 0 {
		return nil, err
	}
	e := &evaluation{settings: s, plan: p, trained: d, shown: shown, latents: latents}
	weights, hash, note, err := readFeatures(p.Network, s.EvalWeights, "eval-", p.Metrics)
	if err != nil {
		return nil, err
	}
	if note != "" {
		e.notes = append(e.notes, note)
	}
	if p.Network.Embedded() != nil {
		e.notes = append(e.notes, embeddedNote(p.Network, "eval-"))
	}
	e.weights, e.about = weights, moments.About{Network: p.Network.Name, Weights: hash, Convention: p.Convention.Name, Precision: number.Float32.String()}
	if err := e.openReal(); err != nil {
		return nil, errors.Join(err, e.close())
	}
	if err := p.CheckReal(s, e.n); err != nil {
		return nil, errors.Join(err, e.close())
	}
	if n := min(s.EvalCount, cmp.Or(e.n, s.EvalCount)); p.Samples.Statistics && n < p.Network.Dim {
		e.notes = append(e.notes, fewText("evaluation", int64(n), p.Network.Dim))
	}
	return e, nil
}

// openReal opens what samples are compared with: the data of the run, other data, or
// statistics.
func (e *evaluation) openReal() error {
	fault := func(format string, args ...any) error {
		return &train.SettingError{Key: "eval_real", Problem: fmt.Sprintf(format, args...)}
	}
	s := e.settings
	if e.path = s.EvalReal; e.path == "" {
		e.path, e.images = s.Data, e.trained
	} else if moments.Is(e.path) || moments.IsPart(e.path) {
		return e.openStored(fault)
	} else if model.Is(e.path) {
		return fault("%s is a model; want data, or a file of statistics", e.path)
	} else {
		var err error
		if e.images, err = e.openImages(); err != nil {
			return err
		}
	}
	own, _ := data.AutoencoderOf(e.trained)
	of, latents := data.AutoencoderOf(e.images)
	switch e.decoded = e.latents && latents && of.Digest == own.Digest; {
	case e.decoded:
		e.notes = append(e.notes, fmt.Sprintf("evaluation: samples are compared with decoded latents of %s, so that what the autoencoder loses of pictures counts in neither; --eval-real PICTURES compares with those", e.path))
	case !data.Pictures(e.images):
		return fault("%s holds numbers, not pictures: networks of features want pictures", e.path)
	}
	if e.n = e.images.Len(); s.EvalRealCount > 0 {
		e.n = min(e.n, s.EvalRealCount)
	}
	if size := e.imageSize(); size != e.shown {
		e.notes = append(e.notes, fmt.Sprintf("evaluation: the images of %s are %s, samples are %s, which shows in every distance", e.path, sizeText(size), sizeText(e.shown)))
	}
	return nil
}

// openImages opens images that are not those of the run: in shapes, too, where samples have several,
// if the set can be opened so.
func (e *evaluation) openImages() (data.Dataset, error) {
	o := e.realOptions()
	if b := data.BucketsOf(e.trained); b != nil && e.shown[0] == e.shown[1] {
		h, _, _ := e.trained.Shape()
		shaped := o
		shaped.Size, shaped.Fit = data.Square(e.shown[0]), data.Fit(fmt.Sprintf("%s:%d", data.AspectBuckets, b.Step()*e.shown[0]/h))
		if set, err := data.Open(e.path, shaped); err == nil {
			return set, nil
		}
		e.notes = append(e.notes, fmt.Sprintf("evaluation: the images of %s are of one shape, and samples of several, as the data are", e.path))
	}
	return data.Open(e.path, o)
}

// realOptions are how images are read that samples are compared with: at the size of what
// latents are decoded to, where that is what samples are.
func (e *evaluation) realOptions() data.Options {
	o := realOptions(e.settings)
	if c := e.shown[2]; e.latents && (c == 1 || c == 3) {
		o.Size, o.Channels = data.Size{Height: e.shown[0], Width: e.shown[1]}, c
	}
	return o
}

// imageSize is that of the images that samples are compared with.
func (e *evaluation) imageSize() [3]int {
	if e.decoded {
		return e.shown
	}
	return shapeOf(e.images)
}

// openStored reads a file of statistics, and says what it lacks.
func (e *evaluation) openStored(fault func(string, ...any) error) error {
	set, about, err := moments.ReadWhole(e.path)
	if err != nil {
		return err
	}
	for _, m := range e.plan.Metrics {
		if err := set.Has(m, true); err != nil {
			return fault("%v", err)
		}
	}
	if d := len(set.Statistics.Mean); d != e.plan.Network.Dim {
		return fault("%s is of features of %d numbers, and %s gives %d", e.path, d, e.plan.Network.Name, e.plan.Network.Dim)
	}
	switch {
	case about == (moments.About{}):
		e.notes = append(e.notes, fmt.Sprintf("evaluation: %s does not say of which network and convention it is", e.path))
	case !about.Same(e.about):
		return fault("%s is of %s, weights %s, convention %s; want %s", e.path, about.Network, about.Weights, about.Convention, featuresText(e.about))
	}
	e.stored, e.n = set, int(set.N)
	return nil
}

// close gives back what only the evaluation has opened.
func (e *evaluation) close() error {
	if e == nil || e.images == nil || e.images == e.trained {
		return nil
	}
	return e.images.Close()
}

// hooks are those with which a run is evaluated.
// A person sees how far each is; to a machine, statuses are those of the run alone.
func (e *evaluation) hooks(ctx context.Context, dev device.Device, face console.Face, asJSON bool) ([]train.Hook, error) {
	if e == nil {
		return nil, nil
	}
	progress := func(what string, of int) (func(int), func()) {
		if asJSON {
			return func(int) {}, func() {}
		}
		p := newImageProgress(face, what, of)
		return p.show, face.End
	}
	var given func(n int) (train.Given, error)
	if e.settings.TakesInputs(e.trained) {
		given = func(n int) (train.Given, error) { return train.ReadGiven(e.trained, n, e.settings.SkipBroken) }
	}
	var sizes []generate.Size
	if data.BucketsOf(e.trained) != nil {
		sizes = train.SpreadSizes(e.trained, e.settings.EvalCount)
	}
	m, err := monitor.New(monitor.Options{
		Settings: e.settings, Plan: e.plan, Sizes: sizes, Decodes: e.latents, About: featuresText(e.about), Given: given, Progress: progress,
		Features: evaluate.ExtractorOptions{Network: e.plan.Network, Weights: e.weights, Convention: e.plan.Convention, Device: dev, Precision: number.Float32},
		Real: monitor.Real{Name: e.realText(), Set: func(needs evaluate.Needs, c *evaluate.Collector, p train.Progress) (*evaluate.Set, error) {
			for _, n := range e.notes {
				p.Tell("%s", n)
			}
			return e.real(ctx, needs, c, p, progress)
		}},
	})
	if err != nil {
		return nil, err
	}
	return []train.Hook{m.Hook()}, nil
}

// realText says what samples are compared with.
func (e *evaluation) realText() string {
	switch {
	case e.stored != nil && e.n == 0:
		return e.path
	case e.stored != nil:
		return fmt.Sprintf("%s, of %d images", e.path, e.n)
	}
	what := "images"
	if e.decoded {
		what = "decoded latents"
	}
	shape := sizeText(e.imageSize())
	if b := data.BucketsOf(e.images); b != nil {
		shape = fmt.Sprintf("of %d shapes of about %s", len(b.Sizes), shape)
	}
	return fmt.Sprintf("%d %s of %s, %s", e.n, what, e.path, shape)
}

// referenceFile of a run folder keeps what is known of the real images.
const referenceFile = "reference.npz"

// real is what is known of the real images: stored, kept by this run before, or found out
// now and kept.
func (e *evaluation) real(ctx context.Context, needs evaluate.Needs, c *evaluate.Collector, p train.Progress, progress func(string, int) (func(int), func())) (*evaluate.Set, error) {
	if e.stored != nil {
		return e.stored, nil
	}
	path, about := filepath.Join(p.Dir, referenceFile), e.about
	mark := e.images.Fingerprint()
	about.Images = fmt.Sprintf("%s, fingerprint %.16x", e.realText(), sha256.Sum256([]byte(mark.Digest+mark.Sums)))
	if set := e.kept(path, about, p); set != nil {
		p.Tell("what is known of the real images is read from %s", path)
		return set, nil
	}
	p.Tell("evaluation: looks at %d real images of %s, once", e.n, e.path)
	show, end := progress(e.path, e.n)
	source := dataSource{e.path, e.images, e.n, e.settings.SkipBroken, func(text string) { p.Tell("evaluation: %s", text) }, nil}
	if e.decoded {
		source.decoder = p.Decoder
	}
	set, err := c.Collect(ctx, source, needs, func(done int) error { show(done); return nil })
	end()
	if err != nil {
		return nil, err
	}
	kept, err := moments.Keep(durable.Disk{}, path, set, about)
	switch {
	case err != nil: // the disk may be full for a while
		p.Tell("what is known of the real images is not kept: %v", err)
	case !kept:
		p.Tell("what is known of the real images is too much to be kept: each start of the run looks at them; fewer, by --eval-real-count, are kept")
	}
	return set, nil
}

// kept is what a file of before says of the same images, features and metrics; nil where
// it does not.
func (e *evaluation) kept(path string, about moments.About, p train.Progress) *evaluate.Set {
	set, of, err := moments.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		p.Tell("what is known of the real images is found out again: %v", err)
		return nil
	}
	for _, m := range e.plan.Metrics {
		if set.Has(m, true) != nil {
			return nil
		}
	}
	if of != about {
		return nil
	}
	return set
}

// featureNetwork chooses the network of features where the user names none, so that a run
// which goes on stays with it.
func featureNetwork(s train.Settings) train.Settings {
	metrics, err := evaluate.FindMetrics(strings.Split(s.EvalMetrics, ","))
	if err == nil && s.EvalEvery > 0 && s.EvalNetwork == "" { // a wrong name is told later
		s.EvalNetwork = networkFor(metrics, s.EvalWeights)
	}
	return s
}

// featuresText says what features are.
func featuresText(a moments.About) string {
	return fmt.Sprintf("features of %s, weights %s, convention %s, %s", a.Network, a.Weights, a.Convention, a.Precision)
}

// shapeOf is the height, width and channels of a set's images.
func shapeOf(d data.Dataset) [3]int {
	h, w, c := d.Shape()
	return [3]int{h, w, c}
}
