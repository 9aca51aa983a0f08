package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/plan"
	"fluxion/engine/sampler"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

type sampleOptions struct {
	samplingFlags
	guidanceFlags
	pictureFlags
	model, out, class, weights, device, precision, seeds, blockings string
	count, batch, threads, columns                                  int
	seed                                                            uint64
	json                                                            bool
}

func newSample() *cobra.Command {
	o := &sampleOptions{}
	c := &cobra.Command{
		Use:   "sample",
		Short: "Make images with a trained model",
		Long: `Make images with a run, a checkpoint, or a diffusers folder. Image 17 becomes
OUT/000017.png and depends on its number, --seed and --class alone, whatever the
batch or the number of threads. Files that are there already are left as they
are, so the same command again goes on where it was stopped. A grid of the
images is written beside the folder, as OUT-grid.png.

A network samples along the schedule it was trained on or any other (--schedule),
on any grid, by any sampler; fluxion trace --list says what there is. Options of
samplers that the chosen one does not take are refused.

A network of ε says little of the image beside pure noise; where a run begins
there, the predicted image is clipped to the range of pixels in every step, as in
train's own grids and by diffusers, unless --clip=false is given.

A model trained with --self-conditioning is given its last estimate of the clean
image: none at an image's first call, then that of the last call, whatever the
sampler calls the network for; guided and limited, and the same with and without
the class and to --guide; none all along under rk45, whose steps need outputs
that depend on the state alone.`,
		Example: `  fluxion sample --model runs/glyphs-tiny --out out --count 64
  fluxion sample --model runs/glyphs-tiny --out sevens --seeds 0-9,42 --class 7 --guidance 2
  fluxion sample --model runs/glyphs-tiny --out strong --count 64 --guidance 4 --guidance-interval 0.3,5 --guidance-rescale 0.7
  fluxion sample --model runs/glyphs-tiny --out variations --count 16 --init out/000007.png --strength 0.6
  fluxion sample --model runs/glyphs-tiny --out fast --count 64 --schedule cosine --grid karras --sampler dpm++-2m --steps 12`,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.OutOrStdout()) },
	}
	f := c.Flags()
	f.SortFlags = false // what matters most comes first
	f.StringVar(&o.model, "model", "", "run folder, checkpoint, or diffusers folder")
	f.StringVar(&o.out, "out", "", "folder for the images; made if need be")
	f.IntVar(&o.count, "count", 0, "make images 0 to COUNT-1")
	f.StringVar(&o.seeds, "seeds", "", "numbers of the images to make, such as 0-99,200")
	f.StringVar(&o.class, "class", "all", "class by name or index; all takes them in turn; none is without")
	o.addSampler(f, "euler", 30)
	f.IntVar(&o.batch, "batch", 32, "images made together; no effect on them")
	f.StringVar(&o.weights, "weights", "ema", "ema (averaged) or raw")
	f.Uint64Var(&o.seed, "seed", 0, "key of all randomness")
	o.guidanceFlags.add(f)
	o.pictureFlags.add(f)
	f.IntVar(&o.columns, "columns", 10, "images in a row of the grid")
	f.StringVar(&o.device, "device", "auto", deviceHelp)
	f.StringVar(&o.precision, "precision", "auto", precisionHelp)
	f.IntVar(&o.threads, "threads", 0, threadsHelp)
	addBlockings(f, &o.blockings)
	f.BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
	o.addSchedule(f, "", "to sample along, if not the model's own: ")
	o.addOptions(f, "1e-4")
	return c
}

// maxGrid is the most images of a grid.
const maxGrid = 400

func (o *sampleOptions) run(ctx context.Context, out io.Writer) error {
	seeds, err := o.check()
	if err != nil {
		return err
	}
	if err := o.resolve(); err != nil {
		return err
	}
	method, err := sampler.Get(o.config.Sampler)
	if err != nil {
		return usageError{err}
	}
	m, err := model.Read(o.model, o.weights == "ema")
	if err != nil {
		return modelError{o.model, err}
	}
	p, err := o.along(m.Process)
	if err != nil {
		return usageError{err}
	}
	if o.config.Options.Begin, err = o.begin(p, o.config.Options); err != nil {
		return usageError{err}
	}
	run, err := planSampling(method, p, o.config.Options)
	if err != nil {
		return usageError{err}
	}
	guidance, err := o.guidanceFlags.parse()
	if err != nil {
		return err
	}
	guide, err := o.readGuide(m, o.weights == "ema")
	if err != nil {
		return err
	}
	classOf, err := o.classes(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return output(err)
	}
	missing, err := o.missing(seeds)
	if err != nil {
		return err
	}
	begin := time.Now()
	if len(missing) > 0 {
		if err := o.make(ctx, out, job{m, guide, run, guidance, classOf}, missing); err != nil {
			return err
		}
	}
	grid, err := o.grid(seeds)
	if err != nil {
		return err
	}
	seconds := time.Since(begin).Seconds()
	if o.json {
		jsonFace{out}.emit("done", map[string]any{
			"images": len(seeds), "written": len(missing), "skipped": len(seeds) - len(missing), "seconds": seconds,
			"images_per_second": float64(len(missing)) / seconds, "out": o.out, "grid": grid,
		})
		return nil
	}
	fmt.Fprintf(out, "%d images in %s: %d made in %.1f s, %d were there\ngrid        %s\n", len(seeds), o.out, len(missing), seconds, len(seeds)-len(missing), grid)
	return nil
}

func (o *sampleOptions) check() ([]int64, error) {
	switch {
	case o.model == "" || o.out == "":
		return nil, usagef("--model and --out are needed")
	case (o.count > 0) == (o.seeds != ""):
		return nil, usagef("give either --count N or --seeds A-B")
	case o.batch < 1 || o.columns < 1 || o.threads < 0:
		return nil, usagef("--batch and --columns want 1 or more")
	case o.weights != "ema" && o.weights != "raw":
		return nil, usagef("--weights %s: want ema or raw", o.weights)
	}
	if err := o.pictureFlags.check(); err != nil {
		return nil, err
	}
	if o.seeds == "" {
		o.seeds = fmt.Sprintf("0-%d", o.count-1)
	}
	return parseSeeds(o.seeds)
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
			return nil, usagef("--seeds %s: %q is no number and no range A-B", text, part)
		}
		if b-a >= maxSeeds || len(list) >= maxSeeds {
			return nil, usagef("--seeds %s: more than %d images", text, maxSeeds)
		}
		for s := a; s <= b; s++ {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// classes returns the class of every image.
func (o *sampleOptions) classes(m *model.Model) (func(seed int64) int, error) {
	total := m.Config.NumClassEmbeds
	if m.Guided {
		total--
	}
	switch {
	case !m.Config.Conditional() && o.classFree():
		return nil, usagef("--guidance %g: the model knows no classes to guide to; want a weaker model to guide away from, --guide MODEL", o.guidance)
	case !m.Config.Conditional():
		if o.class != "all" && o.class != "none" {
			return nil, usagef("--class %s: the model knows no classes", o.class)
		}
		return func(int64) int { return 0 }, nil
	case total < 1:
		return nil, usagef("the model's class_embed_type %q cannot be given on the command line", m.Config.ClassEmbedType)
	case o.classFree() && !m.Guided:
		return nil, usagef("--guidance needs a model that was trained without labels, too (label_drop), or a weaker one, --guide MODEL")
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
		return nil, usagef("--class %s: want one of %d classes, 0 to %d or by name: %s", o.class, total, total-1, abridged(m.Classes, 50))
	}
	return func(int64) int { return class }, nil
}

func (o *sampleOptions) file(seed int64) string {
	return filepath.Join(o.out, fmt.Sprintf("%06d.png", seed))
}

// missing lists the images that are not there yet.
func (o *sampleOptions) missing(seeds []int64) ([]int64, error) {
	var list []int64
	for _, s := range seeds {
		if _, err := os.Stat(o.file(s)); errors.Is(err, fs.ErrNotExist) {
			list = append(list, s)
		} else if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// job is what to sample with.
type job struct {
	model, guide *model.Model // guide is nil without autoguidance
	run          samplingRun
	guidance     generate.Guidance
	classOf      func(seed int64) int
}

// make generates images and writes them while the next batch is computed.
func (o *sampleOptions) make(ctx context.Context, out io.Writer, j job, seeds []int64) (err error) {
	m, run := j.model, j.run
	dev, err := openDevice(o.device, o.threads, o.blockings, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	precision, err := device.Precision(o.precision, dev.Target())
	if err != nil {
		return usagef("--precision: %w", err)
	}
	height, width := side(m.Config.SampleSize)
	if height == 0 {
		return modelError{o.model, errors.New("its config.json has no sample_size")}
	}
	if err := m.Config.CheckImages(); err != nil {
		return modelError{o.model, err}
	}
	channels := m.Config.OutChannels
	picture, err := o.pictureFlags.read(height, width, channels)
	if err != nil {
		return err
	}
	if run.adaptive != nil && o.mask != "" {
		return usagef("--mask: sampler %s has no grid on which parts of a picture could be kept; want another one, such as heun", o.config.Sampler)
	}
	batch := min(o.batch, len(seeds))
	if run.adaptive != nil {
		batch = 1 // steps depend on the image
	}
	options := generate.Options{
		Config: m.Config, Height: height, Width: width, Batch: batch, Guided: o.classFree(), Reduced: j.guidance.Reduces(), Painted: picture != nil, Slots: run.slots, Calls: len(run.table.Rows),
		Target: dev.Target(), Precision: precision, Prepare: true,
	}
	weights := m.Weights
	if j.guide != nil {
		options.Guide = &j.guide.Config
		weights = slices.Concat(weights, j.guide.Weights)
	}
	step, err := generate.NewStep(options)
	if err != nil {
		return err
	}
	if channels != 1 && channels != 3 {
		return modelError{o.model, fmt.Errorf("images of %d channels cannot be written as PNG, want 1 or 3", channels)}
	}
	generator, free, err := load(dev, step, func(m device.Memory) error { return m.Write(plan.Parameters, 0, weights) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, free()) }()
	request := generate.Request{Table: run.table, Adaptive: run.adaptive, Seed: o.seed, Seeds: seeds, Guidance: j.guidance, Clip: o.clips(run.begin()), Picture: picture, NullClass: m.Config.NumClassEmbeds - 1}
	for _, s := range seeds {
		request.Classes = append(request.Classes, j.classOf(s))
	}
	note := ""
	if o.threshold == 0 && o.clip != "true" {
		note = run.note(request.Clip)
	}
	if o.json {
		jsonFace{out}.emit("start", map[string]any{"model": m.Path, "images": len(seeds), "device": dev.Describe(), "precision": precision.String(), "planned_bytes": plan.Bytes(step.Sizes()), "note": note})
	} else if note != "" {
		fmt.Fprintf(out, "note        %s\n", note)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, dev.Threads())) // encoders; the generator waits for them if they fall behind
	progress := newSampleProgress(out, len(seeds), o.json)
	err = generator.Run(ctx, request, func(i int, pixels []byte) error {
		pixels = slices.Clone(pixels)
		text := map[string]string{
			"seed": fmt.Sprint(seeds[i]), "key": fmt.Sprint(o.seed), "sampler": o.config.Sampler, "grid": o.config.Options.Grid, "steps": fmt.Sprint(o.config.Options.Steps), "schedule": run.schedule(),
			"guidance": fmt.Sprint(o.guidance), "clip": fmt.Sprint(request.Clip), "weights": o.weights, "model": filepath.Base(filepath.Clean(o.model)),
		}
		if class := request.Classes[i]; class < len(m.Classes) {
			text["class"] = m.Classes[class]
		}
		group.Go(func() error { return output(data.WritePNG(o.file(seeds[i]), pixels, height, width, channels, text)) })
		progress.show(i + 1)
		return nil
	})
	progress.end()
	if wrote := group.Wait(); wrote != nil {
		return wrote
	}
	return err
}

// load puts a sampling step on a device, with the weights that write writes; free gives all back.
func load(dev device.Device, step *generate.Step, write func(device.Memory) error) (g *generate.Generator, free func() error, err error) {
	memory, err := dev.Alloc(step.Sizes())
	if err != nil {
		return nil, nil, err
	}
	if err = write(memory); err == nil {
		g, err = step.Load(dev, memory)
	}
	if err != nil {
		return nil, nil, errors.Join(err, memory.Free())
	}
	return g, func() error { return errors.Join(g.Free(), memory.Free()) }, nil
}

func side(sampleSize []int) (height, width int) {
	switch len(sampleSize) {
	case 1:
		return sampleSize[0], sampleSize[0]
	case 2:
		return sampleSize[0], sampleSize[1]
	}
	return 0, 0
}

// grid writes the first images as one picture beside the folder.
func (o *sampleOptions) grid(seeds []int64) (string, error) {
	seeds = seeds[:min(len(seeds), maxGrid)]
	var all []byte
	var h, w, c int
	for _, s := range seeds {
		pixels, height, width, channels, err := data.ReadPNG(o.file(s))
		if err != nil {
			return "", err
		}
		if h == 0 {
			h, w, c = height, width, channels
		}
		if height != h || width != w || channels != c {
			return "", &data.Error{Path: o.file(s), Problem: fmt.Sprintf("is %d×%d×%d where other images in the folder are %d×%d×%d; sample into an empty folder", height, width, channels, h, w, c)}
		}
		all = append(all, pixels...)
	}
	path := strings.TrimRight(filepath.Clean(o.out), string(filepath.Separator)) + "-grid.png"
	return path, output(data.WriteGrid(path, all, len(seeds), h, w, c, o.columns))
}
