package main

import (
	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/evaluate"
)

// all declares the settings, with their defaults: of judging samples, and of likelihood.
func (o *evalOptions) all() setting.List {
	channels := data.ChannelsSetting(&o.channels).Helps("channels to which pictures are brought for bpd, elbo and vlb, as train does it")
	channels.Own, channels.Breaks = true, setting.Breaks{}
	of := append(o.request.Settings(), channels)
	o.ofLikelihood = of.Keys()
	list := o.list().With("metrics", func(s *setting.Setting) {
		s.Help += "; bpd, elbo and vlb are of a model and data"
	})
	return append(list, of...)
}

// list declares the settings of judging samples.
func (o *evalOptions) list() setting.List {
	sampling := o.sampleOptions.list()
	o.convention, o.precise, o.copyQuantile = evaluate.DefaultConvention, "fp32", 0.01
	metrics := evaluate.MetricsSetting(setting.Names(&o.names))
	metrics.Help += "; if not given fid, or fd where the features are not those of " + evaluate.NetworkOfFID
	size := data.SizeSetting(&o.side).Helps("side, or HEIGHTxWIDTH, to which images of data are cropped and scaled first, as train does it")
	size.Own, size.Breaks = true, setting.Breaks{}
	list := append(setting.List{metrics}, evaluate.FeatureSettings(&o.network, &o.features, &o.convention)...)
	list = append(list, setting.List{
		{Key: "count", Value: setting.Of(&o.count), Own: true, Help: "images of SAMPLES: that a model makes, or that are taken of data, evenly spread; all of data if not given", Range: setting.Within(0, maxSeeds, "")},
		{Key: "real_count", Value: setting.Of(&o.realCount), Own: true, Help: "the same of REAL", Range: setting.Within(0, maxSeeds, "")},
		size, o.fitSetting("how images of data are brought to it, as train does it: "),
		{Key: "skip_broken", Value: setting.Of(&o.skipBroken), Own: true, Help: "leave out images that cannot be decoded; a note names each"},
		{Key: "features_precision", Value: setting.Of(&o.precise), Own: true, Help: "of the network of features: fp32 or bf16, which is quicker and shows in the numbers"},
		{Key: "save", Value: setting.Of(&o.save), Own: true, Help: "FILE.npz for the mean and covariance of SAMPLES' features, to be given in their place"},
		{Key: "part", Value: setting.Of(&o.part), Own: true, Offers: someParts, Help: "I/N: look at part I of N of SAMPLES alone, and --save what the --metrics need of it; given together, the files of all parts are SAMPLES, or REAL"},
		{Key: "nearest", Value: setting.Of(&o.nearest), Own: true, Help: "FILE.png for a sheet of the samples that are most like a real image, each beside it"},
		{Key: "copy_quantile", Value: setting.Of(&o.copyQuantile), Own: true, Help: "of --nearest: a sample is a near copy if it is nearer to a real image than all but this share of real images are to another; as large a share of new images would be", Range: setting.BelowOne("a share from 0, below 1")},
		{Key: "batch", Value: setting.Of(&o.batch), Own: true, Help: "images looked at together; no effect on the result", Range: setting.AtLeast(1, "")},
		{Key: "seed", Value: setting.Of(&o.seed), Own: true, Help: "key of all randomness: of samples, of subsets and directions"},
		{Key: "kid_subsets", Value: setting.Of(&o.take.Subsets), Own: true, Help: "subsets of kid; 100 if not given", Range: setting.Within(0, 100000, "")},
		{Key: "kid_size", Value: setting.Of(&o.take.Size), Own: true, Help: "images of a subset of kid; 1000 if not given, or all", Range: setting.Within(0, maxSeeds, "")},
		{Key: "neighbours", Value: setting.Of(&o.take.K), Own: true, Help: "of prdc; 3 for precision and recall and 5 for density and coverage if not given", Range: setting.Within(0, 1000, "")},
		{Key: "closed_balls", Value: setting.Of(&o.take.Closed), Own: true, Help: "of prdc: an image at the very radius is a neighbour, too, as with the authors of precision and recall"},
		{Key: "splits", Value: setting.Of(&o.take.Splits), Own: true, Help: "parts of the Inception Score; 10 if not given", Range: setting.Within(0, 100000, "")},
	}...)
	for _, s := range sampling { // how a model is sampled
		switch s.Key {
		case "model", "out", "count", "seeds", "batch", "seed", "columns", "depth", "fit": // eval has not, or for other purposes, too
			continue
		case "device", "threads", "blockings":
		case "weights":
			s.Key = "model_weights"
			fallthrough
		default:
			o.ofSampling = append(o.ofSampling, s.Key)
		}
		list = append(list, s)
	}
	return list
}
