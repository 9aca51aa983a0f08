package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/fetch"
	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/latent"
	"fluxion/engine/train"
	"fluxion/kernels/number"
	"fluxion/nets/autoencoder"
)

// imagesFlags ask what training takes on images of some sizes, as they are and as latents.
type imagesFlags struct {
	sides string // with commas
	vae   string // folder
}

func (o *imagesFlags) list() setting.List {
	return setting.List{
		{Key: "images", Value: setting.Of(&o.sides), Own: true, Help: "sides of images, such as 256,512: what training on them takes, as pixels and as latents, and the largest batch of a card"},
		{Key: "vae", Value: setting.Of(&o.vae), Own: true, Help: "of --images: folder of the autoencoder; without one latents have an eighth of the side and 4 channels, as those of Stable Diffusion"},
	}
}

// parse returns the sides.
func (o *imagesFlags) parse() (sides []int, err error) {
	if o.sides == "" {
		if o.vae != "" {
			return nil, fault.Usagef("--vae is of --images, such as --images 256,512")
		}
		return nil, nil
	}
	for text := range strings.SplitSeq(o.sides, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > data.MaxSide || len(sides) == 16 {
			return nil, fault.Usagef("--images %s: want up to 16 sides from 1 to %d, such as 256,512", o.sides, data.MaxSide)
		}
		sides = append(sides, n)
	}
	return sides, nil
}

// imagesRow is what training takes on images of a side.
type imagesRow struct {
	Side          int     `json:"side"`
	As            string  `json:"as"` // pixels or latents
	Shape         [3]int  `json:"shape"`
	PlannedBytes  int64   `json:"planned_bytes"`
	BytesPerImage float64 `json:"bytes_per_image"`
	FLOPPerImage  float64 `json:"flop_per_image"`
	Batches       []int   `json:"batches"`                // the largest of each of cards; 0: none
	EncodeBytes   int64   `json:"encode_bytes,omitempty"` // of the autoencoder, for an image
	DecodeBytes   int64   `json:"decode_bytes,omitempty"` //
	Without       string  `json:"cannot_train,omitempty"` // why the network cannot
}

// cards are memories of GPUs in GiB, of which a twelfth is left to the driver and others.
var cards = []int{12, 24, 80}

// imagesRows compiles a training step for every side.
func (o *inspectOptions) imagesRows(t train.StepOptions, sides []int) (rows []imagesRow, err error) {
	factor, channels := 8, 4
	var m *autoencoder.Model
	var dev device.Device // for which plans take about as much as for others
	if o.vae != "" {
		if err := fetch.Here("--vae", o.vae); err != nil {
			return nil, err
		}
		if m, err = autoencoder.Read(o.vae, o.ignore...); err != nil {
			return nil, err
		}
		factor, channels = m.Factor(), m.LatentChannels
		if dev, err = device.NewCPU(1, ""); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, dev.Close()) }()
	}
	spec := t.Network.Spec()
	for _, side := range sides {
		pixels := imagesRow{Side: side, As: "pixels", Shape: [3]int{side, side, spec.Channels}}
		latents := imagesRow{Side: side, As: "latents", Shape: [3]int{side / factor, side / factor, channels}}
		if side%factor != 0 {
			latents.Without = fmt.Sprintf("%d pixels are no multiple of %d", side, factor)
		}
		for _, r := range []*imagesRow{&pixels, &latents} {
			if r.Without == "" {
				if err := o.imagesRow(r, t); err != nil {
					return nil, err
				}
			}
		}
		if m != nil && latents.Without == "" {
			l := latent.Options{Model: m, Device: dev, Precision: number.Float32, Batch: 1}
			e, err := latent.NewEncoder(l, side, side)
			if err != nil {
				return nil, err
			}
			d, err := latent.NewDecoder(l, side/factor, side/factor)
			if err != nil {
				return nil, err
			}
			latents.EncodeBytes, latents.DecodeBytes = e.Sizes().Bytes(), d.Sizes().Bytes()
		}
		rows = append(rows, pixels, latents)
	}
	return rows, nil
}

func (o *inspectOptions) imagesRow(r *imagesRow, t train.StepOptions) error {
	like := t.Network.Spec()
	like.Height, like.Width, like.Channels = r.Shape[0], r.Shape[1], r.Shape[2]
	n, err := t.Network.Fit(like)
	if err == nil {
		err = n.Spec().CheckSize("the network", like.Height, like.Width)
	}
	if err != nil {
		r.Without = err.Error()
		return nil
	}
	t.Network, t.Height, t.Width = n, like.Height, like.Width
	growth, s, err := o.growth(t)
	if err != nil {
		return err
	}
	r.PlannedBytes, r.BytesPerImage, r.FLOPPerImage = s.sizes.Bytes(), growth.At(o.batch).PerImage, float64(s.plan.Cost().FLOPs)/float64(o.batch)
	for _, card := range cards {
		room, batch := float64(card<<30)*11/12, 0
		for step := 1 << 16; step > 0; step /= 2 {
			if growth.Bytes(batch+step) <= room {
				batch += step
			}
		}
		r.Batches = append(r.Batches, batch)
	}
	return nil
}

// imagesTable is the rows as a table.
func imagesTable(rows []imagesRow, batch int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s %14s %12s %14s %10s   largest batch in", "training on", "", fmt.Sprintf("batch of %d", batch), "an image more", "GFLOP")
	for _, card := range cards {
		fmt.Fprintf(&b, " %7s", fmt.Sprintf("%d GiB", card))
	}
	b.WriteString("\n")
	for _, r := range rows {
		name := fmt.Sprintf("%d×%d as %s", r.Side, r.Side, r.As)
		shape := fmt.Sprintf("%d×%d×%d", r.Shape[0], r.Shape[1], r.Shape[2])
		if r.Without != "" {
			fmt.Fprintf(&b, "%-20s %14s %s\n", name, shape, r.Without)
			continue
		}
		fmt.Fprintf(&b, "%-20s %14s %12s %14s %10.1f                   ", name, shape, console.Size(r.PlannedBytes), console.Size(int64(r.BytesPerImage)), r.FLOPPerImage/1e9)
		for _, batch := range r.Batches {
			fmt.Fprintf(&b, " %7d", batch)
		}
		if r.EncodeBytes > 0 {
			fmt.Fprintf(&b, "   autoencoder: %s to encode an image, %s to decode", console.Size(r.EncodeBytes), console.Size(r.DecodeBytes))
		}
		b.WriteString("\n")
	}
	return b.String()
}
