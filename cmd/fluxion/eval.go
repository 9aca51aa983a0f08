package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/moments"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data/durable"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/nets/feature"

	"github.com/spf13/cobra"
)

type evalOptions struct {
	sampleOptions // how a model is sampled
	metrics       []string
	network       string
	features      string // file of the network's weights
	convention    string
	side          int // of images of data
	realCount     int
	skipBroken    bool
	dim           int // numbers that the network says of an image
	save          string
	nearest       string
	take          evaluate.Options
	precise       string // of the network of features
}

func newEval() *cobra.Command {
	o := &evalOptions{}
	var names []string
	for _, m := range evaluate.Metrics {
		names = append(names, fmt.Sprintf("  %-12s %s", m.Name, m.Summary))
	}
	c := &cobra.Command{
		Use:   "eval SAMPLES [REAL]",
		Short: "Judge images: Fréchet distances, KID, Inception Score, precision and recall",
		Long: `Judge SAMPLES against REAL images. Each is a folder or archive of images, or other
data as train takes them; a model, which is sampled for it and leaves no files
(--count, and how as sample does it); or a file with the mean and covariance of
features: .npz of pytorch-fid, clean-fid, ADM, EDM or of --save, .pkl of EDM2. Two
such files need no network. Metrics:
` + strings.Join(names, "\n") + `

An FID is of the features of Inception alone, whose weights come from a file:
--weights, or where pytorch-fid and torch-fidelity keep theirs. Distances of other
networks are called fd. All depend on how images are resized (--convention) and on
how many there are: numbers of other conventions or counts cannot be compared, so
both are printed.`,
		Example: `  fluxion eval out cifar10/train.zip --metrics fid,kid,prdc --weights pt_inception-2015-12-05-6726825d.pth
  fluxion eval runs/glyphs-tiny glyphs --count 1000 --metrics fd,kid --network lite0 --weights efficientnet-lite0-57934424.pth
  fluxion eval cifar10/train.zip --save cifar10.npz --weights pt_inception-2015-12-05-6726825d.pth
  fluxion eval runs/pictures-small pictures --count 1000 --metrics authpct --nearest copies.png --network lite0
  fluxion eval a.npz b.npz --metrics fd`,
		Args: func(_ *cobra.Command, args []string) error {
			if n := len(args); n != 1 && n != 2 {
				return fault.Usagef("eval takes SAMPLES and REAL, or SAMPLES alone; there are %d arguments", n)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), args)
		},
	}
	c.Flags().SortFlags = false
	o.sources = settings.Bind(c, o.list())
	c.Flags().Lookup("clip").NoOptDefVal = "true"
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
	return c
}

// list declares the settings, with their defaults.
func (o *evalOptions) list() setting.List {
	sampling := o.sampleOptions.list()
	var all, conventions, networks []string
	for _, m := range evaluate.Metrics {
		all = append(all, m.Name)
	}
	for _, c := range evaluate.Conventions {
		conventions = append(conventions, c.Name+" ("+c.Summary+")")
	}
	for _, n := range feature.Networks {
		networks = append(networks, n.Name)
	}
	o.metrics, o.network, o.convention, o.precise = []string{"fid"}, "inception", "legacy-tf", "fp32"
	list := setting.List{
		{Key: "metrics", Value: setting.Names(&o.metrics), Own: true, Help: "what to compute: " + strings.Join(all, ", ")},
		{Key: "network", Value: setting.Of(&o.network), Own: true, Help: "of features: " + strings.Join(networks, ", ")},
		{Key: "weights", Value: setting.Of(&o.features), Own: true, Help: "file with its weights; where other programs keep them if not given"},
		{Key: "convention", Value: setting.Of(&o.convention), Own: true, Help: "how images are resized: " + strings.Join(conventions, "; ")},
		{Key: "count", Value: setting.Of(&o.count), Own: true, Help: "images of SAMPLES: that a model makes, or that are taken of data, evenly spaced; all of data if not given", Range: setting.Within(0, maxSeeds, "")},
		{Key: "real_count", Value: setting.Of(&o.realCount), Own: true, Help: "the same of REAL", Range: setting.Within(0, maxSeeds, "")},
		{Key: "size", Value: setting.Of(&o.side), Own: true, Help: "side to which images of data are cropped and scaled first, as train does it", Range: setting.Within(0, 4096, "")},
		{Key: "skip_broken", Value: setting.Of(&o.skipBroken), Own: true, Help: "leave out images that cannot be decoded; a note names each"},
		{Key: "features_precision", Value: setting.Of(&o.precise), Own: true, Help: "of the network of features: fp32 or bf16, which is quicker and shows in the numbers"},
		{Key: "save", Value: setting.Of(&o.save), Own: true, Help: "FILE.npz for the mean and covariance of SAMPLES' features, to be given in their place"},
		{Key: "nearest", Value: setting.Of(&o.nearest), Own: true, Help: "FILE.png for a sheet of the samples that are most like a real image, each beside it"},
		{Key: "batch", Value: setting.Of(&o.batch), Own: true, Help: "images looked at together; no effect on the result", Range: setting.AtLeast(1, "")},
		{Key: "seed", Value: setting.Of(&o.seed), Own: true, Help: "key of all randomness: of samples, of subsets and directions"},
		{Key: "kid_subsets", Value: setting.Of(&o.take.Subsets), Own: true, Help: "subsets of kid; 100 if not given", Range: setting.Within(0, 100000, "")},
		{Key: "kid_size", Value: setting.Of(&o.take.Size), Own: true, Help: "images of a subset of kid; 1000 if not given, or all", Range: setting.Within(0, maxSeeds, "")},
		{Key: "neighbours", Value: setting.Of(&o.take.K), Own: true, Help: "of prdc; 3 for precision and recall and 5 for density and coverage if not given", Range: setting.Within(0, 1000, "")},
		{Key: "splits", Value: setting.Of(&o.take.Splits), Own: true, Help: "parts of the Inception Score; 10 if not given", Range: setting.Within(0, 100000, "")},
	}
	for _, s := range sampling { // how a model is sampled
		if notSampling[s.Key] {
			continue
		}
		if s.Key == "weights" {
			s.Key = "model_weights"
		}
		list = append(list, s)
	}
	return list
}

// notSampling are settings of sample that eval has not, or for other purposes, too.
var notSampling = map[string]bool{"model": true, "out": true, "count": true, "seeds": true, "batch": true, "seed": true, "columns": true}

// samplingKeys are the settings that only models need.
func samplingKeys(sampling setting.List) []string {
	var keys []string
	for _, s := range sampling {
		switch key := s.Key; {
		case notSampling[key], key == "device", key == "threads", key == "blockings", key == "precision":
		case key == "weights":
			keys = append(keys, "model_weights")
		default:
			keys = append(keys, key)
		}
	}
	return keys
}

func (o *evalOptions) run(ctx context.Context, face console.Face, args []string) (err error) {
	o.json = false // of the sampling within
	metrics, err := evaluate.FindMetrics(o.metrics)
	if err != nil {
		return fault.Usagef("--metrics: %w", err)
	}
	if o.save != "" && !strings.HasSuffix(strings.ToLower(o.save), ".npz") {
		return fault.Usagef("--save %s: want a name that ends in .npz", o.save)
	}
	if o.nearest != "" && (len(args) == 1 || !strings.HasSuffix(strings.ToLower(o.nearest), ".png")) {
		return fault.Usagef("--nearest %s: want SAMPLES and REAL, and a name that ends in .png", o.nearest)
	}
	if o.save != "" && len(args) == 1 && !o.sources.Has("metrics") {
		metrics = nil
	} else if len(metrics) == 0 {
		return fault.Usagef("--metrics names none; want one or more")
	}
	network, err := feature.Find(o.network)
	if err != nil {
		return fault.Usagef("--network: %w", err)
	}
	convention, err := evaluate.FindConvention(o.convention)
	if err != nil {
		return fault.Usagef("--convention: %w", err)
	}
	if err := evaluate.Check(metrics, network.Name, len(args) == 2); err != nil {
		return fault.Usagef("--metrics: %w", err)
	}
	dev, err := machine.Open(o.device, o.threads, o.blockings, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	precision, err := device.Precision(o.precise, dev.Target())
	if err != nil {
		return fault.Usagef("--features-precision: %w", err)
	}
	j := &judging{
		evalOptions: o, face: face, device: dev, metrics: metrics,
		extractor: evaluate.ExtractorOptions{Network: network, Convention: convention, Batch: o.batch, Device: dev, Precision: precision},
	}
	for _, m := range metrics {
		j.needs = j.needs.Join(m.Needs)
	}
	if o.save != "" {
		j.needs.Statistics = true
		j.needs.Spatial = j.needs.Spatial || network.Name == "inception"
	}
	j.needs.Features = j.needs.Features || o.nearest != ""
	begin := time.Now()
	defer func() {
		for _, s := range j.sides {
			if s.source != nil {
				s.source.close()
			}
		}
	}()
	if err := j.open(args); err != nil {
		return err
	}
	if err := errors.Join(j.check(), moments.Room(o.save), moments.Room(o.nearest)); err != nil {
		return err
	}
	var sets [2]*evaluate.Set
	for i, s := range j.sides {
		if sets[i], err = j.collect(ctx, s); err != nil {
			return err
		}
		if i == 0 && o.save != "" { // whatever becomes of the other
			about := j.about
			if s.source != nil {
				about.Images = fmt.Sprintf("%s, %s", s.path, sizeText(s.source.size()))
			}
			if err := moments.Write(durable.Disk{}, o.save, sets[0], about); err != nil {
				return err
			}
		}
	}
	values, err := evaluate.Compute(ctx, metrics, sets[0], sets[1], o.take)
	if stopped := context.Cause(ctx); stopped != nil {
		return stopped
	}
	if err != nil {
		return fault.Usage(err)
	}
	var pairs []pair
	if o.nearest != "" {
		if pairs, err = j.closest(sets); err != nil {
			return err
		}
	}
	return j.show(sets, values, pairs, time.Since(begin))
}

// shownEvaluation is the result in JSON.
type shownEvaluation struct {
	Event      string             `json:"event"`
	Metrics    map[string]float64 `json:"metrics"`
	Errors     map[string]float64 `json:"errors"` // standard errors and deviations, of metrics that have one
	N          []int64            `json:"n"`      // images of each set; 0: not known
	Sets       []string           `json:"sets"`
	Sizes      []string           `json:"sizes"`              // of their images; "" of stored statistics
	How        map[string]string  `json:"how"`                // what a metric was taken of, and what its error is
	Sampling   map[string]string  `json:"sampling,omitempty"` // of models
	Network    string             `json:"network"`
	Weights    string             `json:"weights"` // the beginning of the SHA-256 of the file
	Convention string             `json:"convention"`
	Precision  string             `json:"precision"`
	Save       string             `json:"save,omitempty"`
	Nearest    string             `json:"nearest,omitempty"` // the sheet
	Pairs      []pair             `json:"pairs,omitempty"`   // on it, the most alike first
	Notes      []string           `json:"notes"`
	Seconds    float64            `json:"seconds"`
}

func (j *judging) show(sets [2]*evaluate.Set, values []evaluate.Value, pairs []pair, took time.Duration) error {
	r := shownEvaluation{
		Event: "done", Metrics: map[string]float64{}, Errors: map[string]float64{}, How: map[string]string{}, Sampling: j.sampling, Network: j.about.Network, Weights: j.about.Weights,
		Convention: j.about.Convention, Precision: j.about.Precision, Save: j.save, Nearest: j.nearest, Pairs: pairs, Notes: orEmpty(j.notes), Seconds: took.Seconds(),
	}
	for _, v := range values {
		r.Metrics[v.Name] = v.Value
		if v.Error != 0 {
			r.Errors[v.Name] = v.Error
		}
		if v.How != "" {
			r.How[v.Name] = v.How
		}
	}
	var of []string
	for i, side := range j.sides {
		n, size := sets[i].N, ""
		text := side.path
		if n > 0 {
			text = fmt.Sprintf("%s images of %s", console.Thousands(n), side.path)
		}
		if side.source != nil {
			size = sizeText(side.source.size())
			text += ", " + size
		}
		r.N, r.Sets, r.Sizes, of = append(r.N, n), append(r.Sets, side.path), append(r.Sizes, size), append(of, text)
	}
	return j.face.Result(r, func(out io.Writer) error {
		for _, v := range values {
			text := fmt.Sprintf("%-12s %.6g", v.Name, v.Value)
			if v.Error != 0 {
				text += fmt.Sprintf(" ± %.2g", v.Error)
			}
			if v.How != "" {
				text += " (" + v.How + ")"
			}
			if _, err := fmt.Fprintln(out, text); err != nil {
				return err
			}
		}
		for _, n := range j.notes {
			if _, err := fmt.Fprintln(out, noteLine(n)); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(out, "%s; %s; %.1f s\n", strings.Join(of, " against "), j.how(), took.Seconds())
		if err == nil && j.save != "" {
			_, err = fmt.Fprintf(out, "saved       %s\n", j.save)
		}
		if err == nil && j.nearest != "" {
			_, err = fmt.Fprintf(out, "nearest     %s: %d samples beside the real image most like each, at distances %.4g to %.4g\n", j.nearest, len(pairs), pairs[0].Distance, pairs[len(pairs)-1].Distance)
		}
		return err
	})
}
