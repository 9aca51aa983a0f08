package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/moments"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/likelihood"
	"fluxion/engine/model"
	"fluxion/nets/feature"

	"github.com/spf13/cobra"
)

type evalOptions struct {
	sampleOptions          // how a model is sampled
	names         []string // of metrics
	network       string
	features      string // file of the network's weights
	convention    string
	side          data.Size // of images of data
	realCount     int
	skipBroken    bool
	ofSampling    []string // keys that only models need
	save          string
	part          string // I/N
	nearest       string
	copyQuantile  float64 // of the distances between real images, below which a sample is a near copy
	take          evaluate.Options
	precise       string // of the network of features
	request       likelihood.Request
	channels      int      // of images of data, for bpd, elbo and vlb
	ofLikelihood  []string // keys that only those need
}

func newEval() *cobra.Command {
	o := &evalOptions{}
	var names []string
	for _, m := range evaluate.Metrics {
		names = append(names, fmt.Sprintf("  %-12s %s", m.Name, m.Summary))
	}
	var likelihoods []string
	for _, m := range likelihood.Metrics {
		likelihoods = append(likelihoods, fmt.Sprintf("  %-12s %s", m.Name, m.Summary))
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
networks are called fd. Without any file, the features are those of glyph, a small
classifier of characters that is part of the program. All depend on how images are
resized (--convention) and on how many there are: numbers of other conventions or
counts cannot be compared, so both are printed. Two metrics sample nothing, and need
no features:
` + strings.Join(likelihoods, "\n") + `

SAMPLES is a model then, and REAL data like those that it was trained on, of which
--real-count N are taken. The model is told their classes if it knows any.

A large set may be looked at in parts, as by jobs of an array: --part I/N looks at
part I, from 1 to N, and saves of it what the --metrics will need, with those of
samples and of real images. The files of all parts, in any order, then stand in the
place of the set, and give the numbers that the whole gives. --part 1/1 keeps a set as
a whole so, for metrics such as kid and prdc, of which --save alone holds nothing.`,
		Example: `  fluxion eval runs/glyphs-tiny glyphs --count 1000 --real-count 10000 --metrics fd,kid --network glyph
  fluxion eval out cifar10/train.zip --metrics fid,kid,prdc --weights pt_inception-2015-12-05-6726825d.pth
  fluxion eval out pictures --metrics fd,kid --network lite0 --weights efficientnet-lite0-57934424.pth
  fluxion eval cifar10/train.zip --save cifar10.npz --weights pt_inception-2015-12-05-6726825d.pth
  fluxion eval runs/pictures-small pictures --count 1000 --metrics authpct --nearest copies.png --network lite0
  fluxion eval runs/mnist-micro mnist:DIR --size 32 --metrics bpd,elbo --real-count 100
  fluxion eval runs/pictures-small --count 50000 --metrics fid,kid --part 3/8 --save part3.npz
  fluxion eval part*.npz pictures --metrics fid,kid
  fluxion eval a.npz b.npz --metrics fd`,
		Args: func(_ *cobra.Command, args []string) error {
			return checkSides(sidesOf(args))
		},
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), args)
		},
	}
	c.Flags().SortFlags = false
	o.sources = settings.Bind(c, o.all())
	c.Flags().Lookup("clip").NoOptDefVal = "true"
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
	return c
}

func (o *evalOptions) run(ctx context.Context, face console.Face, args []string) (err error) {
	o.json = false // of the sampling within
	likelihoods, features, err := splitMetrics(o.names)
	switch given := o.sources.Meant(o.ofLikelihood...); {
	case err != nil:
		return fault.Usagef("--metrics: %w", err)
	case len(likelihoods) > 0 && len(features) > 0:
		return fault.Usagef("--metrics: %s judges a model without sampling, %s judges samples; want a command for each", likelihoods[0], features[0])
	case len(likelihoods) > 0 && o.part != "":
		return fault.Usagef("--part: %s judges no samples", likelihoods[0])
	case len(likelihoods) > 0:
		return o.likelihood(ctx, face, args, likelihoods)
	case len(given) > 0:
		return fault.Usagef("%s: of bpd, elbo and vlb, which are not among the metrics", strings.Join(given, ", "))
	}
	o.imply(args)
	j := &judging{evalOptions: o, face: face}
	sides := sidesOf(args)
	if err := errors.Join(o.checkPart(sides), j.choose(len(sides) == 2)); err != nil {
		return err
	}
	dev, err := machine.Open(o.device, o.threads, o.blockings, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	j.extractor.Device = dev
	if j.extractor.Precision, err = device.Precision(o.precise, dev.Target()); err != nil {
		return fault.Usagef("--features-precision: %w", err)
	}
	begin := time.Now()
	defer j.close()
	if err := j.open(sides); err != nil {
		return err
	}
	if err := errors.Join(j.check(), moments.Room(o.save), roomForSheet("--nearest", o.nearest, sheetText)); err != nil {
		return err
	}
	var sets [2]*evaluate.Set
	for i, s := range j.sides {
		if sets[i], err = j.collect(ctx, s, j.needs[i]); err != nil {
			return err
		}
		if o.part != "" {
			if err := moments.WritePart(durable.Disk{}, o.save, sets[0], j.partAbout(s)); err != nil {
				return err
			}
			return j.show(sets, nil, nil, nil, time.Since(begin))
		}
		if i == 0 && o.save != "" { // whatever becomes of the other
			if err := moments.Write(durable.Disk{}, o.save, sets[0], j.aboutOf(s)); err != nil {
				return err
			}
		}
	}
	values, err := evaluate.Compute(ctx, j.metrics, sets[0], sets[1], o.take)
	if stopped := context.Cause(ctx); stopped != nil {
		return stopped
	}
	if err != nil {
		return fault.Usage(err)
	}
	var pairs []pair
	var copies *shownCopies
	if o.nearest != "" {
		if pairs, copies, err = j.closest(sets); err != nil {
			return err
		}
	}
	return j.show(sets, values, pairs, copies, time.Since(begin))
}

// choose resolves the names of the command line: what to compute, and of which features.
func (j *judging) choose(two bool) (err error) {
	if j.metrics, err = evaluate.FindMetrics(j.names); err != nil {
		return fault.Usagef("--metrics: %w", err)
	}
	if j.save != "" && !strings.HasSuffix(strings.ToLower(j.save), ".npz") {
		return fault.Usagef("--save %s: want a name that ends in .npz", j.save)
	}
	if j.nearest != "" && (!two || !strings.HasSuffix(strings.ToLower(j.nearest), ".png")) {
		return fault.Usagef("--nearest %s: want SAMPLES and REAL, and a name that ends in .png", j.nearest)
	}
	if len(j.metrics) == 0 && j.sources.Has("metrics") {
		return fault.Usagef("--metrics names none; want one or more")
	}
	if _, err := os.Stat(j.features); err != nil && (strings.HasPrefix(j.features, model.EMA) || strings.HasPrefix(j.features, model.Raw)) {
		return fault.Usagef("--weights %s: that is the file of the network of features; which weights of the model says --model-weights %s", j.features, j.features)
	}
	j.extractor.Batch, j.take.Seed = j.batch, j.seed
	return j.settle(cmp.Or(j.network, networkFor(j.metrics, j.features)), two)
}

// settle decides on a network, on metrics if the user names none, and on what they need.
func (j *judging) settle(network string, two bool) (err error) {
	if j.extractor.Network, err = feature.Find(network); err != nil {
		return fault.Usagef("--network: %w", err)
	}
	convention := ""
	if j.sources.Has("convention") {
		convention = j.convention
	}
	if j.extractor.Convention, err = evaluate.ConventionOf(j.extractor.Network, convention); err != nil {
		return fault.Usagef("--convention: %w", err)
	}
	switch {
	case j.sources.Has("metrics"):
	case j.save != "" && !two:
		j.metrics = nil
	default:
		name := "fd"
		if j.extractor.Network.Name == evaluate.NetworkOfFID {
			name = "fid"
		}
		if j.metrics, err = evaluate.FindMetrics([]string{name}); err != nil {
			return err
		}
	}
	if err := evaluate.Check(j.metrics, j.extractor.Network.Name, two || j.part != ""); err != nil {
		return fault.Usagef("--metrics: %w", err)
	}
	j.needs = [2]evaluate.Needs{}
	for i := range j.needs {
		for _, m := range j.metrics {
			j.needs[i] = j.needs[i].Join(m.Of(i == 1))
		}
		j.needs[i].Features = j.needs[i].Features || j.nearest != ""
	}
	if j.part != "" { // it may be of either set
		j.needs[0] = j.needs[0].Join(j.needs[1])
	}
	if j.save != "" {
		j.needs[0].Statistics = true
		j.needs[0].Spatial = j.needs[0].Spatial || slices.Contains(j.extractor.Network.Outputs, feature.Spatial)
	}
	return nil
}
