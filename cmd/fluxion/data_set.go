package main

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data"
	"fluxion/data/likeness"
	"fluxion/data/setting"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// setOptions are how a command about data takes a set: as train does.
type setOptions struct {
	data.Options
	json    bool
	sources *settings.Sources
}

// list declares the settings.
func (o *setOptions) list() setting.List {
	o.Labels, o.Fit, o.CacheBytes = data.AutoLabels, data.Crop, 1 // images are read once
	list := setting.List{data.SizeSetting(&o.Size), data.FitSetting((*string)(&o.Fit)), data.ChannelsSetting(&o.Channels), data.RangeSetting(&o.Range), data.LabelsSetting(&o.Labels)}
	for i := range list {
		list[i].Own, list[i].Since, list[i].Before, list[i].Breaks = true, "", "", setting.Breaks{}
	}
	return list
}

// open opens a set.
func (o *setOptions) open(spec string) (data.Dataset, error) {
	if err := o.Fit.Check(spec, o.Size); err != nil {
		return nil, fault.Usagef("--fit %w", err)
	}
	o.FitSaid = fitSaid(o.sources)
	return data.Open(spec, o.Options)
}

// fitSaid says whether the user asks for a fit, and not, as a file of all settings does, for the images' own
// size beside it.
func fitSaid(s *settings.Sources) bool { return s.Has("fit") && !s.Has("size") }

// bind adds the settings of a command about data, and --json, to its flags.
func (o *setOptions) bind(c *cobra.Command, list ...setting.Setting) {
	c.Flags().SortFlags = false
	o.sources = settings.Bind(c, slices.Concat(o.list(), list))
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
}

// sheetSetting declares the file of a sheet.
func sheetSetting(p *string, of string) setting.Setting {
	return setting.Setting{Key: "sheet", Value: setting.Of(p), Own: true, Help: "FILE.png for a sheet of " + of}
}

// checkSheet refuses a sheet that is no PNG.
func checkSheet(path string) error {
	if path != "" && !strings.HasSuffix(strings.ToLower(path), ".png") {
		return fault.Usagef("--sheet %s: want a name that ends in .png", path)
	}
	return nil
}

// skipBrokenSetting declares whether images that cannot be read are left out.
func skipBrokenSetting(p *bool) setting.Setting {
	return setting.Setting{Key: "skip_broken", Value: setting.Of(p), Own: true, Help: "leave out images that cannot be decoded; a note names each"}
}

// likenessSettings declare what is nearly the same; which says where that is asked.
func likenessSettings(o *likeness.Options, which string) setting.List {
	*o = likeness.Options{Bits: 8, Correlation: 0.9}
	return setting.List{
		{Key: "threshold", Value: setting.Of(&o.Bits), Own: true, Help: which + "most bits in which hashes of images that are alike differ", Range: setting.Within(0, likeness.MaxRadius, "")},
		{Key: "correlation", Value: setting.Of(&o.Correlation), Own: true, Help: which + "least correlation of their pixels", Range: setting.Share("a number from 0 to 1")},
	}
}

// hashers make marks of images of any shape.
type hashers map[data.Size]*likeness.Hasher

func (h hashers) mark(e *data.Example, channels int) likeness.Mark {
	if h[e.Size] == nil {
		h[e.Size] = likeness.NewHasher(e.Size.Height, e.Size.Width, channels)
	}
	return h[e.Size].Mark(e.Bytes)
}

// groups are the images that are nearly the same.
func groups(ctx context.Context, face console.Face, marks []likeness.Mark, o likeness.Options) ([][]likeness.Member, error) {
	progress := newImageProgress(face, "compared", len(marks))
	defer face.End()
	return likeness.Groups(ctx, marks, o, progress.show)
}

// oneSet is the arguments of a command that takes DATA.
func oneSet(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if n := len(args); n != 1 {
			return fault.Usagef("data %s takes DATA, and there are %d arguments; DATA is a folder or archive of images, or any other set that train --data takes", name, n)
		}
		return nil
	}
}

// look reads images of a set by their numbers, in the shapes in which they are trained on, on all
// processors. Each of these has a function of its own, as worker makes it. broken is told of an image that cannot be read,
// one at a time; what it returns ends the work.
func look(ctx context.Context, face console.Face, spec string, set data.Dataset, numbers []int, worker func() func(at int, e *data.Example), broken func(at int, err *data.Error) error) error {
	var next atomic.Int64
	var telling sync.Mutex
	done, progress := 0, newImageProgress(face, spec, len(numbers))
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		take := worker()
		group.Go(func() error {
			e := data.NewExample(set)
			for at := int(next.Add(1)) - 1; at < len(numbers); at = int(next.Add(1)) - 1 {
				if err := context.Cause(ctx); err != nil {
					return err
				}
				_, err := e.ReadShaped(set, numbers[at])
				if err == nil {
					take(at, e)
				}
				telling.Lock()
				if bad := (*data.Error)(nil); errors.As(err, &bad) {
					err = broken(at, bad)
				}
				done++
				progress.show(done)
				telling.Unlock()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	face.End()
	return err
}

// evenly returns at most k of 0 … n−1, in even distances.
func evenly(n, k int) []int {
	k = min(n, k)
	all := make([]int, k)
	for i := range all {
		all[i] = int(int64(i) * int64(n) / int64(k))
	}
	return all
}
