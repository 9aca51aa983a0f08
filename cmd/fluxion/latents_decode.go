package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/fetch"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/device"
	"fluxion/engine/latent"
	"fluxion/engine/plan"
	"fluxion/nets/autoencoder"
)

// mostTiles is how many images the grid of decoded ones shows.
const mostTiles = 100

// encoding are the settings that --decode has no use for.
var encoding = []string{"scaling", "size", "fit", "range", "labels", "skip_broken", "flip", "type", "part", "shard"}

// runDecode makes images of latents.
func (o *latentsOptions) runDecode(ctx context.Context, face console.Face, spec, out string) (err error) {
	for _, key := range encoding {
		if o.sources.Has(key) {
			return fault.Usagef("--%s is of images that are encoded; leave it out of --decode, which makes one image of each latent", strings.ReplaceAll(key, "_", "-"))
		}
	}
	begin, array := time.Now(), samples.IsArray(out)
	if array {
		err = outdir.Room("OUT", out)
	} else {
		err = cmp.Or(outdir.Check("OUT", out), outdir.Own(out, func(name string) bool { return wasDecoded(filepath.Join(out, name)) }))
	}
	if err != nil {
		return err
	}
	set, err := data.Open(spec, data.Options{CacheBytes: 1})
	if err != nil {
		return err
	}
	defer set.Close()
	vae := o.vae
	if err := fetch.Here("--vae", vae); err != nil {
		return err
	}
	if _, dir := data.LatentsOf(set); dir != "" && vae == "" {
		vae = filepath.Join(dir, data.AutoencoderDir)
	}
	if vae == "" {
		return fault.Usagef("--vae is needed to decode %s: the folder of the autoencoder that its latents are of", spec)
	}
	m, err := autoencoder.Read(vae, o.ignore...)
	if err != nil {
		return err
	}
	if err := fits(spec, set, vae, m); err != nil {
		return err
	}
	dev, err := machine.Open(o.device, o.threads, o.blockings, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	options, err := o.latentOptions(dev, m)
	if err != nil {
		return err
	}
	b := data.BucketsOf(set)
	if b != nil && array {
		return fault.Usagef("%s holds latents of %d shapes, whose images are no one array; want a folder for OUT", spec, len(b.Sizes))
	}
	options.Prepare = b == nil
	height, width, _ := set.Shape()
	d, err := latent.NewDecoder(options, height, width)
	if err != nil {
		return fault.Usagef("--tile: %w", err)
	}
	by := map[data.Size]*latent.Decoder{{Height: height, Width: width}: d}
	if b != nil {
		for _, s := range b.Sizes {
			if by[s] != nil {
				continue
			}
			if by[s], err = d.Also(s.Height, s.Width); err != nil {
				return fault.Usagef("--tile: %w", err)
			}
		}
	}
	if err := d.Load(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	to := decoded{out: out, disk: o.disk, tiles: map[int]data.Tile{}}
	to.shape[0], to.shape[1], to.shape[2] = d.Shape()
	if array {
		if err := device.CheckMemory(device.Need{What: "the images", Bytes: plan.Product(4, set.Len(), to.values())}); err != nil {
			return err
		}
		to.all = make([]float32, 0, set.Len()*to.values())
	} else if err := o.disk.MkdirAll(out); err != nil {
		return fault.Output(err)
	}
	progress := newImageProgress(face, "", set.Len())
	n := data.ValuesOf(set)
	z, images := make([]float32, o.batch*n), make([]float32, o.batch*to.values())
	done := 0
	for _, numbers := range batches(set, 0, set.Len(), o.batch) {
		size := data.SizeOf(set, numbers[0])
		own := by[size]
		h, w, c := own.Shape()
		made := images[:len(numbers)*h*w*c]
		in := z[:len(numbers)*n/(height*width)*size.Height*size.Width]
		if err = context.Cause(ctx); err == nil {
			err = readAll(set, numbers, in)
		}
		if err == nil {
			err = own.Decode(in, made)
		}
		if err == nil {
			err = to.put(numbers, [3]int{h, w, c}, made)
		}
		if err != nil {
			break
		}
		done += len(numbers)
		progress.show(done)
	}
	progress.End()
	if err == nil {
		err = to.end(o.columns)
	}
	if err != nil {
		return err
	}
	face.Event("done", map[string]any{"images": set.Len(), "out": out, "seconds": time.Since(begin).Seconds(), "height": to.shape[0], "width": to.shape[1], "channels": to.shape[2]},
		fmt.Sprintf("%d images of %s%d×%d in %s, %.1f s", set.Len(), several(b), to.shape[1], to.shape[0], out, time.Since(begin).Seconds()))
	return nil
}

// fits says why a set cannot be latents of an autoencoder.
func fits(spec string, set data.Dataset, vae string, m *autoencoder.Model) error {
	height, width, channels := set.Shape()
	l, _ := data.LatentsOf(set)
	switch {
	case set.Kind() != data.Floats || data.Pictures(set):
		return &data.Error{Path: spec, Problem: "holds pictures, not latents; want latents:DIR, or FILE.npy or .npz of float32"}
	case channels != m.LatentChannels:
		return &data.Error{Path: spec, Problem: fmt.Sprintf("has latents of %d×%d×%d, and %s decodes those of %d channels", height, width, channels, vae, m.LatentChannels)}
	case l != nil && l.Autoencoder != m.Digest():
		return &data.Error{Path: spec, Problem: fmt.Sprintf("holds latents of another autoencoder than %s; %s is theirs", vae, filepath.Join(strings.TrimPrefix(spec, "latents:"), data.AutoencoderDir))}
	}
	return nil
}

// several says before a size that it is about that of several shapes.
func several(b *data.Buckets) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("%d shapes of about ", len(b.Sizes))
}

// readAll reads images of a set that have one shape, next to each other, as a network sees them.
func readAll(set data.Dataset, numbers []int, to []float32) error {
	e := data.NewExample(set)
	for _, i := range numbers {
		if _, err := e.ReadShaped(set, i); err != nil {
			return err
		}
		e.Values(to[:e.Len()])
		to = to[e.Len():]
	}
	return nil
}

// decoded is where images go: pictures in a folder, with a grid of the first beside it, or all
// as float32 in a .npz.
type decoded struct {
	out   string
	disk  durable.Disk
	shape [3]int
	all   []float32         // nil: they go to a folder
	tiles map[int]data.Tile // of the first
}

// decodedText is of pictures that were decoded, and may be made anew.
const decodedText = "decoded"

func wasDecoded(path string) bool {
	p, err := data.InspectPNG(path)
	return err == nil && p.Text[decodedText] != ""
}

func (d *decoded) values() int { return d.shape[0] * d.shape[1] * d.shape[2] }

func (d *decoded) put(numbers []int, shape [3]int, images []float32) error {
	if d.all != nil {
		d.all = append(d.all, images...)
		return nil
	}
	n := shape[0] * shape[1] * shape[2]
	pixels := make([]byte, len(images))
	data.Pixels{Floats: images}.Picture(pixels)
	for i, number := range numbers {
		own := pixels[i*n:][:n]
		file, err := data.EncodePNG(own, shape[0], shape[1], shape[2], map[string]string{decodedText: "latents"})
		if err == nil {
			err = d.disk.Put(filepath.Join(d.out, fmt.Sprintf("%06d.png", number)), file)
		}
		if err != nil {
			return fault.Output(err)
		}
		if number < mostTiles {
			d.tiles[number] = data.Tile{Pixels: data.Pixels{Bytes: own}, Size: data.Size{Height: shape[0], Width: shape[1]}, Channels: shape[2]}
		}
	}
	return nil
}

func (d *decoded) end(columns int) error {
	n := d.values()
	if d.all != nil {
		shape := []int{len(d.all) / n, d.shape[0], d.shape[1], d.shape[2]}
		return fault.Output(d.disk.Write(d.out, func(w io.Writer) error {
			return data.WriteNPZ(w, data.Array{Name: "images", Shape: shape, Floats: d.all})
		}))
	}
	var tiles []data.Tile
	for _, i := range slices.Sorted(maps.Keys(d.tiles)) {
		tiles = append(tiles, d.tiles[i])
	}
	file, err := data.EncodeTiles(tiles, columns, nil)
	if err == nil {
		err = errors.Join(d.disk.WriteFile(samples.GridOf(d.out), file), d.disk.Settle(d.out))
	}
	return fault.Output(err)
}
