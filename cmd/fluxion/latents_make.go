package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
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
	by      map[data.Size]*latent.Encoder // by the size of images
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
	shape := fmt.Sprintf("%d×%d×%d", j.Height, j.Width, j.Channels)
	if n := len(j.Buckets); n > 0 {
		shape = fmt.Sprintf("%d shapes of about %s", n, shape)
	}
	lines := []string{fmt.Sprintf("latents of %d images in %s: %s, %s; %d made in %.1f s, %d were there", there+total, j.out, shape, j.Type, total, seconds, there)}
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

// read is a batch of images of a size as the autoencoder sees them.
type read struct {
	numbers          []int
	size             data.Size
	images, mirrored []float32
	classes          []int64
	err              error
}

// batches are the images of a set from one up to another, by their numbers: those of a shape together.
func batches(set data.Dataset, from, to, most int) (all [][]int) {
	var sizes []data.Size
	of := map[data.Size][]int{}
	for i := from; i < to; i++ {
		s := data.SizeOf(set, i)
		if of[s] == nil {
			sizes = append(sizes, s)
		}
		of[s] = append(of[s], i)
	}
	for _, s := range sizes {
		all = slices.AppendSeq(all, slices.Chunk(of[s], most))
	}
	return all
}

// shard makes a file. A batch is read, on all processors, while the one before is encoded.
func (j latentsJob) shard(ctx context.Context, shard, arrays int, o *latentsOptions, told func(images int)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	from, to := j.Range(shard)
	ready := make(chan read, 1)
	go func() {
		defer close(ready)
		for _, numbers := range batches(j.set, from, to, o.batch) {
			r := j.read(ctx, numbers)
			select {
			case ready <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	sizes, ends := j.sizes(from, to)
	values, classes := make([][]float32, arrays), make([]int64, to-from)
	for i := range values {
		values[i] = make([]float32, ends[to-from])
	}
	for r := range ready {
		if r.err != nil {
			return r.err
		}
		encoder := j.by[r.size]
		height, width, channels := encoder.Shape()
		n := height * width * channels
		mean, deviation := make([]float32, len(r.numbers)*n), make([]float32, len(r.numbers)*n)
		for i, images := range [][]float32{r.images, r.mirrored}[:arrays/2] {
			if err := encoder.Encode(images, mean, deviation); err != nil {
				return err
			}
			latent.Deviations(deviation)
			for k, number := range r.numbers {
				at := ends[number-from]
				copy(values[2*i][at:], mean[k*n:][:n])
				copy(values[2*i+1][at:], deviation[k*n:][:n])
			}
		}
		for k, number := range r.numbers {
			classes[number-from] = r.classes[k]
		}
		told(len(r.numbers))
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for _, v := range values {
		for i := range sizes {
			for _, x := range v[ends[i]:ends[i+1]] {
				if x-x != 0 {
					return fmt.Errorf("the autoencoder makes a latent of image %d that is %v, no finite number; --precision fp32 may help", from+i, x)
				}
			}
		}
	}
	return fault.Output(j.WriteShard(o.disk, j.out, shard, values, sizes, classes))
}

// sizes are those of latents from one up to another, and where each begins among their values.
func (j latentsJob) sizes(from, to int) (sizes []data.Size, begins []int) {
	begins = []int{0}
	for i := from; i < to; i++ {
		h, w, c := j.by[data.SizeOf(j.set, i)].Shape()
		sizes, begins = append(sizes, data.Size{Height: h, Width: w}), append(begins, begins[i-from]+h*w*c)
	}
	return sizes, begins
}

// read reads images of a size by their numbers, and mirrors them if that is wanted.
func (j latentsJob) read(ctx context.Context, numbers []int) read {
	_, _, channels := j.set.Shape()
	r := read{numbers: numbers, size: data.SizeOf(j.set, numbers[0]), classes: make([]int64, len(numbers))}
	n := r.size.Height * r.size.Width * channels
	r.images = make([]float32, len(numbers)*n)
	if j.Flipped {
		r.mirrored = make([]float32, len(r.images))
	}
	var group errgroup.Group
	workers := min(runtime.GOMAXPROCS(0), len(numbers))
	for worker := range workers {
		group.Go(func() error {
			e := data.NewExample(j.set)
			for k := worker; k < len(numbers); k += workers {
				if err := context.Cause(ctx); err != nil {
					return err
				}
				if _, err := e.ReadShaped(j.set, numbers[k]); err != nil {
					return err
				}
				e.Values(r.images[k*n:][:n])
				r.classes[k] = int64(e.Class)
				if r.mirrored != nil {
					e.Pixels.Mirror(r.size.Width, channels)
					e.Values(r.mirrored[k*n:][:n])
				}
			}
			return nil
		})
	}
	r.err = group.Wait()
	return r
}
