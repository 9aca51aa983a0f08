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
	size          int
	save          string
	nearest       string
	take          evaluate.Options
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
	o.metrics, o.network, o.convention, o.precision = []string{"fid"}, "inception", "legacy-tf", "fp32" // bfloat16 would show in the numbers
	list := setting.List{
		{Key: "metrics", Value: setting.Names(&o.metrics), Own: true, Help: "what to compute: " + strings.Join(all, ", ")},
		{Key: "network", Value: setting.Of(&o.network), Own: true, Help: "of features: " + strings.Join(networks, ", ")},
		{Key: "weights", Value: setting.Of(&o.features), Own: true, Help: "file with its weights; where other programs keep them if not given"},
		{Key: "convention", Value: setting.Of(&o.convention), Own: true, Help: "how images are resized: " + strings.Join(conventions, "; ")},
		{Key: "count", Value: setting.Of(&o.count), Own: true, Help: "images that are sampled of a model, and taken of data at most; all of data if not given", Range: setting.Within(2, maxSeeds, "")},
		{Key: "size", Value: setting.Of(&o.size), Own: true, Help: "side to which images of data are cropped and scaled first, as train does it", Range: setting.AtLeast(0, "")},
		{Key: "save", Value: setting.Of(&o.save), Own: true, Help: "FILE.npz for the mean and covariance of SAMPLES' features, to be given in their place"},
		{Key: "nearest", Value: setting.Of(&o.nearest), Own: true, Help: "FILE.png for a sheet of the samples that are most like a real image, each beside it"},
		{Key: "batch", Value: setting.Of(&o.batch), Own: true, Help: "images looked at together; no effect on the result", Range: setting.AtLeast(1, "")},
		{Key: "seed", Value: setting.Of(&o.seed), Own: true, Help: "key of all randomness: of samples, of subsets and directions"},
		{Key: "kid_subsets", Value: setting.Of(&o.take.Subsets), Own: true, Help: "subsets of kid; 100 if not given", Range: setting.AtLeast(0, "")},
		{Key: "kid_size", Value: setting.Of(&o.take.Size), Own: true, Help: "images of a subset of kid; 1000 if not given, or all", Range: setting.AtLeast(0, "")},
		{Key: "neighbours", Value: setting.Of(&o.take.K), Own: true, Help: "of prdc; 3 for precision and recall and 5 for density and coverage if not given", Range: setting.AtLeast(0, "")},
		{Key: "splits", Value: setting.Of(&o.take.Splits), Own: true, Help: "parts of the Inception Score; 10 if not given", Range: setting.AtLeast(0, "")},
	}
	for _, s := range sampling { // how a model is sampled
		switch s.Key {
		case "model", "out", "count", "seeds", "batch", "seed", "columns":
		case "weights":
			s.Key = "model_weights"
			list = append(list, s)
		default:
			list = append(list, s)
		}
	}
	return list
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
	precision, err := device.Precision(o.precision, dev.Target())
	if err != nil {
		return fault.Usagef("--precision: %w", err)
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
	var sets [2]*evaluate.Set
	for i, path := range args {
		if sets[i], err = j.collect(ctx, path, i); err != nil {
			return err
		}
	}
	if err := j.agree(args); err != nil {
		return err
	}
	values, err := evaluate.Compute(metrics, sets[0], sets[1], o.take)
	if err != nil {
		return fault.Usage(err)
	}
	if o.save != "" {
		if err := moments.Write(durable.Disk{}, o.save, sets[0], j.about); err != nil {
			return err
		}
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
		Event: "done", Metrics: map[string]float64{}, Errors: map[string]float64{}, Sampling: j.sampling, Network: j.about.Network, Weights: j.about.Weights,
		Convention: j.about.Convention, Precision: j.extractor.Precision.String(), Save: j.save, Nearest: j.nearest, Pairs: pairs, Notes: orEmpty(j.notes), Seconds: took.Seconds(),
	}
	for _, v := range values {
		r.Metrics[v.Name] = v.Value
		if v.Error != 0 {
			r.Errors[v.Name] = v.Error
		}
	}
	var of []string
	for _, s := range sets {
		if s == nil {
			continue
		}
		r.N, r.Sets = append(r.N, s.N), append(r.Sets, s.Name)
		if s.N == 0 {
			of = append(of, s.Name)
			continue
		}
		of = append(of, fmt.Sprintf("%s images of %s", console.Thousands(s.N), s.Name))
	}
	return j.face.Result(r, func(out io.Writer) error {
		for _, v := range values {
			text := fmt.Sprintf("%-12s %.6g", v.Name, v.Value)
			if v.Error != 0 {
				text += fmt.Sprintf(" ± %.2g", v.Error)
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
