package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/paper"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/figures"
	"fluxion/engine/plan"

	"github.com/spf13/cobra"
)

// figurePage is the file that holds all figures.
const figurePage = "index.html"

// figuresAbout stands above them.
var figuresAbout = paper.About{
	Title: "Diffusion meets flow matching",
	Text: "Gaussian flow matching and diffusion are one thing. Every curve below was computed in float64 by Fluxion's own schedules, weightings, samplers and couplings; " +
		"nothing is fetched, and the sliders choose among computed values. Click a name to hide its curve.",
}

type figuresOptions struct {
	out, data string
	size      data.Size
	images    int
	trained   []string
	learnt    int
	json      bool
}

func newFigures() *cobra.Command {
	o := &figuresOptions{}
	c := &cobra.Command{
		Use:   "figures",
		Short: "Draw the figures of \"Diffusion Meets Flow Matching\" from this program's own mathematics",
		Long: `Draw the figures of "Diffusion Meets Flow Matching" from this program's own
schedules, weightings and samplers, and what is made of flows: few steps, flow maps,
reflow, couplings. Each is written as PNG, SVG and CSV, and all of them as
` + figurePage + `, a page with sliders that needs no connection.

Flows, flow maps and reflow are exact there. --trained moons,checkerboard,gaussians adds
what networks learn of such points: few steps of each method side by side, and ways from
noise. It trains nine networks on each, which takes two minutes on two cores; they
stay in the folder runs, and the same command again goes on with them.`,
		Example: "  fluxion figures --out figures\n  fluxion figures --out figures --data cifar10/train.zip\n  fluxion figures --out figures --trained moons,checkerboard,gaussians",
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json))
		},
	}
	o.out, o.data, o.images, o.learnt = "figures", "glyphs", 500, 300_000
	settings.Bind(c, setting.List{
		{Key: "out", Value: setting.Of(&o.out), Own: true, Help: "folder to write to; made if need be"},
		data.NameSetting(&o.data).Helps("images whose spectra are drawn, as train takes them"),
		data.SizeSetting(&o.size).Helps("side of those images"),
		{Key: "images", Value: setting.Of(&o.images), Own: true, Help: "how many of them", Range: setting.AtLeast(1, "")},
		{Key: "trained", Value: setting.Names(&o.trained), Own: true, Help: "points that networks are trained on, whose few steps are drawn: names behind toy:, such as moons,checkerboard"},
		{Key: "trained_images", Value: setting.Of(&o.learnt), Own: true, Help: "points that each of them sees; half of them if it begins with another", Range: setting.AtLeast(2000, "")},
	})
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per file")
	return c
}

func (o *figuresOptions) run(ctx context.Context, face console.Face) error {
	if err := outdir.Check("--out", o.out); err != nil {
		return err
	}
	images, err := o.load(ctx)
	if err != nil {
		return err
	}
	list, err := figures.All(images)
	if err != nil {
		return err
	}
	made := func(name string) bool {
		return name == figurePage || slices.ContainsFunc(list, func(f figures.Figure) bool { return f.Name == strings.TrimSuffix(name, filepath.Ext(name)) })
	}
	if err := outdir.Begun(o.out, made); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return fault.Output(err)
	}
	for _, name := range o.trained {
		learnt, err := o.learn(ctx, face, name)
		if err != nil {
			return err
		}
		list = append(list, learnt...)
	}
	for _, f := range list {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		paths, err := paper.Draw(o.out, f)
		if err != nil {
			return err
		}
		if err := report(face, f.Title, paths...); err != nil {
			return err
		}
	}
	path := filepath.Join(o.out, figurePage)
	if err := paper.WritePage(path, figuresAbout, list); err != nil {
		return err
	}
	return report(face, "all of them, with sliders", path)
}

// report tells of files that are written.
func report(face console.Face, title string, paths ...string) error {
	for _, p := range paths {
		err := face.Result(map[string]string{"file": p, "title": title}, func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "%-32s %s\n", p, title)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// load reads the images as grey squares with values in [−1, 1].
func (o *figuresOptions) load(ctx context.Context) (figures.Images, error) {
	set, err := data.Open(o.data, data.Options{Size: o.size, Channels: 1})
	if err != nil {
		return figures.Images{}, err
	}
	defer set.Close()
	if set.Kind() != data.Bytes {
		return figures.Images{}, fault.Usagef("%s holds no pictures; the spectrum wants some", o.data)
	}
	height, width, _ := set.Shape()
	if height != width {
		return figures.Images{}, fault.Usagef("images of %s are %d×%d, not square; give a side, such as --size 32, to crop them", o.data, width, height)
	}
	n := min(o.images, set.Len())
	if err := device.CheckMemory(device.Need{What: "the images", Bytes: plan.Product(8, n, width, width)}); err != nil {
		return figures.Images{}, err
	}
	images := figures.Images{Name: set.Name(), Side: width}
	example := data.NewExample(set)
	for i := range n {
		if err := context.Cause(ctx); err != nil {
			return images, err
		}
		if err := set.Read(i*set.Len()/n, example); err != nil {
			return images, err
		}
		values := make([]float64, len(example.Bytes))
		for j, p := range example.Bytes {
			values[j] = float64(p)/127.5 - 1
		}
		images.Pixels = append(images.Pixels, values)
	}
	return images, nil
}
