package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/process"
	"fluxion/engine/record"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

type sampleOptions struct {
	samplingFlags
	schedulerFlags
	guidanceFlags
	pictureFlags
	noiseFlags
	model, out, class, label, weights, device, precision, seeds, blockings string
	count, batch, threads, columns, depth                                  int
	seed                                                                   uint64
	json, overwrite, verifies, latent, uint8                               bool
	size                                                                   data.Size // of the images; zero: the model's own
	shard                                                                  int       // pictures of a shard
	parts                                                                  string    // --part
	part                                                                   part
	swept                                                                  bool // sampler and steps are those of a cell, whoever says them
	disk                                                                   durable.Disk
	ignore                                                                 []string
}

func newSample() *cobra.Command { return newSampleOn(durable.Disk{}) }

// newSampleOn is for tests, whose disks fail.
func newSampleOn(disk durable.Disk) *cobra.Command {
	o := &sampleOptions{disk: disk}
	c := &cobra.Command{
		Use:   "sample [MODEL]",
		Short: "Make images with a trained model",
		Long: `Make images with a run, a checkpoint, or a diffusers folder. Image 17 becomes
OUT/000017.png and depends on its number, --seed and --class alone, whatever the
batch or the number of threads. Pictures that are there already are left as they
are, so the same command again goes on where it was stopped; several at once may
share a folder. A file that is not whole, as a power loss leaves it, is made
again. Every picture holds what it was made with as text. Where one differs from
what is asked for (another model or checkpoint, guidance, seed, …), or is not of
this program, nothing is made, and what differs is named (exit code 4):
--overwrite makes such pictures anew. A grid of the images is written beside the
folder, as OUT-grid.png.

A network samples along the schedule it was trained on or any other (--schedule),
on any grid, by any sampler; fluxion trace --list says what there is. Options of
samplers that the chosen one does not take are refused.

A network of ε says little of the image beside pure noise; where a run begins
there, the predicted image is clipped to the range of pixels in every step, as in
train's own grids, unless --clip=false is given. The step then follows the clipped
image and the noise that agrees with it, as diffusers' DDPM has it, and its DDIM
with use_clipped_model_output=True; without that, diffusers' DDIM keeps the
network's own noise, and its images differ from these; --scheduler makes those.

--scheduler takes grid, sampler and limits of the predicted image from diffusers'
scheduler_config.json: model is the file of the model folder itself. The pictures
are those that diffusers makes of the same noise, but where it departs from theory:
its defects are left out, its conventions kept, and both are named; --compat
diffusers repeats all, --compat none none. What cannot be done on networks is
refused, such as classes that run from data to noise. With --mask they are those of
its inpainting, which makes a grey mask black and white; here grey mixes.

A model of pairs (train --data paired:A,B) makes a picture of each image of --input,
a folder or other data as train takes them: pictures have its names, images are
brought to the model's size, and a number, as in --seeds 0-99, is the place of an
image in the set, all if nothing is said. Other pictures of the same: another --seed.
A model of latents sees pictures of --input and --init as its autoencoder encodes them:
of --input the mean of the posterior, as training has it, of --init a sample, which --seed
draws, as diffusers' image to image does it. A --mask then is
white from a half on, and of each square that a latent stands for its upper left pixel
counts, as in diffusers' inpainting; what is kept is decoded, too. A set may be latents:DIR.
--init with a set begins with each of its images, as far from noise as --strength says.
Of a set that keeps several shapes, as data pack and latents write with --fit buckets, each
sample has the shape of its image, and of pictures with --fit buckets that which is nearest
to its own; --size, or another --fit, brings all images to one.
--from MODEL takes them to noise along the flow of that model, upwards, by the same
sampler and grid, and makes images of this noise (DDIB): the same model gives them
back, as near as steps allow. A model is told the class of an image by its folder,
where it knows it, and else none.

--out FILE.npz writes the images as they are, as float32 that are not clipped to ±1,
into one file: images, labels, seeds, and in fluxion what they were made with. That
is how models of points are sampled; --data takes such a file, too. Samples of a model
that was trained on latents are decoded by its autoencoder; --latent keeps the latents,
which fluxion latents --decode decodes.

--out tar:DIR writes shards of WebDataset, 000000.tar and on, of --shard images each:
000017.png and its class in 000017.cls; FILE.tar is all in one. --uint8 makes of FILE.npz
what evaluators of the field read: pixels, arr_0, and classes, arr_1. Until all images of a
file are there, they lie beside it, in FILE.parts; the file is there when it is whole.
Built with -tags s3, --model, --out and tar: take s3://BUCKET/PREFIX, too.

--part 3/16 makes every sixteenth image, or of tar:DIR every sixteenth shard, so that many machines fill a folder, and
--part auto is the place of this process in a job array or under a launcher. The part
that finds all pictures there makes the grid. --verify makes nothing and says whether
all pictures are there, and whether one in a thousand, made again, is the same.

--noise FILE.npy gives the noise that images begin with, such as another program's, and
--save-noise writes it, for another program to begin with.

Weights or settings that lead to numbers that are not finite make no picture:
what is at fault is named (exit code 5).

A model trained with --self-conditioning is given its last estimate of the clean
image: none at an image's first call, then that of the last call, whatever the
sampler calls the network for; guided and limited, and the same with and without
the class and to --guide; none all along under rk45, whose steps need outputs
that depend on the state alone.`,
		Example: `  fluxion sample --model runs/glyphs-tiny --out out --count 64
  fluxion sample --model runs/glyphs-tiny --out sevens --seeds 0-9,42 --class 7 --guidance 2
  fluxion sample --model runs/glyphs-tiny --out strong --count 64 --guidance 4 --guidance-interval 0.3,5 --guidance-rescale 0.7
  fluxion sample --model runs/glyphs-tiny --out many --count 50000 --part 3/16
  fluxion sample --model runs/glyphs-tiny --out variations --count 16 --init out/000007.png --strength 0.6
  fluxion sample --model runs/edges-to-photos-small --out photos --input edges --steps 20
  fluxion sample --model runs/dogs-small --from runs/cats-small --init cats --out dogs --sampler heun --steps 40
  fluxion sample --model runs/glyphs-tiny --out fast --count 64 --schedule cosine --grid karras --sampler dpm++-2m --steps 12
  fluxion sample --model google/ddpm-cifar10-32 --out theirs --count 64 --scheduler model --steps 50`,
		Args: modelArgument,
		RunE: func(c *cobra.Command, args []string) error {
			console.Optional(c.OutOrStdout())
			if err := o.takeModel(args); err != nil {
				return err
			}
			err := o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json))
			if o.floats() {
				return err // it is written all at once, and nothing was
			}
			return goesOn(err, "the same command")
		},
	}
	c.Flags().SortFlags = false // what matters most comes first
	o.sources = settings.Bind(c, slices.Concat(o.list(), o.noiseFlags.list(), setting.List{o.sizeSetting()}))
	c.Flags().Lookup("clip").NoOptDefVal = "true"
	c.Flags().BoolVar(&o.latent, "latent", false, "of a model of latents: write them as they are, to FILE.npz, and no images")
	c.Flags().BoolVar(&o.uint8, "uint8", false, "to FILE.npz: pixels as arr_0 and labels as arr_1, as the evaluator of guided-diffusion reads them, in place of float32")
	c.Flags().IntVar(&o.shard, "shard", shardImages, "images of a shard of tar:DIR")
	c.Flags().BoolVar(&o.overwrite, "overwrite", false, "make anew what is there but was made with other settings, or by another program")
	c.Flags().StringVar(&o.parts, "part", "", "make part I of N of the images, as in 3/16, beside others that make the rest in the same folder; auto takes it from a job array of SLURM or AWS, or from mpirun or srun; auto/N from those and from indexed jobs of Kubernetes")
	c.Flags().BoolVar(&o.verifies, "verify", false, "make nothing; see whether all pictures are there, of these settings, and whole, and whether one in a thousand, made again, has the same bytes")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
	return c
}

// modelArgument takes one model at most in the place of --model.
func modelArgument(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fault.Usagef("unexpected argument %q: want one model; what is made of it goes to --out %s", args[1], args[1])
	}
	return nil
}

// takeModel has the model from its place, as eval and sweep do.
func (o *sampleOptions) takeModel(args []string) error {
	if len(args) == 0 {
		return nil
	}
	if o.model != "" && o.model != args[0] {
		return fault.Usagef("--model %s and %s: want one model", o.model, args[0])
	}
	o.model = args[0]
	return nil
}

// folder is where pictures go.
func (o *sampleOptions) folder(j job) samples.Folder {
	f := samples.Folder{Path: o.out, Disk: o.disk, Overwrite: o.overwrite}
	if j.images != nil {
		f.Name = j.images.name
	}
	return f
}

// ownFolder refuses a folder that holds other things and no picture by a name of sample's.
func (o *sampleOptions) ownFolder(j job, seeds []int64) error {
	if o.floats() || o.packed() || o.verifies || o.overwrite {
		return nil
	}
	folder, names := o.folder(j), map[string]bool{}
	if j.images != nil { // other parts may have made those of others
		seeds = nil
		for i := range j.images.names {
			seeds = append(seeds, int64(i))
		}
	}
	for _, seed := range seeds {
		if path, err := filepath.Rel(o.out, folder.File(seed)); err == nil {
			first, _, _ := strings.Cut(filepath.ToSlash(path), "/")
			names[first] = true
		}
	}
	return outdir.Begun(o.out, func(name string) bool { return names[name] || numbered.MatchString(name) })
}

// numbered are names of pictures by their number.
var numbered = regexp.MustCompile(`^\d{6,}\.png$`)

func (o *sampleOptions) run(ctx context.Context, face console.Face) (err error) {
	seeds, err := o.check()
	if err != nil {
		return err
	}
	j, err := o.plan()
	if err != nil {
		return err
	}
	defer o.closeImages()
	if seeds, err = j.numbers(seeds); err != nil {
		return err
	}
	if seeds, err = j.labels.numbers(seeds); err != nil {
		return err
	}
	whole := seeds
	seeds = o.part.seeds(whole)
	if err := o.ownFolder(j, seeds); err != nil {
		return err
	}
	if err := cmp.Or(o.noiseFlags.checkJob(j), o.checkShapes(j)); err != nil {
		return err
	}
	if j.noise, err = o.noiseFlags.read(whole, j.size, o.seed); err != nil {
		return err
	}
	if err := j.noise.save(o.disk, o.saveNoise, j.size); err != nil {
		return err
	}
	to, _, _ := samples.IsTar(o.out)
	if err := samples.Reach(ctx, to); err != nil {
		return fault.Output(err)
	}
	dev, err := machine.Open(o.device, o.threads, o.blockings, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	if j.precision, err = device.Precision(o.precision, dev.Target()); err != nil {
		return fault.Usagef("--precision: %w", err)
	}
	j.text = o.text(j, j.precision.String())
	switch {
	case o.floats():
		return o.runArray(ctx, face, dev, j, whole)
	case o.packed():
		return o.runPacks(ctx, face, dev, j, whole)
	}
	begin := time.Now()
	folder := o.folder(j)
	want := samples.Wanted{Seeds: seeds, Size: j.made, SizeOf: j.madeOf, Deciding: decidingTexts, Text: func(seed int64) map[string]string {
		return j.textOf(seed, j.classOf(seed))
	}}
	if j.images != nil {
		if !j.images.latents {
			want.Beside = j.images.strip
		}
	}
	found, err := folder.Look(ctx, want)
	if err != nil {
		return err
	}
	if o.verifies {
		return o.verify(ctx, face, dev, j, folder, found, seeds)
	}
	if len(seeds) < len(whole) && len(found.Missing) > 0 { // what other parts have made
		all := want
		all.Seeds = whole
		if err := folder.Glance(ctx, all); err != nil {
			return err
		}
	}
	leave, err := folder.Enter()
	if err != nil {
		return fault.Output(err)
	}
	defer func() { err = errors.Join(err, leave(err)) }()
	if len(found.Missing) > 0 {
		err := o.make(ctx, face, dev, j, found.Missing, func(i, class int, s generate.Sample) func() error {
			seed := found.Missing[i]
			encode := o.encoder(s, j.madeOf(seed), j.textOf(seed, class))
			return func() error {
				file, err := encode()
				if err == nil {
					err = folder.Put(ctx, seed, file)
				}
				return fault.Output(err)
			}
		})
		if err != nil {
			return err
		}
	}
	if err := folder.Settle(seeds); err != nil { // of pictures that were there, too: who made them may have been killed
		return fault.Output(err)
	}
	want.Seeds = whole
	grid, left, err := o.grid(ctx, folder, want)
	if err != nil {
		return err
	}
	o.done(face, found, len(seeds), left, time.Since(begin).Seconds(), grid)
	return nil
}

// encoder makes the file of a sample, which is valid until it returns.
func (o *sampleOptions) encoder(s generate.Sample, size [3]int, text map[string]string) func() ([]byte, error) {
	if o.depth == 16 {
		values := slices.Clone(s.Values)
		return func() ([]byte, error) { return data.EncodePNG16(values, size[0], size[1], size[2], text) }
	}
	pixels := slices.Clone(s.Pixels)
	return func() ([]byte, error) { return data.EncodePNG(pixels, size[0], size[1], size[2], text) }
}

// done tells what was made of so many images, and how many of other parts are left.
func (o *sampleOptions) done(face console.Face, f samples.Found, images, left int, seconds float64, grid string) {
	made := len(f.Missing)
	lines := []string{fmt.Sprintf("%d images in %s: %d made in %.1f s, %d were there", images, o.out, made, seconds, images-made)}
	if o.part.of > 1 {
		lines[0] = fmt.Sprintf("part %v, %s", o.part, lines[0])
		if left > 0 {
			lines[0] += fmt.Sprintf("; %d of other parts are still to come", left)
		}
	}
	if f.Broken > 0 {
		lines = append(lines, noteLine(fmt.Sprintf("%d of these files were there but not whole, and were made again", f.Broken)))
	}
	if f.Replaced > 0 {
		lines = append(lines, noteLine(fmt.Sprintf("%d of these files were overwritten", f.Replaced)))
	}
	if grid != "" {
		lines = append(lines, "grid        "+grid)
	}
	event := map[string]any{
		"images": images, "written": made, "skipped": images - made, "broken": f.Broken, "overwritten": f.Replaced, "seconds": seconds,
		"images_per_second": record.PerSecond(float64(made), time.Duration(seconds*float64(time.Second))), "out": o.out, "grid": grid,
	}
	if o.part.of > 1 {
		event["part"], event["left"] = o.part.String(), left
	}
	face.Event("done", event, lines...)
}

// make generates images, those of a shape together. What keep returns for one, if anything, is done while the next
// batch is computed; the sample itself is valid until keep returns.
func (o *sampleOptions) make(ctx context.Context, face console.Face, dev device.Device, j job, seeds []int64, keep func(i, class int, s generate.Sample) func() error) error {
	shown := &making{face: face, images: len(seeds)}
	defer shown.end()
	for _, of := range j.shapes(seeds) {
		own := make([]int64, len(of.places))
		for k, i := range of.places {
			own[k] = seeds[i]
		}
		err := o.makeShape(ctx, shown, dev, of.job, own, func(i, class int, s generate.Sample) func() error { return keep(of.places[i], class, s) })
		if err != nil {
			return err
		}
	}
	return nil
}

// making is what is shown of images that are made.
type making struct {
	face         console.Face
	images, done int
	progress     *imageProgress // nil before the first
}

// start tells once how images are made.
func (m *making) start(event map[string]any, lines []string) {
	if m.progress == nil {
		m.face.Event("start", event, lines...)
		m.progress = newImageProgress(m.face, "", m.images)
	}
}

// image shows that one more is there.
func (m *making) image() {
	m.done++
	m.progress.show(m.done)
}

func (m *making) end() {
	if m.progress != nil {
		m.progress.End()
	}
}

// makeShape is make of images of one shape.
func (o *sampleOptions) makeShape(ctx context.Context, shown *making, dev device.Device, j job, seeds []int64, keep func(i, class int, s generate.Sample) func() error) (failed error) {
	m, run := j.model, j.run
	batch := min(o.batch, len(seeds))
	if run.adaptive != nil {
		batch = 1 // steps depend on the image
	}
	options := generate.Options{
		Network: m.Network, Source: m.Process.Source, Height: j.size[0], Width: j.size[1], Batch: batch, Guided: o.classFree(), Reduced: j.guidance.Reduces(), Inpaint: j.picture != nil, Slots: run.slots, Calls: len(run.table.Rows),
		Unlimited: run.by != nil && run.by.excess != nil, Spread: run.table.Spreads(),
		Target: dev.Target(), Precision: j.precision, Prepare: true,
	}
	if j.guide != nil {
		options.Guide = j.guide.Network
	}
	step, err := generate.NewStep(options)
	if err != nil {
		return err
	}
	generator, free, err := machine.Load(dev, step, func(memory device.Memory) error {
		err := memory.Write(step.Weights, 0, m.Weights)
		if j.guide != nil {
			err = errors.Join(err, memory.Write(step.GuideWeights, 0, j.guide.Weights))
		}
		return err
	})
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, free()) }()
	encoder, err := o.pictureEncoder(dev, j)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, encoder.close()) }()
	picture, err := encoder.picture(j)
	if err != nil {
		return err
	}
	if j.images != nil && !j.images.latents {
		j.images.encoder = encoder
	}
	request := generate.Request{Table: run.table, Adaptive: run.adaptive, Seed: o.seed, Seeds: seeds, Guidance: j.guidance, Clip: j.clip, Picture: picture, NullClass: m.Network.Spec().Classes - 1}
	if j.images != nil && j.given {
		request.Input = func(i int, to []float32) error { return j.images.values(seeds[i], to) }
	}
	if j.images != nil && m.Process.Source.Kind() == process.Images {
		request.Begin = func(i int, _, sigma float64, z []float32) error {
			err := j.images.values(seeds[i], z)
			for k := range z {
				z[k] *= float32(sigma)
			}
			return err
		}
	} else if j.images != nil && !j.given {
		begin, free, err := o.begins(ctx, dev, j, seeds, batch)
		if err != nil {
			return err
		}
		defer func() { failed = errors.Join(failed, free()) }()
		request.Begin = begin
	}
	if j.noise != nil && j.noise.given {
		request.Begin = func(i int, _, sigma float64, z []float32) error { return j.noise.begin(seeds[i], sigma, z) }
	}
	if run.by != nil {
		request.Range, request.Excess = run.by.clip, run.by.excess
	}
	for _, s := range seeds {
		request.Classes = append(request.Classes, j.classOf(s))
	}
	j.labels.tell(&request, m)
	decoder, err := j.decoder(dev)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, decoder.close()) }()
	note, notes := "", slices.Clone(m.Notes)
	if j.labels != nil && j.labels.note != "" {
		notes = append(notes, j.labels.note)
	}
	if text := o.shapesNote(j); text != "" {
		notes = append(notes, text)
	}
	if m.Floats && j.autoencoder == nil && !o.floats() {
		notes = append(notes, "the model was trained on float32, not on pictures: these are clipped to ±1; --out FILE.npz writes them as they are")
	}
	if m.Baked != 0 && o.guidance != 1 {
		notes = append(notes, fmt.Sprintf("the model took over a guidance of %g from its teacher: --guidance %g comes on top of it", m.Baked, o.guidance))
	}
	switch {
	case run.by != nil:
		notes = slices.Concat(notes, run.by.notes(run.begin()))
	case o.threshold == 0 && o.clip != "true":
		note = run.note(request.Clip)
	}
	how := o.how(j)
	start := map[string]any{
		"model": m.Path, "sampling": how, "images": shown.images, "device": dev.Describe(), "precision": j.precision.String(), "planned_bytes": step.Sizes().Bytes(),
		"note": note, "notes": orEmpty(notes),
	}
	if run.by != nil {
		start["scheduler"] = shownOf(run.by.plan)
	}
	if note != "" {
		notes = append(notes, note)
	}
	lines := []string{"sampling    " + how}
	for _, n := range notes {
		lines = append(lines, noteLine(n))
	}
	shown.start(start, lines)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(writers, dev.Threads())) // the generator waits for them if they fall behind
	err = generator.Run(ctx, request, func(i int, s generate.Sample) error {
		s, err := decoder.image(s)
		if err != nil {
			return err
		}
		if write := keep(i, request.Classes[i], s); write != nil {
			group.Go(write)
		}
		shown.image()
		return nil
	})
	if wrote := group.Wait(); wrote != nil {
		return wrote
	}
	if bad := (*generate.NotFiniteError)(nil); errors.As(err, &bad) {
		err = o.blame(bad, j.precision.String())
	}
	return err
}

// writers encode pictures and wait for the disk, which takes several as fast as one.
const writers = 8
