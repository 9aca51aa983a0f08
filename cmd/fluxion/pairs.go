package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/nets/autoencoder"

	"github.com/spf13/cobra"
)

type pairsOptions struct {
	sampleOptions        // how the model is sampled
	dir           string // for the pairs
	part          string // I/N
	shard         int    // pairs of a file
}

func newPairs() *cobra.Command {
	o := &pairsOptions{}
	c := &cobra.Command{
		Use:   "pairs [MODEL]",
		Short: "Make pairs of noise and image with a model, for reflow and distillation",
		Long: `Make pairs of noise and the image that a model makes of it, for train --data
pairs:OUT: with --objective reflow, which straightens the paths from one to the
other, or kd, which teaches a student to go there in one step or a few. Images are
kept as float32, as the model makes them, and noise by its address. The model is
sampled as sample does it, with guidance if that is given, by any sampler that
draws no noise on its way.

OUT/pairs.json says how pairs were made; files of --shard pairs lie beside it, and in
OUT/vae the autoencoder of a model of latents, so that a student's samples are decoded. The
same command again makes what is missing. --part 2/3 makes the second third of the
files, so that several processes or machines make one folder.`,
		Example: `  fluxion pairs --model runs/glyphs-tiny --out pairs --count 10000 --sampler heun --steps 20
  fluxion train --data pairs:pairs --init runs/glyphs-tiny --objective reflow --out runs/straight
  fluxion train --data pairs:pairs --init runs/glyphs-tiny --objective kd --out runs/one-step`,
		Args: modelArgument,
		RunE: func(c *cobra.Command, args []string) error {
			console.Optional(c.OutOrStdout())
			if err := o.takeModel(args); err != nil {
				return err
			}
			return goesOn(o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json)), "the same command")
		},
	}
	c.Flags().SortFlags = false
	o.sources = settings.Bind(c, o.list())
	c.Flags().Lookup("clip").NoOptDefVal = "true"
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
	return c
}

// list declares the settings: those of sample, but for pictures that it begins with and
// for grids.
func (o *pairsOptions) list() setting.List {
	o.count, o.shard = 10_000, 4096
	o.without = "pairs are of noise alone"
	o.latent = true // as noise is
	left := []string{"seeds", "columns", "depth"}
	for _, s := range o.pictureFlags.list() {
		left = append(left, s.Key)
	}
	var list setting.List
	for _, s := range o.sampleOptions.list() {
		switch {
		case s.Key == "batch": // behind what says which
			list = append(list, o.sizeSetting().Helps("side of the images, or HEIGHTxWIDTH, as in 48x32, if not what the model was trained on; of a model of latents, that of latents"))
		case slices.Contains(left, s.Key):
			continue
		case s.Key == "out":
			s.Value, s.Help = setting.Of(&o.dir), "folder for the pairs, made if need be"
		case s.Key == "count":
			s.Help = "pairs to make"
		}
		list = append(list, s)
		if s.Key == "count" {
			list = append(list,
				setting.Setting{Key: "part", Value: setting.Of(&o.part), Own: true, Offers: someParts, Help: "I/N: make the files of part I of N alone"},
				setting.Setting{Key: "shard", Value: setting.Of(&o.shard), Own: true, Help: "pairs of a file", Range: setting.Within(1, 1<<20, "")},
			)
		}
	}
	return list
}

func (o *pairsOptions) run(ctx context.Context, face console.Face) (err error) {
	o.out = noFile // of which nothing is written: images are floats
	if o.dir == "" {
		return fault.Usagef("--model and --out are needed")
	}
	if _, err := o.check(); err != nil {
		return err
	}
	if n := (o.count + o.shard - 1) / o.shard; n > data.MostShards {
		return fault.Usagef("--shard %d makes %d files of %d pairs; want at most %d, so a shard of %d or more", o.shard, n, o.count, data.MostShards, (o.count+data.MostShards-1)/data.MostShards)
	}
	part, of, err := parsePart(o.part)
	if err != nil {
		return err
	}
	if err := outdir.Check("--out", o.dir); err != nil {
		return err
	}
	j, err := o.plan()
	if err != nil {
		return err
	}
	if _, err := j.labels.numbers([]int64{int64(o.count) - 1}); err != nil {
		return err
	}
	if name := o.config.Sampler; draws(j.run.table) {
		return fault.Usagef("--sampler %s draws noise on its way, so that the image is not that of the first noise alone; want another, such as heun", name)
	}
	dev, err := machine.Open(o.device, o.threads, o.blockings, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	if j.precision, err = device.Precision(o.precision, dev.Target()); err != nil {
		return fault.Usagef("--precision: %w", err)
	}
	p, vae, err := o.describe(j)
	if err != nil {
		return err
	}
	if err := o.enter(p, vae); err != nil {
		return err
	}
	var missing []int
	there := 0
	for i := part - 1; i < p.Shards(); i += of {
		has, err := p.HasShard(o.dir, i)
		if err != nil {
			return fmt.Errorf("%w; without that file, the same command makes it anew", err)
		}
		if from, to := p.Range(i); has {
			there += to - from
		} else {
			missing = append(missing, i)
		}
	}
	return o.fill(ctx, face, dev, j, p, missing, there)
}

// describe is what the folder is to hold, and the autoencoder that goes with it; nil: none, for
// the model makes images.
func (o *pairsOptions) describe(j job) (p data.Pairs, vae *autoencoder.Model, err error) {
	p = data.Pairs{
		Count: o.count, Shard: o.shard, Height: j.size[0], Width: j.size[1], Channels: j.size[2], Key: o.seed,
		Made: o.text(j, j.precision.String()),
	}
	p.Made["class"] = o.class
	if j.labels != nil {
		p.Numbers, p.Made["label"] = j.model.Labels.Names, j.labels.text
	}
	if s := j.model.Process.Source; !s.White() {
		p.Made[data.SourceText] = s.String()
	}
	if j.model.Floats {
		p.Values = data.Floats.String()
	}
	spec := j.model.Network.Spec()
	if p.Classes = j.model.Classes; len(p.Classes) == 0 && spec.Classes > 0 {
		for i := range spec.Classes {
			p.Classes = append(p.Classes, strconv.Itoa(i))
		}
	}
	if j.model.Autoencoder != "" {
		if vae, err = j.model.ReadAutoencoder(o.ignore...); err != nil {
			return p, nil, err
		}
		p.Autoencoder, p.Tile = vae.Digest(), j.model.Tile
	}
	return p, vae, nil
}

// enter makes the folder, or says that it holds pairs made otherwise. To one of latents that an
// earlier version made without their autoencoder, it is added.
func (o *pairsOptions) enter(p data.Pairs, vae *autoencoder.Model) error {
	old, err := data.ReadPairs(o.dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return err
	}
	if !fresh {
		if err := o.changed(old, p); err != nil {
			return err
		}
	}
	if !fresh && old.Autoencoder == p.Autoencoder {
		return nil
	}
	if fresh {
		if err := outdir.Own(o.dir, func(name string) bool { return name == data.AutoencoderDir || strings.HasPrefix(name, "pairs") }); err != nil { // of another part, too
			return err
		}
	}
	if err := o.disk.MkdirAll(o.dir); err != nil {
		return fault.Output(err)
	}
	if vae != nil {
		if err := keepAutoencoder(o.disk, filepath.Join(o.dir, data.AutoencoderDir), vae, p.Autoencoder, o.model); err != nil {
			return err
		}
	}
	return fault.Output(p.Write(o.disk, o.dir))
}

// changed says in what a folder of pairs differs from what it is to hold.
func (o *pairsOptions) changed(old, p data.Pairs) error {
	var changes samples.Changes
	changes.Add("count", old.Count, p.Count)
	changes.Add("shard", old.Shard, p.Shard)
	changes.Add("size", []int{old.Height, old.Width, old.Channels}, []int{p.Height, p.Width, p.Channels})
	if old.Autoencoder != "" {
		changes.Add("autoencoder", old.Autoencoder, p.Autoencoder)
	}
	keys := slices.Sorted(maps.Keys(old.Made))
	for k := range maps.Keys(p.Made) {
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	for _, k := range keys {
		if slices.Contains(decidingTexts, k) {
			changes.Add(k, old.Made[k], p.Made[k])
		}
	}
	if changes == nil {
		return nil
	}
	return &samples.MadeError{Dir: o.dir, What: "pairs", Changes: changes}
}

// fill makes the files that are missing.
func (o *pairsOptions) fill(ctx context.Context, face console.Face, dev device.Device, j job, p data.Pairs, missing []int, there int) error {
	begin, size := time.Now(), j.size[0]*j.size[1]*j.size[2]
	if err := device.CheckMemory(device.Need{What: "the images of a file", Bytes: plan.Product(4, min(o.shard, o.count), size)}); err != nil {
		return err
	}
	total := 0
	for _, i := range missing {
		from, to := p.Range(i)
		total += to - from
	}
	if notes := o.notes(j); total > 0 {
		how := o.how(j)
		lines := []string{"sampling    " + how}
		for _, n := range notes {
			lines = append(lines, noteLine(n))
		}
		face.Event("start", map[string]any{"model": j.model.Path, "sampling": how, "pairs": total, "device": dev.Describe(), "precision": j.precision.String(), "notes": orEmpty(notes)}, lines...)
	}
	progress := newImageProgress(face, "", total)
	made := 0
	quiet := console.NewFace(io.Discard, false)
	for _, i := range missing {
		from, to := p.Range(i)
		seeds := make([]int64, to-from)
		for k := range seeds {
			seeds[k] = int64(from + k)
		}
		values, classes, numbers := make([]float32, len(seeds)*size), []int64(nil), []float32(nil)
		if j.labels != nil {
			numbers = j.labels.all(seeds, len(p.Numbers))
		}
		err := o.make(ctx, quiet, dev, j, seeds, func(i, class int, s generate.Sample) func() error {
			copy(values[i*size:], s.Values)
			if len(p.Classes) > 0 {
				if class == len(j.model.Classes) && j.model.Guided {
					class = -1
				}
				classes = append(classes, int64(class))
			}
			made++
			progress.show(made)
			return nil
		})
		if err == nil {
			err = fault.Output(p.WriteShard(o.disk, o.dir, i, values, classes, numbers))
		}
		if err != nil {
			progress.End()
			return err
		}
	}
	progress.End()
	seconds := time.Since(begin).Seconds()
	lacking := 0
	for i := range p.Shards() {
		if has, err := p.HasShard(o.dir, i); err != nil {
			return err
		} else if !has {
			lacking++
		}
	}
	words := []string{console.ProgramName(), "train", "--data", "pairs:" + o.dir, "--init", o.model, "--objective", "kd", "--out", filepath.Clean(o.model) + "-kd"}
	if s := j.model.Process.Source; s.String() != process.Gaussian {
		words = append(words, "--source", s.String())
	}
	next := "next        " + console.ShellWords(words...) + " (one step; --objective reflow: straighter paths)"
	if lacking > 0 {
		next = noteLine(fmt.Sprintf("other parts are to make %d more of the %d files", lacking, p.Shards()))
	}
	face.Event("done", map[string]any{"pairs": there + total, "written": total, "skipped": there, "seconds": seconds, "out": o.dir, "files_lacking": lacking},
		fmt.Sprintf("%d pairs in %s: %d made in %.1f s, %d were there", there+total, o.dir, total, seconds, there), next)
	return nil
}

// notes are what a user should know before pairs are made.
func (o *pairsOptions) notes(j job) []string {
	notes := slices.Clone(j.model.Notes)
	if text := o.shapesNote(j); text != "" {
		notes = append(notes, text)
	}
	return notes
}

// draws says whether a table draws noise behind the first.
func draws(t sampler.Table) bool {
	return slices.ContainsFunc(t.Rows, func(r sampler.Row) bool { return r.C != 0 || r.Recall != 0 || r.Before.C != 0 })
}

// parsePart reads I/N; empty is all.
func parsePart(text string) (part, of int, err error) {
	if text == "" {
		return 1, 1, nil
	}
	i, n, _ := strings.Cut(text, "/")
	part, err1 := strconv.Atoi(i)
	of, err2 := strconv.Atoi(n)
	if err := errors.Join(err1, err2); err != nil || part < 1 || part > of || of > 1<<20 {
		return 0, 0, fault.Usagef("--part %s: want I/N, such as 1/4 to 4/4", text)
	}
	return part, of, nil
}
