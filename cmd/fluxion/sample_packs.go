package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/object"
	"fluxion/engine/device"
	"fluxion/engine/generate"
)

// shardImages is how many images a shard has unless --shard says otherwise.
const shardImages = 1000

// floats says whether samples go to one file as they are.
func (o *sampleOptions) floats() bool { return samples.IsArray(o.out) && !o.uint8 }

// packed says whether they go to files of many pictures.
func (o *sampleOptions) packed() bool {
	_, _, is := samples.IsTar(o.out)
	return is || samples.IsArray(o.out) && o.uint8
}

// shards are names of what tar:DIR is filled with.
var shards = regexp.MustCompile(`^\d{6,}\.tar(` + regexp.QuoteMeta(samples.WorkEnding) + `)?$`)

// checkPacks says what files of many pictures do not go with.
func (o *sampleOptions) checkPacks() error {
	dir, shard, _ := samples.IsTar(o.out)
	switch {
	case o.uint8 && !samples.IsArray(o.out):
		return fault.Usagef("--uint8: want --out FILE.npz; other files have pictures in bytes anyway")
	case o.uint8 && o.depth == 16:
		return fault.Usagef("--uint8 are 8 bits, and --depth 16 are more; want one of the two, or FILE.npz of floats")
	case shard && o.shard < 1:
		return fault.Usagef("--shard %d: want 1 or more images of a shard", o.shard)
	case object.Is(dir) && o.packed() && !shard && o.part.of > 1:
		return fault.Usagef("--part %s: the parts of one object would be on other machines; want --out tar:s3://BUCKET/PREFIX, or a prefix of pictures", o.parts)
	case shard && dir == "":
		return fault.Usagef("--out %s: want tar:DIR, a folder for shards", o.out)
	case !shard && o.shard != 0 && o.shard != shardImages: // 0: nobody was asked
		return fault.Usagef("--shard %d: want --out tar:DIR; %s is not cut into shards", o.shard, o.out)
	case shard && !object.Is(dir):
		if err := outdir.Check("--out", dir); err != nil || o.verifies || o.overwrite {
			return err
		}
		return outdir.Begun(dir, shards.MatchString)
	}
	return nil
}

// checkShards refuses a folder that has more shards than it is to have: those behind the last would
// hold the same pictures again, or others.
func (o *sampleOptions) checkShards(ctx context.Context, dir string, shards, images int) error {
	behind := fmt.Sprintf("%06d.tar", shards)
	more, err := samples.IsFile(ctx, samples.Below(dir, behind))
	if err != nil || !more {
		return err
	}
	return &samples.MadeError{Dir: dir, What: "shards", Changes: samples.Changes{fmt.Sprintf("%s is there, and --count %d with --shard %d ends before it", behind, images, o.shard)}}
}

// packs are the files of all pictures, of which this process makes its part: some of them, or
// some pictures of the one that there is.
func (o *sampleOptions) packs(j job, whole []int64, temporary string) (all, own []*samples.Pack) {
	want := samples.Wanted{Seeds: whole, Size: j.made, SizeOf: j.madeOf, Deciding: decidingTexts, Text: func(seed int64) map[string]string {
		return j.textOf(seed, j.classOf(seed))
	}}
	if j.images != nil && !j.images.latents {
		want.Beside = j.images.strip
	}
	format, label := samples.Format(samples.Tar{}), o.labelOf(j)
	dir, shard, tar := samples.IsTar(o.out)
	if !tar {
		format = samples.NPZ{}
	}
	if !shard {
		p := samples.NewPack(dir, temporary, format, o.disk, o.overwrite, want, o.part.seeds(whole), o.commonText(j), label)
		return []*samples.Pack{p}, []*samples.Pack{p}
	}
	for seeds := range slices.Chunk(whole, o.shard) {
		of := want
		of.Seeds = seeds
		path := samples.Below(dir, fmt.Sprintf("%06d.tar", len(all)))
		all = append(all, samples.NewPack(path, temporary, format, o.disk, o.overwrite, of, seeds, o.commonText(j), label))
	}
	for i := o.part.number - 1; i < len(all); i += o.part.of {
		own = append(own, all[i])
	}
	return all, own
}

// commonText is what all pictures of a file are made with.
func (o *sampleOptions) commonText(j job) map[string]string {
	text := map[string]string{"class": o.class}
	if o.size != (data.Size{}) {
		text["size"] = o.size.String()
	}
	for key, value := range j.text {
		text[key] = value
	}
	if j.labels != nil {
		text["label"] = j.labels.text
	}
	if j.noise != nil && j.noise.given {
		text["noise"] = digest(j.noise.values)
	}
	return text
}

// labelOf is what the model is told of each image; nil: nothing.
func (o *sampleOptions) labelOf(j job) func(seed int64) samples.Label {
	known := j.model.Network.Spec().Classes
	switch {
	case j.labels != nil:
		return func(seed int64) samples.Label { return samples.Label{Class: -1, Numbers: j.labels.of(seed)} }
	case known == 0:
		return nil
	}
	return func(seed int64) samples.Label {
		class := j.classOf(seed)
		if j.model.Guided && class == known-1 {
			class = -1
		}
		return samples.Label{Class: int64(class)}
	}
}

// runPacks is the end of run where pictures go to files of many.
func (o *sampleOptions) runPacks(ctx context.Context, face console.Face, dev device.Device, j job, whole []int64) (err error) {
	begin, temporary := time.Now(), ""
	dir, shard, _ := samples.IsTar(o.out)
	if object.Is(dir) { // where pictures lie until all of a file are there
		var remove func() error
		if temporary, remove, err = durable.Scratch("fluxion-samples-"); err != nil {
			return fault.Output(err)
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	all, own := o.packs(j, whole, temporary)
	if shard {
		if err := o.checkShards(ctx, dir, len(all), len(whole)); err != nil {
			return err
		}
	}
	var found samples.Found
	of, images := map[int64]*samples.Pack{}, 0 // of missing pictures
	for _, p := range own {
		there, err := p.Look(ctx)
		if err != nil {
			return err
		}
		images += len(p.Own)
		for _, seed := range there.Missing {
			of[seed] = p
		}
		found.Missing = append(found.Missing, there.Missing...)
		found.Broken, found.Replaced = found.Broken+there.Broken, found.Replaced+there.Replaced
	}
	if o.verifies {
		return o.verifyPacks(ctx, face, dev, j, own)
	}
	if o.part.of > 1 && len(found.Missing) > 0 { // what other parts have made
		for i := 0; i < len(all); i += 1 + len(all)/samples.Glances {
			if err := all[i].Glance(ctx); err != nil {
				return err
			}
		}
	}
	if shard {
		leave, err := samples.Folder{Path: dir, Disk: o.disk}.Enter()
		if err != nil {
			return fault.Output(err)
		}
		defer func() { err = errors.Join(err, leave(err)) }()
	} else if err := samples.MakeAbove(o.disk, dir); err != nil {
		return fault.Output(err)
	}
	for _, p := range own {
		defer func() { err = errors.Join(err, p.Leave(err)) }()
		taken, err := p.Take(ctx, found.Missing)
		if err == nil {
			err = p.Finish(ctx) // pictures were there, and whoever made them was killed
		}
		if err != nil {
			return fault.Output(err)
		}
		found.Missing = slices.DeleteFunc(found.Missing, func(seed int64) bool { _, there := slices.BinarySearch(taken, seed); return there })
	}
	if len(found.Missing) > 0 {
		err := o.make(ctx, face, dev, j, found.Missing, func(i, class int, s generate.Sample) func() error {
			seed := found.Missing[i]
			encode := o.encoder(s, j.madeOf(seed), j.textOf(seed, class))
			return func() error {
				file, err := encode()
				if err == nil {
					err = of[seed].Put(ctx, seed, file)
				}
				return fault.Output(err)
			}
		})
		if err != nil {
			return err
		}
	}
	grid, left := "", 0
	for _, p := range all {
		n, err := p.Left(ctx)
		if err != nil {
			return err
		}
		left += n
	}
	if left == 0 {
		if grid, err = samples.Grid(ctx, dir, all, samples.Wanted{Seeds: whole, Size: j.made, SizeOf: j.madeOf, Beside: all[0].Whole.Beside}, o.columns); err != nil {
			return err
		}
	}
	o.done(face, found, images, left, time.Since(begin).Seconds(), grid)
	return nil
}

// verifyPacks is verify of files of many pictures.
func (o *sampleOptions) verifyPacks(ctx context.Context, face console.Face, dev device.Device, j job, own []*samples.Pack) error {
	var seeds []int64
	for _, p := range own {
		if !p.There() {
			return &data.Error{Path: p.Path, Problem: p.Lacks() + "; the same command without --verify makes what is missing"}
		}
		seeds = append(seeds, p.Whole.Seeds...)
	}
	if len(seeds) == 0 {
		return fault.Usagef("--part %v of the files has none; want fewer parts, or a smaller --shard", o.part)
	}
	there := map[int64][]byte{}
	for _, seed := range toMakeAgain(seeds) {
		there[seed] = nil
	}
	for _, p := range own {
		err := p.Each(func(seed int64, picture []byte, label string) error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			name := fmt.Sprintf("%s!%06d.png", p.Path, seed)
			if err := p.Check(name, seed, picture); err != nil {
				return err
			}
			if _, _, _, _, err := data.DecodePNG(name, bytes.NewReader(picture)); err != nil {
				return err
			}
			if want := p.LabelText(seed); label != want {
				return &data.Error{Path: name, Problem: fmt.Sprintf("has the label %q, and it was told %q", label, want)}
			}
			if _, wanted := there[seed]; wanted {
				there[seed] = picture
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return o.makeAgain(ctx, face, dev, j, o.out, seeds, func(seed int64) ([]byte, error) { return there[seed], nil })
}
