package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/latent"
	"fluxion/engine/plan"

	"golang.org/x/sync/errgroup"
)

// latentsJob is what is to be made, of what and where.
type latentsJob struct {
	data.Latents
	set     data.Dataset
	encoder *latent.Encoder
	out     string
	notes   []string
	event   string
	next    string // data to train on when all are made; "": there is more to make
}

// fill makes the files that are missing.
func (o *latentsOptions) fill(ctx context.Context, face console.Face, j latentsJob, missing []int, there int) (err error) {
	begin, total := time.Now(), 0
	for _, i := range missing {
		from, to := j.Range(i)
		total += to - from
	}
	arrays := 2
	if o.flip {
		arrays = 4
	}
	if total > 0 {
		if err := device.CheckMemory(device.Need{What: "the latents of a file", Bytes: plan.Product(4*arrays, min(o.shard, j.Count), j.Values())}); err != nil {
			return err
		}
		if err := j.encoder.Load(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, j.encoder.Close()) }()
	}
	progress := newImageProgress(face, "", total)
	made := 0
	for _, i := range missing {
		if err := j.shard(ctx, i, arrays, o, func(n int) { made += n; progress.show(made) }); err != nil {
			progress.End()
			return err
		}
	}
	progress.End()
	seconds, lacking := time.Since(begin).Seconds(), 0
	for i := range j.Shards() {
		if has, err := j.HasShard(j.out, i); err != nil {
			return err
		} else if !has {
			lacking++
		}
	}
	lines := []string{fmt.Sprintf("latents of %d images in %s: %d×%d×%d, %s; %d made in %.1f s, %d were there", there+total, j.out, j.Height, j.Width, j.Channels, j.Type, total, seconds, there)}
	for _, n := range j.notes {
		lines = append(lines, noteLine(n))
	}
	switch {
	case lacking > 0:
		lines = append(lines, noteLine(fmt.Sprintf("other parts are to make %d more of the %d files", lacking, j.Shards())))
	case j.next != "":
		lines = append(lines, "next        "+console.ShellWords(console.ProgramName(), "train", "--data", j.next))
	}
	face.Event(j.event, map[string]any{
		"images": there + total, "written": total, "skipped": there, "seconds": seconds, "out": j.out, "files_lacking": lacking,
		"height": j.Height, "width": j.Width, "channels": j.Channels, "type": j.Type, "flipped": j.Flipped, "notes": append([]string{}, j.notes...),
	}, lines...)
	return nil
}

// read is a batch of images as the autoencoder sees them.
type read struct {
	images, mirrored []float32
	classes          []int64
	err              error
}

// shard makes a file. A batch is read, on all processors, while the one before is encoded.
func (j latentsJob) shard(ctx context.Context, shard, arrays int, o *latentsOptions, told func(images int)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	from, to := j.Range(shard)
	batches := make(chan read, 1)
	go func() {
		defer close(batches)
		for i := from; i < to; i += o.batch {
			r := j.read(ctx, i, min(i+o.batch, to))
			select {
			case batches <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	n := j.Values()
	values, classes, done := make([][]float32, arrays), []int64(nil), 0
	for i := range values {
		values[i] = make([]float32, (to-from)*n)
	}
	for r := range batches {
		if r.err != nil {
			return r.err
		}
		end := done + len(r.classes)
		for i, images := range [][]float32{r.images, r.mirrored}[:arrays/2] {
			mean, deviation := values[2*i][done*n:end*n], values[2*i+1][done*n:end*n]
			if err := j.encoder.Encode(images, mean, deviation); err != nil {
				return err
			}
			latent.Deviations(deviation)
		}
		classes, done = append(classes, r.classes...), end
		told(len(r.classes))
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for _, v := range values {
		for i, x := range v {
			if x-x != 0 {
				return fmt.Errorf("the autoencoder makes a latent of image %d that is %v, no finite number; --precision fp32 may help", from+i/n, x)
			}
		}
	}
	return fault.Output(j.WriteShard(o.disk, j.out, shard, values, classes))
}

// read reads images from one up to another, and mirrors them if that is wanted.
func (j latentsJob) read(ctx context.Context, from, to int) read {
	n := data.ValuesOf(j.set)
	r := read{images: make([]float32, (to-from)*n), classes: make([]int64, to-from)}
	if j.Flipped {
		r.mirrored = make([]float32, len(r.images))
	}
	_, width, channels := j.set.Shape()
	var group errgroup.Group
	workers := min(runtime.GOMAXPROCS(0), to-from)
	for worker := range workers {
		group.Go(func() error {
			for i := from + worker; i < to; i += workers {
				if err := context.Cause(ctx); err != nil {
					return err
				}
				e := data.NewExample(j.set)
				if err := j.set.Read(i, e); err != nil {
					return err
				}
				at := (i - from) * n
				e.Values(r.images[at:][:n])
				r.classes[i-from] = int64(e.Class)
				if r.mirrored != nil {
					e.Pixels.Mirror(width, channels)
					e.Values(r.mirrored[at:][:n])
				}
			}
			return nil
		})
	}
	r.err = group.Wait()
	return r
}
