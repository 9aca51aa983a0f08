package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/likeness"
	"fluxion/data/setting"

	"github.com/spf13/cobra"
)

type packOptions struct {
	setOptions
	skipBroken, deduplicate, overwrite bool
	alike                              likeness.Options
}

func newDataPack() *cobra.Command {
	o := &packOptions{}
	c := &cobra.Command{
		Use:   "pack DATA OUT.npz",
		Short: "Decode a set once, into one file that is read where it lies",
		Long: `Decode a set once and write it as one file for NumPy and for train: images, labels
and names of classes. Images are brought to --size and --channels as train does it, so
training on the file gives the same bits, without decoding anything. It is read where it
lies, however large it is. The same set and options give the same bytes.

--deduplicate keeps the first of images that are nearly the same, as data duplicates
finds them; look at its sheet before.

With --fit buckets (or buckets:STEP) the file has an array for each shape, images_48x32,
and in sizes the height and width of each image; train takes it in buckets by itself, and
with a --size its images are brought to that, as pictures of these shapes.

Where it is stopped, as by Ctrl-C (exit code 130), nothing is written, and the same command
starts anew.`,
		Example: "  fluxion data pack ~/pictures pictures.npz --size 64 --deduplicate\n  fluxion train --data pictures.npz --preset small",
		Args: func(_ *cobra.Command, args []string) error {
			if n := len(args); n != 2 {
				return fault.Usagef("data pack takes DATA and OUT.npz, and there are %d arguments; DATA is a folder or archive of images, or any other set that train --data takes", n)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return startsAnew(o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), args[0], args[1]))
		},
	}
	list := append(setting.List{
		skipBrokenSetting(&o.skipBroken),
		{Key: "deduplicate", Value: setting.Of(&o.deduplicate), Own: true, Help: "keep the first of images that are nearly the same"},
	}, likenessSettings(&o.alike, "of --deduplicate: ")...)
	o.bind(c, append(list, setting.Setting{Key: "overwrite", Value: setting.Of(&o.overwrite), Own: true, Help: "write over OUT.npz if it is there"})...)
	return c
}

// shownPack is the result in JSON.
type shownPack struct {
	Event      string   `json:"event"`
	Data       string   `json:"data"`
	Out        string   `json:"out"`
	Images     int      `json:"images"`
	Of         int      `json:"of"`
	Broken     int      `json:"broken"`
	Duplicates int      `json:"duplicates"`
	Shape      []int    `json:"shape"`
	Buckets    int      `json:"buckets,omitempty"` // shapes, where they have several; then Shape is the largest
	Values     string   `json:"values"`
	Bytes      int64    `json:"bytes"`
	Notes      []string `json:"notes"`
	Seconds    float64  `json:"seconds"`
}

func (o *packOptions) run(ctx context.Context, face console.Face, spec, out string) error {
	if !strings.HasSuffix(strings.ToLower(out), ".npz") {
		return fault.Usagef("%s: want a name that ends in .npz", out)
	}
	if _, err := os.Stat(out); err == nil && !o.overwrite {
		return fault.Usagef("%s is there; want another name, or --overwrite", out)
	}
	if err := outdir.Room("OUT.npz", out); err != nil {
		return err
	}
	begin := time.Now()
	if o.Fit.Varies() {
		return fault.Usagef("--fit %s: a packed image is one for all time; want crop, or pack without --size", o.Fit)
	}
	set, err := o.open(spec)
	if err != nil {
		return err
	}
	defer set.Close()
	if a, latents := data.AutoencoderOf(set); latents {
		return fault.Usagef("%s holds latents, of which one file would keep neither deviations nor the autoencoder in %s; they are decoded already: copy their folder", spec, a.Dir)
	}
	r := &shownPack{Event: "done", Data: spec, Out: out, Of: set.Len(), Values: set.Kind().String(), Notes: append([]string{}, data.Notes(set)...)}
	height, width, channels := set.Shape()
	r.Shape = []int{height, width, channels}
	shape := fmt.Sprintf("%d×%d×%d", height, width, channels)
	if b := data.BucketsOf(set); b != nil {
		r.Buckets = len(b.Sizes)
		shape = fmt.Sprintf("%d shapes of about %s", r.Buckets, shape)
	}
	numbers, err := o.choose(ctx, face, set, r)
	if err != nil {
		return err
	}
	progress := newImageProgress(face, "written", len(numbers))
	err = durable.Disk{}.Write(out, func(w io.Writer) error { return data.Pack(ctx, w, set, numbers, progress.show) })
	face.End()
	if bad := (*data.Error)(nil); errors.As(err, &bad) {
		return bad
	}
	if err != nil {
		return fault.Output(err)
	}
	if info, err := os.Stat(out); err == nil {
		r.Bytes = info.Size()
	}
	r.Images, r.Seconds = len(numbers), time.Since(begin).Seconds()
	return face.Result(r, func(w io.Writer) error {
		for _, n := range r.Notes {
			if _, err := fmt.Fprintln(w, console.Visible(noteLine(n))); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(w, "packed %s of %s images of %s %s to %s, %.1f MB; left out: %s broken, %s nearly the same as one before; %.1f s\n", console.Thousands(int64(r.Images)), console.Thousands(int64(r.Of)),
			shape, r.Values, out, float64(r.Bytes)/1e6, console.Thousands(int64(r.Broken)), console.Thousands(int64(r.Duplicates)), r.Seconds)
		return err
	})
}

// startsAnew says of a signal that ended work what became of it.
func startsAnew(err error) error {
	if stopped := (signalError{}); errors.As(err, &stopped) {
		return fmt.Errorf("%w; nothing is written, and the same command starts anew", stopped)
	}
	return err
}

// choose returns the images that are packed. All are looked at first where some may be
// left out.
func (o *packOptions) choose(ctx context.Context, face console.Face, set data.Dataset, r *shownPack) ([]int, error) {
	n := set.Len()
	if !o.skipBroken && !o.deduplicate {
		return evenly(n, n), nil
	}
	of := &duplicatesOptions{alike: o.alike, skipBroken: o.skipBroken}
	f := &found{set: set, spec: r.Data, options: of}
	height, width, channels := set.Shape()
	if o.deduplicate && (set.Kind() != data.Bytes || channels != 1 && channels != 3) {
		return nil, fault.Usagef("--deduplicate: %s holds numbers of %d×%d×%d, not pictures", r.Data, height, width, channels)
	}
	marks, err := of.look(ctx, face, f)
	if err != nil {
		return nil, err
	}
	r.Notes, r.Broken = append(r.Notes, f.notes...), n-len(f.numbers)
	if !o.deduplicate {
		return f.numbers, nil
	}
	groups, err := groups(ctx, face, marks, o.alike)
	if err != nil {
		return nil, err
	}
	again := map[int]bool{}
	for _, g := range groups {
		for _, m := range g[1:] {
			again[f.numbers[m.Index]] = true
		}
	}
	r.Duplicates = len(again)
	return slices.DeleteFunc(f.numbers, func(i int) bool { return again[i] }), nil
}
