package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/fetch"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/device/tuning"
	"fluxion/engine/latent"
	"fluxion/engine/model"
	"fluxion/nets/autoencoder"
	"fluxion/nets/safetensors"

	"github.com/spf13/cobra"
)

type latentsOptions struct {
	setOptions
	vae                                  string // folder
	scaling                              string // of latents, in the place of the autoencoder's own; empty: that
	part, number                         string
	shard, batch, tile, threads, columns int
	flip, decode, skipBroken             bool
	device, precision, blockings         string
	ignore                               []string
	disk                                 durable.Disk
}

func newLatents() *cobra.Command {
	o := &latentsOptions{}
	c := &cobra.Command{
		Use:   "latents DATA OUT",
		Short: "Encode images once by an autoencoder, for training on their latents",
		Long: `Encode the images of a set once by an autoencoder, an AutoencoderKL in the folder of
diffusers (the vae of a pipeline), for train --data latents:OUT. Of each image OUT holds
the mean and the deviation of its latents, in the order of the set, with names and
classes; training draws a latent of them each time. OUT/latents.json says how they were
made, OUT/vae is the autoencoder, by which grids and samples of a model are decoded.

A mirrored latent is not the latent of the mirrored image: --flip keeps that, too, for
train --flip. --scaling edm2 brings each channel of the latents of Stable Diffusion's
autoencoder to a mean of 0 and half the deviation of data, as EDM2 has them, and OUT/vae
says so in the keys of diffusers (latents_mean, latents_std). --type fp16 or bf16 takes half the room. The same command again makes
what is missing; --part 2/3 makes the second third of the files, so that several
processes or machines make one folder. --skip-broken reads all images once before, so
that every part leaves out the same.

Of pairs, paired:A,B or unpaired:A,B, OUT/inputs and OUT/images are such folders, and
train --data paired:latents:OUT/inputs,latents:OUT/images trains on them.

--fit buckets, or buckets:STEP, encodes pictures of many shapes in shapes of about the area
of the square --size; train takes them in buckets by itself.

--decode goes back: DATA is latents:DIR, of which means are decoded, or a file of latents
that sample --latent wrote; OUT is a folder for pictures, or FILE.npz.`,
		Example: "  fluxion latents ~/pictures latents --vae sd-vae-ft-mse --size 256 --flip --type fp16\n  fluxion train --data latents:latents --preset small --flip\n  fluxion latents paired:edges,photos pairs --vae sd-vae-ft-mse --size 256\n  fluxion latents latents:latents decoded --decode",
		Args: func(_ *cobra.Command, args []string) error {
			if n := len(args); n != 2 {
				return fault.Usagef("latents takes DATA and OUT, and there are %d arguments; DATA is a folder or archive of images, or any other set that train --data takes", n)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			console.Optional(c.OutOrStdout())
			return goesOn(o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), args[0], args[1]), "the same command")
		},
	}
	c.Flags().SortFlags = false
	o.sources = settings.Bind(c, o.list())
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
	return c
}

func (o *latentsOptions) list() setting.List {
	o.number, o.shard, o.batch, o.columns, o.device, o.precision, o.blockings = "fp32", 4096, 8, 10, "auto", "fp32", "auto"
	list := slices.DeleteFunc(o.setOptions.list(), func(s setting.Setting) bool { return s.Key == "channels" }) // those of the autoencoder
	precision := device.PrecisionSetting(&o.precision)
	precision.Own = true
	return slices.Concat(
		setting.List{
			{Key: "vae", Value: setting.Of(&o.vae), Own: true, Help: "folder of the autoencoder, or of a pipeline with one"},
		}, list,
		setting.List{
			skipBrokenSetting(&o.skipBroken),
			{Key: "scaling", Value: setting.Of(&o.scaling), Own: true, Help: "of latents for the network, in the place of the autoencoder's own", Range: setting.Range{Text: autoencoder.ScalingText, Holds: func(x any) bool {
				_, err := autoencoder.ParseScaling(x.(string))
				return x == "" || err == nil
			}}},
			{Key: "flip", Value: setting.Of(&o.flip), Own: true, Help: "keep latents of the mirrored images, too"},
			{Key: "type", Value: setting.Of(&o.number), Own: true, Help: "of numbers that are kept", Range: setting.OneOf("type", data.LatentTypes)},
			{Key: "part", Value: setting.Of(&o.part), Own: true, Offers: someParts, Help: "I/N: make the files of part I of N alone"},
			{Key: "shard", Value: setting.Of(&o.shard), Own: true, Help: "images of a file", Range: setting.Within(1, 1<<20, "")},
			{Key: "batch", Value: setting.Of(&o.batch), Own: true, Help: "images encoded together; no effect on them", Range: setting.Within(1, 1<<16, "")},
			{Key: "tile", Value: setting.Of(&o.tile), Own: true, Help: "side of overlapping tiles that larger images are cut into, as diffusers does it, so that memory is that of a tile", Unit: "pixels", Range: setting.Within(0, data.MaxSide, "0 (none) or a side in")},
			{Key: "decode", Value: setting.Of(&o.decode), Own: true, Help: "make images of latents"},
			{Key: "columns", Value: setting.Of(&o.columns), Own: true, Help: "of --decode: images in a row of the grid", Range: setting.AtLeast(1, "")},
			device.NameSetting(&o.device), precision, device.ThreadsSetting(&o.threads), tuning.BlockingsSetting(&o.blockings), model.IgnoreSetting(&o.ignore),
		},
	)
}

func (o *latentsOptions) run(ctx context.Context, face console.Face, spec, out string) (err error) {
	if o.decode {
		return o.runDecode(ctx, face, spec, out)
	}
	part, of, err := parsePart(o.part)
	if err != nil {
		return err
	}
	if err := o.Fit.Check(spec, o.Size); err != nil {
		return fault.Usagef("--fit %w", err)
	}
	if o.Fit.Varies() {
		return fault.Usagef("--fit %s: latents are of images that are one for all time; want crop", o.Fit)
	}
	if o.vae == "" {
		return fault.Usagef("--vae is needed: the folder of an AutoencoderKL, or of a pipeline of diffusers with one")
	}
	if err := cmp.Or(fetch.Here("--vae", o.vae), outdir.Check("OUT", out)); err != nil {
		return err
	}
	m, err := o.autoencoder()
	if err != nil {
		return err
	}
	if step, buckets := o.Fit.Buckets(); buckets && step == 0 {
		o.Fit = data.Fit(fmt.Sprintf("%s:%d", data.AspectBuckets, data.BucketStep(o.Size.Height, m.Factor())))
	}
	set, err := o.open(spec, m)
	if err != nil {
		return err
	}
	defer set.Close()
	sets, err := o.halves(ctx, face, spec, out, set)
	if err != nil {
		return err
	}
	dev, err := machine.Open(o.device, o.threads, o.blockings, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	var jobs []latentsJob
	for _, h := range sets {
		e, others, err := o.encoders(dev, m, h.set)
		if err != nil {
			return err
		}
		l := o.describe(h.spec, h.set, m, e)
		if n := l.Shards(); n > data.MostShards {
			return fault.Usagef("--shard %d makes %d files; want at most %d, so a shard of %d or more", o.shard, n, data.MostShards, (l.Count+data.MostShards-1)/data.MostShards)
		}
		if jobs == nil {
			h.notes = slices.Concat(m.Notes(), h.notes)
		}
		jobs = append(jobs, latentsJob{l, h.set, e, others, h.out, h.notes, h.event, h.next})
	}
	for _, j := range jobs {
		if err := o.enter(j.out, j.Latents, j.set, m); err != nil {
			return err
		}
	}
	for _, j := range jobs {
		var missing []int
		there := 0
		for i := part - 1; i < j.Shards(); i += of {
			has, err := j.HasShard(j.out, i)
			if err != nil {
				return fmt.Errorf("%w; without that file, the same command makes it anew", err)
			}
			if from, to := j.Range(i); has {
				there += to - from
			} else {
				missing = append(missing, i)
			}
		}
		if err := o.fill(ctx, face, j, missing, there); err != nil {
			return err
		}
	}
	return nil
}

// half is a set whose latents fill a folder.
type half struct {
	set         data.Dataset
	spec, out   string
	notes       []string
	event, next string // when it is done, and what to train on then; "": another set is to come
}

// Folders of the latents of pairs, in OUT.
const (
	inputsDir = "inputs"
	imagesDir = "images"
)

// halves are the set itself, or of pairs its inputs and its images, each of which has a folder.
func (o *latentsOptions) halves(ctx context.Context, face console.Face, spec, out string, set data.Dataset) ([]half, error) {
	inputs := data.Inputs(set)
	if inputs == nil {
		notes := data.Notes(set)
		whole, left, err := o.whole(ctx, face, spec, set)
		return []half{{whole[0], spec, out, append(notes, left...), "done", "latents:" + out}}, err
	}
	if err := outdir.Own(out, func(name string) bool { return name == inputsDir || name == imagesDir }); err != nil {
		return nil, err
	}
	parts, kind := data.Parts(spec), "paired:"
	all := []half{
		{spec: parts[0], out: filepath.Join(out, inputsDir), notes: data.Notes(inputs), event: "inputs"},
		{spec: parts[1], out: filepath.Join(out, imagesDir), notes: data.Notes(set), event: "done"},
	}
	var left []string
	var err error
	if data.Unpaired(set) { // each leaves out its own
		kind = "unpaired:"
		for i, d := range []data.Dataset{inputs, set} {
			whole, broken, err := o.whole(ctx, face, parts[i], d)
			if err != nil {
				return nil, err
			}
			all[i].set, left = whole[0], append(left, broken...)
		}
	} else {
		var whole []data.Dataset
		if whole, left, err = o.whole(ctx, face, spec, inputs, set); err != nil {
			return nil, err
		}
		all[0].set, all[1].set = whole[0], whole[1]
	}
	all[1].notes = append(all[1].notes, left...)
	all[1].next = kind + "latents:" + all[0].out + ",latents:" + all[1].out
	return all, nil
}

// autoencoder reads it, with the scaling that is asked for.
func (o *latentsOptions) autoencoder() (*autoencoder.Model, error) {
	m, err := autoencoder.Read(o.vae, o.ignore...)
	if err != nil || o.scaling == "" {
		return m, err
	}
	s, err := autoencoder.ParseScaling(o.scaling)
	if err == nil {
		m, err = m.Scaled(s)
	}
	if err != nil {
		return nil, fault.Usagef("--scaling %s of %s: %w", o.scaling, o.vae, err)
	}
	return m, nil
}

// open opens the images as the autoencoder takes them.
func (o *latentsOptions) open(spec string, m *autoencoder.Model) (data.Dataset, error) {
	options := o.Options
	options.FitSaid = fitSaid(o.sources)
	if c := m.InChannels; c == 1 || c == 3 {
		options.Channels = c
	}
	set, err := data.Open(spec, options)
	if err != nil { // perhaps since its floats cannot be brought to these channels
		stored, as := data.Open(spec, data.Options{CacheBytes: 1, Range: o.Range})
		if as != nil {
			return nil, err
		}
		if data.Pictures(stored) {
			return nil, errors.Join(err, stored.Close())
		}
		set = stored
	}
	height, width, channels := set.Shape()
	switch {
	case !data.Pictures(set):
		err = &data.Error{Path: spec, Problem: fmt.Sprintf("holds float32 of %d×%d×%d, not pictures; want pictures, or --range LOW,HIGH for what their values are from and to", height, width, channels)}
	case data.NumbersOf(set) != nil:
		err = fault.Usagef("--labels %s: latents keep classes, and no numbers; leave it out, and train on them with --labels numbers:FILE", o.Labels)
	case channels != m.InChannels:
		err = &data.Error{Path: spec, Problem: fmt.Sprintf("has images of %d channels, and %s encodes images of %d", channels, o.vae, m.InChannels)}
	default:
		if err = m.CheckSize(height, width); err != nil {
			err = fault.Usagef("%s: %w, by --size", spec, err)
		}
		if b := data.BucketsOf(set); b != nil && err == nil && b.Step()%m.Factor() != 0 {
			err = fault.Usagef("%s: images of buckets of %d pixels; want a step that is a multiple of %d, as in --fit %s:%d", spec, b.Step(), m.Factor(), data.AspectBuckets, data.BucketStep(height, m.Factor()))
		}
	}
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	return set, nil
}

// whole is the images of sets, image for image, that can be read in all of them, and what is left
// out: with --skip-broken, all are read once before, so that every part has the same.
func (o *latentsOptions) whole(ctx context.Context, face console.Face, spec string, sets ...data.Dataset) (whole []data.Dataset, left []string, err error) {
	if !o.skipBroken {
		return sets, nil, nil
	}
	all := evenly(sets[0].Len(), sets[0].Len())
	broken := map[int]string{}
	for _, set := range sets {
		err := look(ctx, face, spec, set, all, func() func(int, *data.Example) { return func(int, *data.Example) {} }, func(i int, bad *data.Error) error {
			broken[i] = bad.Path
			return nil
		})
		if err != nil {
			return sets, nil, err
		}
	}
	for _, i := range slices.Sorted(maps.Keys(broken)) {
		left = append(left, broken[i]+" cannot be read and is left out")
	}
	good := slices.DeleteFunc(slices.Clone(all), func(i int) bool { return broken[i] != "" })
	if len(good) == 0 {
		return sets, nil, &data.Error{Path: spec, Problem: fmt.Sprintf("has no image that can be read, of %d", len(all))}
	}
	for _, set := range sets {
		whole = append(whole, data.Subset(set, good))
	}
	return whole, left, nil
}

func (o *latentsOptions) latentOptions(dev device.Device, m *autoencoder.Model) (latent.Options, error) {
	l := latent.Options{Model: m, Device: dev, Batch: o.batch, Tile: o.tile, Prepare: true}
	var err error
	if l.Precision, err = device.Precision(o.precision, dev.Target()); err != nil {
		err = fault.Usagef("--precision: %w", err)
	}
	return l, err
}

// encoders are that of a set, and those of its other shapes on the same memory, where it has some.
func (o *latentsOptions) encoders(dev device.Device, m *autoencoder.Model, set data.Dataset) (*latent.Encoder, map[data.Size]*latent.Encoder, error) {
	options, err := o.latentOptions(dev, m)
	if err != nil {
		return nil, nil, err
	}
	b := data.BucketsOf(set)
	options.Prepare = b == nil
	height, width, _ := set.Shape()
	e, err := latent.NewEncoder(options, height, width)
	if err != nil {
		return nil, nil, fault.Usagef("--tile: %w", err)
	}
	all := map[data.Size]*latent.Encoder{{Height: height, Width: width}: e}
	if b != nil {
		for _, s := range b.Sizes {
			if all[s] != nil {
				continue
			}
			if all[s], err = e.Also(s.Height, s.Width); err != nil {
				return nil, nil, fault.Usagef("--tile: %w", err)
			}
		}
	}
	return e, all, nil
}

// describe is what the folder is to hold.
func (o *latentsOptions) describe(spec string, set data.Dataset, m *autoencoder.Model, e *latent.Encoder) data.Latents {
	l := data.Latents{
		Count: set.Len(), Shard: o.shard, Type: o.number, Tile: o.tile, Flipped: o.flip, Classes: set.Classes(), Autoencoder: m.Digest(), Images: set.Fingerprint(),
		Made: map[string]string{"data": spec, "vae": o.vae, "fit": string(o.Fit), "size": o.Size.String(), "range": o.Range.String(), "precision": e.Precision.String()},
	}
	l.Height, l.Width, l.Channels = e.Shape()
	l.Image[0], l.Image[1], l.Image[2] = set.Shape()
	if b := data.BucketsOf(set); b != nil {
		for _, s := range b.Sizes {
			l.Buckets = append(l.Buckets, data.Size{Height: s.Height / m.Factor(), Width: s.Width / m.Factor()})
		}
	}
	l.Shift, l.Scale = m.Scaling()
	return l
}

// anyShard says whether a folder holds a file of latents. What ended before its first holds nobody
// to its settings.
func anyShard(out string) bool {
	entries, err := os.ReadDir(out)
	return err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), "latents-") })
}

// enter makes the folder, or says that it holds latents made otherwise.
func (o *latentsOptions) enter(out string, l data.Latents, set data.Dataset, m *autoencoder.Model) error {
	old, err := data.ReadLatents(out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !anyShard(out) {
		if err := outdir.Own(out, func(name string) bool {
			return name == data.AutoencoderDir || name == data.LatentsNames || strings.HasPrefix(name, "latents") // of another part, too
		}); err != nil {
			return err
		}
		if err := o.disk.MkdirAll(out); err != nil {
			return fault.Output(err)
		}
		if err := keepAutoencoder(o.disk, filepath.Join(out, data.AutoencoderDir), m, l.Autoencoder, o.vae); err != nil {
			return err
		}
		return fault.Output(l.Write(o.disk, out, set))
	}
	if err != nil {
		return err
	}
	var changes samples.Changes
	changes.Add("images", old.Count, l.Count)
	changes.Add("shard", old.Shard, l.Shard)
	changes.Add("latents", []int{old.Height, old.Width, old.Channels}, []int{l.Height, l.Width, l.Channels})
	changes.Add("buckets", old.Buckets, l.Buckets)
	changes.Add("type", old.Type, l.Type)
	changes.Add("tile", old.Tile, l.Tile)
	changes.Add("flip", old.Flipped, l.Flipped)
	if old.Autoencoder != l.Autoencoder {
		changes = append(changes, fmt.Sprintf("the autoencoder %s is another than %s was", l.Made["vae"], old.Made["vae"]))
	}
	changes.Add("classes", old.Classes, l.Classes)
	if old.Images.Digest != l.Images.Digest && changes == nil {
		changes = append(changes, fmt.Sprintf("the images of %s are others than those of %s were", l.Made["data"], old.Made["data"]))
	}
	for _, k := range slices.Sorted(maps.Keys(l.Made)) {
		if k != "data" && k != "vae" { // which may have moved
			changes.Add(k, old.Made[k], cmp.Or(l.Made[k], ""))
		}
	}
	if changes == nil {
		return nil
	}
	return &samples.MadeError{Dir: out, What: "latents", Changes: changes, Out: "OUT"}
}

// keepAutoencoder writes an autoencoder, read from somewhere, beside its latents. Another part
// may do so, too.
func keepAutoencoder(disk durable.Disk, dir string, m *autoencoder.Model, digest, from string) error {
	there := func() (same, ok bool) {
		of, err := autoencoder.Read(dir)
		return err == nil && of.Digest() == digest, err == nil
	}
	if same, ok := there(); same {
		return nil
	} else if ok {
		return fault.Usagef("%s is another autoencoder than that of %s; want another OUT", dir, from)
	}
	err := disk.Folder(dir, func(dir string) error { return m.Write(dir, safetensors.F32) })
	if same, _ := there(); same {
		return nil
	}
	return fault.Output(err)
}
