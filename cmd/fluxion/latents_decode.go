package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
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
		err = cmp.Or(outdir.Check(out), outdir.Own(out, func(name string) bool { return wasDecoded(filepath.Join(out, name)) }))
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
	height, width, _ := set.Shape()
	d, err := latent.NewDecoder(options, height, width)
	if err != nil {
		return fault.Usagef("--tile: %w", err)
	}
	if err := d.Load(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	to := decoded{out: out, disk: o.disk}
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
	for i := 0; i < set.Len() && err == nil; i += o.batch {
		k := min(o.batch, set.Len()-i)
		if err = context.Cause(ctx); err == nil {
			err = readAll(set, i, z[:k*n])
		}
		if err == nil {
			err = d.Decode(z[:k*n], images[:k*to.values()])
		}
		if err == nil {
			err = to.put(i, images[:k*to.values()])
		}
		progress.show(i + k)
	}
	progress.End()
	if err == nil {
		err = to.end(o.columns)
	}
	if err != nil {
		return err
	}
	face.Event("done", map[string]any{"images": set.Len(), "out": out, "seconds": time.Since(begin).Seconds(), "height": to.shape[0], "width": to.shape[1], "channels": to.shape[2]},
		fmt.Sprintf("%d images of %d×%d in %s, %.1f s", set.Len(), to.shape[1], to.shape[0], out, time.Since(begin).Seconds()))
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

// readAll reads images of a set from one on, next to each other, as a network sees them.
func readAll(set data.Dataset, from int, to []float32) error {
	n := data.ValuesOf(set)
	e := data.NewExample(set)
	for i := range len(to) / n {
		if err := set.Read(from+i, e); err != nil {
			return err
		}
		e.Values(to[i*n:][:n])
	}
	return nil
}

// decoded is where images go: pictures in a folder, with a grid of the first beside it, or all
// as float32 in a .npz.
type decoded struct {
	out   string
	disk  durable.Disk
	shape [3]int
	all   []float32 // nil: they go to a folder
	tiles []byte
}

// decodedText is of pictures that were decoded, and may be made anew.
const decodedText = "decoded"

func wasDecoded(path string) bool {
	p, err := data.InspectPNG(path)
	return err == nil && p.Text[decodedText] != ""
}

func (d *decoded) values() int { return d.shape[0] * d.shape[1] * d.shape[2] }

func (d *decoded) put(first int, images []float32) error {
	if d.all != nil {
		d.all = append(d.all, images...)
		return nil
	}
	n := d.values()
	pixels := make([]byte, len(images))
	data.Pixels{Floats: images}.Picture(pixels)
	for i := range len(images) / n {
		file, err := data.EncodePNG(pixels[i*n:][:n], d.shape[0], d.shape[1], d.shape[2], map[string]string{decodedText: "latents"})
		if err == nil {
			err = d.disk.Put(filepath.Join(d.out, fmt.Sprintf("%06d.png", first+i)), file)
		}
		if err != nil {
			return fault.Output(err)
		}
		if len(d.tiles) < mostTiles*n {
			d.tiles = append(d.tiles, pixels[i*n:][:n]...)
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
	file, err := data.EncodeGrid(d.tiles, len(d.tiles)/n, d.shape[0], d.shape[1], d.shape[2], columns, nil)
	if err == nil {
		err = errors.Join(d.disk.WriteFile(samples.GridOf(d.out), file), d.disk.Settle(d.out))
	}
	return fault.Output(err)
}
