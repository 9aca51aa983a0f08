package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/fetch"
	"fluxion/data"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/number"
	"fluxion/nets/autoencoder"
)

// job is what to sample with.
type job struct {
	model, guide *model.Model // guide is nil without autoguidance
	run          samplingRun
	guidance     generate.Guidance
	clip         bool
	classOf      func(seed int64) int
	labels       *labelling         // instead of classes; nil: the model is told no numbers
	size         [3]int             // height, width, channels of what the network makes
	made         [3]int             // of what is kept of it: the same, or the image that it is decoded to
	seen         [3]int             // of pictures that the model is given
	autoencoder  *autoencoder.Model // that samples are decoded by; nil: they are what is made
	encodes      *autoencoder.Model // that pictures are encoded by; nil: the network sees them as they are
	picture      *generate.Picture  // nil: none
	images       *imageSet          // that samples are made of, one of each; nil: none
	given        bool               // the network is given them; else it begins with them
	from         *inversion         // that they are taken to noise by; nil: none
	noise        *noiseOf           // nil: images draw it, and it is not saved
	precision    number.Type
	text         map[string]string // of every picture
}

// plan reads the model and settles how it is sampled.
func (o *sampleOptions) plan() (job, error) { return o.planOf(o.readModel) }

func (o *sampleOptions) readModel() (*model.Model, error) {
	local, err := fetch.Model(context.Background(), o.model)
	if err != nil {
		return nil, modelError{o.model, err}
	}
	m, err := model.Read(local, o.weights, o.ignore...)
	if err != nil {
		return nil, modelError{o.model, err}
	}
	return m, nil
}

// planOf settles how a model is sampled that read returns.
func (o *sampleOptions) planOf(read func() (*model.Model, error)) (j job, err error) {
	if j.guidance, err = o.guidanceFlags.parse(); err != nil {
		return j, err
	}
	if j.model, err = read(); err != nil {
		return j, err
	}
	if err := o.settle(j.model, &j.guidance, o.swept || o.sources.Has("guidance")); err != nil {
		return j, err
	}
	o.resolve()
	if err := o.fewSteps(j.model.Few); err != nil {
		return j, err
	}
	method, err := sampler.Get(o.config.Sampler)
	if err != nil {
		return j, fault.Usage(err)
	}
	if o.config.Options, err = method.Learning(o.config.Options, j.model.Network.Spec().Variance); err != nil {
		return j, fault.Usage(err)
	}
	if o.scheduler != "" {
		j.run, err = o.planScheduler(j.model)
		j.clip = err == nil && j.run.by.clip != 0
	} else {
		j.run, err = o.planSampler(method, j.model.Process)
		j.clip = err == nil && (o.clip == "true" || !j.model.Floats && o.clips(j.run.begin()))
	}
	if err != nil {
		return j, err
	}
	if source := j.model.Process.Source; o.scheduler != "" && !source.Gaussian() && j.run.table.Draws() > 0 {
		return j, fault.Usagef("the scheduler draws Gaussian noise on the way, and the model's source is %v: want a deterministic one, or --sampler euler", source)
	}
	if j.run.table.Leads() && !j.model.Network.Spec().Jump {
		return j, fault.Usagef("--sampler %s is for flow maps, whose network is told how far its answer is to lead, and %s is none; want another sampler, such as heun", o.config.Sampler, o.model)
	}
	if j.guide, err = o.readGuide(j.model, o.weights, o.ignore); err != nil {
		return j, err
	}
	if j.classOf, err = o.classes(j.model, j.guide); err != nil {
		return j, err
	}
	if j.labels, err = o.labels(j.model, j.guide); err != nil {
		return j, err
	}
	if j.size, err = o.imageSize(j.model.Network, o.floats() || j.model.Autoencoder != ""); err != nil {
		return j, modelError{o.model, err}
	}
	if err := o.planLatents(&j); err != nil {
		return j, err
	}
	if err := o.checkSize(j); err != nil {
		return j, err
	}
	if j.picture, err = o.pictureFlags.read(j.seen[0], j.seen[1], j.seen[2]); err != nil {
		return j, err
	}
	return j, o.planImages(&j, method)
}

// planImages settles of which images samples are made.
func (o *sampleOptions) planImages(j *job, method sampler.Sampler) (err error) {
	if o.size != (data.Size{}) {
		o.sized = o.size
	}
	takes, begins := j.model.Network.Spec().Concat, j.model.Process.Source.Kind() == process.Images
	size := j.size
	switch {
	case begins && (o.initSet() || o.init != ""):
		return fault.Usagef("--init: %s begins with images of its source, --input, and not with noise", o.model)
	case begins && takes == 0 && o.without != "":
		return fault.Usagef("%s begins with images of its source: %s", o.model, o.without)
	case begins && o.input == "":
		return fault.Usagef("%s begins with images of its source; want --input and a set of them, such as a folder", o.model)
	case begins && takes == 0:
		j.images, err = o.openSeen(j, "--input", o.input, size)
	case takes > 0 && o.without != "":
		return fault.Usagef("%s was trained on pairs, and its samples are made of images: %s", o.model, o.without)
	case takes > 0 && o.input == "":
		return fault.Usagef("%s was trained on pairs, and its samples are made of images; want --input and a set of them, such as a folder", o.model)
	case takes > 0 && j.encodes != nil && takes != size[2]:
		return modelError{o.model, fmt.Errorf("its network takes a second image of %d channels, and its autoencoder makes latents of %d", takes, size[2])}
	case takes > 0:
		size[2], j.given = takes, true
		j.images, err = o.openSeen(j, "--input", o.input, size)
	case o.input != "" && !o.implied:
		return fault.Usagef("--input: %s is given no second image, which models of --data paired:A,B are; --init begins with one", o.model)
	case o.initSet():
		j.images, err = o.openSeen(j, "--init", o.init, size)
	}
	if err != nil || j.images == nil {
		return err
	}
	j.images.means = begins || j.given
	if j.from, err = o.readInversion(j.model, j.images, method); err != nil {
		return err
	}
	if err := o.takesShapes(*j); err != nil {
		return err
	}
	if o.class == "all" && !begins && j.model.Network.Spec().Classes > 0 { // the classes of a source are its own
		j.classOf, err = j.images.classes(j.model)
	}
	return err
}

// numbers are those of the images to be made: those asked for, or all there are inputs for.
func (j job) numbers(asked []int64) ([]int64, error) {
	if j.images == nil {
		return asked, nil
	}
	return j.images.numbers(asked)
}

// fewSteps takes the one way to sample a model that was trained for few steps, and
// refuses another.
func (o *sampleOptions) fewSteps(few *sampler.Few) error {
	if few == nil {
		return nil
	}
	if o.scheduler != "" && few.Any {
		return nil
	}
	if o.scheduler != "" {
		return fault.Usagef("--scheduler %s: the model was trained by %s for %v alone", o.scheduler, few.Objective, few)
	}
	p := &o.config.Options
	if !o.swept && !o.sources.Has("sampler") {
		o.config.Sampler = few.Sampler
	}
	if !o.sources.Has("grid") {
		p.Grid = few.Grid
	}
	if !o.swept && !o.sources.Has("steps") && (!few.Any || o.config.Sampler == few.Sampler) {
		p.Steps = few.Steps
	}
	if !o.sources.Has("eta") && few.Eta != 0 && o.config.Sampler == few.Sampler {
		p.Eta = &few.Eta
	}
	if err := few.Check(o.config.Sampler, p.Grid, p.Steps); err != nil {
		return fault.Usage(err)
	}
	return nil
}

// planSampler plans a run along a schedule, by a sampler.
func (o *sampleOptions) planSampler(method sampler.Sampler, trained process.Process) (samplingRun, error) {
	p, err := o.along(trained)
	if err != nil {
		return samplingRun{}, fault.Usage(err)
	}
	if o.config.Options.Begin, err = o.begin(p, o.config.Options); err != nil {
		return samplingRun{}, fault.Usage(err)
	}
	run, err := planSampling(method, p, o.config.Options)
	if err != nil {
		return run, fault.Usage(err)
	}
	if run.adaptive != nil && o.mask != "" {
		return run, fault.Usagef("--mask: sampler %s has no grid on which parts of a picture could be kept; want another one, such as heun", o.config.Sampler)
	}
	return run, nil
}

// maxSeeds bounds a list of seeds.
const maxSeeds = 10_000_000

// parseSeeds reads 0-99,200.
func parseSeeds(text string) ([]int64, error) {
	var list []int64
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.ParseInt(first, 10, 64)
		b, err2 := strconv.ParseInt(last, 10, 64)
		if err1 != nil || err2 != nil || a > b {
			return nil, fault.Usagef("--seeds %s: %q is no number and no range A-B, from 0 to %d", text, part, int64(math.MaxInt64))
		}
		if b-a >= maxSeeds-int64(len(list)) {
			return nil, fault.Usagef("--seeds %s: want at most %d images in one go", text, maxSeeds)
		}
		for n := range b - a + 1 {
			list = append(list, a+n)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// classes returns the class of every image.
func (o *sampleOptions) classes(m, guide *model.Model) (func(seed int64) int, error) {
	of := m.Network.Spec()
	total := of.Classes
	if m.Guided {
		total--
	}
	switch {
	case !of.Conditional() && o.classFree():
		return nil, fault.Usagef("--guidance %g: the model knows no classes to guide to; want a weaker model to guide away from, --guide MODEL", o.guidance)
	case !of.Conditional():
		if o.class != "all" && o.class != "none" {
			return nil, fault.Usagef("--class %s: the model knows no classes", o.class)
		}
		return func(int64) int { return 0 }, nil
	case o.classFree() && !m.Guided:
		return nil, fault.Usagef("--guidance needs a model that was trained without labels, too (label_drop), or a weaker one, --guide MODEL")
	case o.classFree() && m.Untrained:
		return nil, fault.Usagef("--guidance %g: in training no image went without its label (label_drop 0), so the model does not know what to guide away from; train on with --label-drop 0.1, or give a weaker model, --guide MODEL", o.guidance)
	case m.Labels != nil: // which labels settles
		return func(int64) int { return 0 }, nil
	case o.class == "none" && (m.Untrained || guide != nil && guide.Untrained):
		return nil, fault.Usagef("--class none: in training no image went without its label (label_drop 0), so the model knows none without; train on with --label-drop 0.1")
	case o.class == "all":
		return func(seed int64) int { return int(seed % int64(total)) }, nil
	case o.class == "none" && m.Guided:
		return func(int64) int { return total }, nil
	}
	class := slices.Index(m.Classes, o.class)
	if n, err := strconv.Atoi(o.class); class < 0 && err == nil && n >= 0 && n < total {
		class = n
	}
	if class < 0 {
		return nil, fault.Usagef("--class %s: want one of %d classes, 0 to %d or by name: %s", o.class, total, total-1, console.Abridged(m.Classes, 50))
	}
	return func(int64) int { return class }, nil
}
