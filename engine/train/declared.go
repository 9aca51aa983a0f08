package train

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/augment"
	"fluxion/engine/average"
	"fluxion/engine/couple"
	"fluxion/engine/device"
	"fluxion/engine/device/tuning"
	"fluxion/engine/evaluate"
	"fluxion/engine/objective"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/nets/catalog"
)

// Limits of settings, far beyond use: what is left is arithmetic that stays exact, and
// sizes that the check of memory can judge.
const (
	maxImages = 1 << 53 // float64 counts no further
	maxBatch  = 1 << 20
	maxGrid   = 10_000
)

// imagesFrom is a range of images.
func imagesFrom(least int64, text string) setting.Range {
	return setting.Within(least, maxImages, text)
}

// List declares the settings, in the order of the fields. Those that other packages
// own are declared there.
func (s *Settings) List() setting.List {
	return slices.Concat(
		setting.List{data.NameSetting(&s.Data), data.SizeSetting(&s.Size), data.FitSetting(&s.Fit), data.ChannelsSetting(&s.Channels), data.RangeSetting(&s.Range), data.LabelsSetting(&s.Labels), data.FlipSetting(&s.Flip), augment.Setting(&s.Augment), posteriorSetting(&s.Posterior), data.SkipBrokenSetting(&s.SkipBroken)},
		setting.List{recipeSetting(&s.Recipe), catalog.PresetSetting(&s.Preset), initSetting(&s.Init)},
		process.ScheduleSettings(&s.Schedule, &s.ClipLambda, &s.Shift, &s.ZeroSNR, &s.Scale), setting.List{process.TimeScaleSetting(&s.TimeScale)},
		process.NoiseSettings(&s.Source, &s.Bridge),
		process.LossSettings(&s.Output, &s.Weighting, &s.TimeSampler), setting.List{objective.UncertaintySetting(&s.Uncertainty), objective.NameSetting(&s.Objective), conditionSetting(&s.Condition), couple.Setting(&s.Coupling)}, s.teaching(), setting.List{objective.LossSetting(&s.Loss), objective.TargetSetting(&s.Target)},
		s.steps(), s.optimization(), s.network(),
		setting.List{
			device.PrecisionSetting(&s.Precision), device.NameSetting(&s.Device), device.ThreadsSetting(&s.Threads),
			plan.RecomputeSetting(&s.Recompute), tuning.BlockingsSetting(&s.Blockings),
		},
		s.files(), s.evaluation(),
	)
}

// steps are the settings of how images make steps.
func (s *Settings) steps() setting.List {
	return setting.List{
		{Key: "images", Value: setting.Images(&s.Images, &s.Batch), Help: "length of the run in images seen; as all numbers of images perhaps in steps, as in 1000steps", Range: imagesFrom(1, "1 to 2^53")},
		{Key: "batch", Value: setting.Of(&s.Batch), Help: "images of a step", Range: setting.Within(1, maxBatch, "")},
		{Key: "accumulate", Value: setting.Of(&s.Accumulate), Help: "micro-batches a step is cut into, to save memory", Range: setting.AtLeast(1, "a divisor of batch")},
		{
			Key: "accumulation", Value: setting.Of(&s.Accumulation), Since: "2026-11-29", Before: inTurn, Range: setting.OneOf("order of sums", accumulations),
			Help: "order in which gradients of micro-batches are added: tree, or sequential, as in runs that began before there was the tree",
		},
	}
}

// optimization are the settings of how gradients change weights.
func (s *Settings) optimization() setting.List {
	return setting.List{
		{Key: "optimizer", Value: setting.Of(&s.Optimizer), Help: "how gradients change weights: " + methodText("optimizer") + "; perhaps with settings of its own, as in sgd:momentum=0.8,nesterov=true", Range: oneOf("optimizer"), Breaks: setting.Always, Since: "2026-11-29", Before: adamWName},
		{Key: "lr", Value: setting.Of(&s.LR), Help: "largest learning rate", Range: setting.Positive},
		{Key: "lr_schedule", Value: setting.Of(&s.LRSchedule), Help: "how the learning rate goes on behind its warm-up: " + methodText("lr_schedule") + "; perhaps with a setting of its own, as in linear:decay=0.2", Range: oneOf("lr_schedule"), Since: "2026-11-29", Before: linearName},
		{Key: "lr_ref", Value: setting.Images(&s.LRRef, &s.Batch), Help: "of inverse-sqrt: images at which the learning rate begins to fall; a tenth of the run if nothing is said", Unit: "images", Range: imagesFrom(0, "1 to 2^53"), Since: "2026-11-29"},
		{Key: "lr_step", Value: setting.Images(&s.LRStep, &s.Batch), Help: "of step: images of a plateau of the learning rate; a third of the run if nothing is said", Unit: "images", Range: imagesFrom(0, "1 to 2^53"), Since: "2026-11-30"},
		{Key: "lr_gamma", Value: setting.Of(&s.LRGamma), Help: "of step: how high a plateau is to that before; 0.1 if nothing is said", Range: setting.Share("a share above 0, up to 1"), Since: "2026-11-30"},
		{Key: "lr_end", Value: setting.Of(&s.LREnd), Help: "of linear and cosine: what the learning rate falls to", Range: setting.NotNegative(""), Since: "2026-11-30"},
		{Key: "warmup", Value: setting.Images(&s.Warmup, &s.Batch), Help: "images over which the learning rate rises", Unit: "images", Range: imagesFrom(0, "0 to 2^53")},
		{Key: "decay", Value: setting.Images(&s.Decay, &s.Batch), Help: "of linear: share of the run, at its end, over which the learning rate falls, or the images of that", Range: setting.Numbers("a share from 0 to 1, or images from 2 on", func(x float64) bool { return x >= 0 && x <= 1 || x >= 2 && x <= maxImages })},
		{Key: "beta1", Value: setting.Of(&s.Beta1), Help: "share of the first moment that is kept, of adamw, adam, radam and muon; of lion that in the step's direction", Range: setting.BelowOne("a number in [0, 1)")},
		{Key: "beta2", Value: setting.Of(&s.Beta2), Help: "share of the second moment that is kept, of adamw, adam, radam and muon; of lion that of its momentum", Range: setting.BelowOne("a number in [0, 1)")},
		{Key: "epsilon", Value: setting.Of(&s.Epsilon), Help: "of adamw, adam, radam and muon: joins the root of the second moment", Range: setting.NotNegative("a positive number")},
		{Key: "momentum", Value: setting.Of(&s.Momentum), Help: "of sgd and muon: share of the last step's direction that is kept; 0.9 and 0.95 if nothing is said", Range: setting.BelowOne("a number in [0, 1)"), Since: "2026-11-29"},
		{Key: "nesterov", Value: setting.Of(&s.Nesterov), Help: "of sgd and muon: look ahead by the momentum (Nesterov); muon does if nothing is said", Since: "2026-11-29"},
		{Key: "weight_decay", Value: setting.Of(&s.WeightDecay), Help: "weight decay, as PyTorch has it: decoupled in adamw, lion and muon, joined to the gradients in sgd, adam and radam", Range: setting.NotNegative("")},
		{Key: "weight_decay_of", Value: setting.Of(&s.WeightDecayOf), Help: "weights that decay: all, or matrices (no biases and norms)", Range: setting.OneOf("weights", []string{decayAll, decayMatrices}), Since: "2026-11-30", Before: decayAll},
		{Key: "clip", Value: setting.Of(&s.Clip), Help: "largest norm of the gradients", Range: setting.NotNegative("0 (none) or more")},
		{
			Key: "ema", Value: setting.Text(&s.EMA),
			Help: "half-life of the averaged weights; of several averages as in 2000,20000 (sample --weights ema:20000). power:0.05 is an average by a power of time " +
				"that is 5 % of the run wide (σ_rel, EDM2), of which others can be made after training; power alone is power:0.05,power:0.10",
			Range:  setting.Range{Text: fmt.Sprintf("0 to 2^53 images, or power:%v to power:%v", average.MinSigma, average.MaxSigma), Holds: func(all any) bool { return all.(Averages).inRange() }},
			Breaks: setting.Breaks{Text: "an average that is not kept yet", If: func(old, next any) bool { return !old.(Averages).goesOnAs(next.(Averages)) }},
		},
		{Key: "ema_warmup", Value: setting.Of(&s.EMAWarmup), Help: "largest half-life as a share of the images seen", Range: setting.NotNegative("")},
		{Key: "gradient_noise_scale", Value: setting.Of(&s.NoiseScale), Help: "measure the noise scale of gradients, in images, from the micro-batches of --accumulate: batches far beyond it gain little", Since: "2026-11-30"},
		{Key: "recover", Value: setting.Of(&s.Recover), Help: "how often a run whose numbers are not finite any more goes back to its last good checkpoint, with half the learning rate from there on", Range: setting.Within(0, 100, ""), Since: "2026-11-30"},
	}
}

// network are the settings of what a network is given.
func (s *Settings) network() setting.List {
	return setting.List{
		{Key: "label_drop", Value: setting.Of(&s.LabelDrop), Help: "share of images trained without their label, for guidance", Range: setting.BelowOne("a share in [0, 1)")},
		{
			Key: "dropout", Value: setting.Of(&s.Dropout), Help: "share of each residual block's values that are left out in training", Since: "2026-11-29",
			Range: setting.BelowOne("0 (none) or a share below 1"), Breaks: setting.Always,
		},
		{Key: "seed", Value: setting.Of(&s.Seed), Help: "of weights, order, noise and times", Breaks: setting.Always},
		{
			Key: "self_conditioning", Value: setting.Of(&s.SelfConditioning), Since: "2026-11-24",
			Help:   "share of images that are given the network's own estimate of them, from a pass without gradient (Analog Bits)",
			Range:  setting.BelowOne("0 (none) or a share below 1, such as 0.5: sampling begins without an estimate"),
			Breaks: setting.Breaks{Text: "from or to 0", If: func(old, next any) bool { return (old == 0.0) != (next == 0.0) }}, // another network
		},
	}
}

// files are the settings of what a run writes.
func (s *Settings) files() setting.List {
	return setting.List{
		{Key: "checkpoint_every", Value: setting.Images(&s.CheckpointEvery, &s.Batch), Help: "images between checkpoints", Unit: "images", Range: imagesFrom(0, "0 (only at the end) to 2^53")},
		{Key: "keep", Value: setting.Of(&s.Keep), Help: "newest checkpoints that stay", Range: setting.AtLeast(1, "1 or more checkpoints")},
		{
			Key: "ema_snapshot_every", Value: setting.Images(&s.EMASnapshotEvery, &s.Batch), Unit: "images", Since: "2026-11-29", Range: imagesFrom(0, "0 (none) to 2^53"),
			Help: fmt.Sprintf("images between snapshots of averages by a power of time, of which sample --weights and convert make others; 1/%d of the run if nothing is said and there are such averages", snapshotShare),
		},
		{
			Key: "ema_snapshot_type", Value: setting.Of(&s.EMASnapshotType), Since: "2026-11-29", Before: average.Types[0].Name, Range: setting.OneOf("type", snapshotTypes()),
			Help: "type of their numbers: " + strings.Join(snapshotTypes(), ", "),
		},
		{Key: "sample_every", Value: setting.Images(&s.SampleEvery, &s.Batch), Help: "images between sample grids, of which the first is made before the first step", Unit: "images", Range: imagesFrom(0, "0 (only at the end) to 2^53")},
		{Key: "sample_steps", Value: setting.Of(&s.SampleSteps), Help: "network evaluations of a grid's image", Range: setting.Within(1, sampler.MaxSteps, "")},
		{Key: "sample_count", Value: setting.Of(&s.SampleCount), Help: "images of a grid", Range: setting.Within(0, maxGrid, fmt.Sprintf("0 (no grids) to %d", maxGrid))},
		{Key: "sample_guidance", Value: setting.Of(&s.SampleGuidance), Since: "2026-11-30", Before: "1", Help: "scale of classifier-free guidance of a grid's images; 1 is none", Range: setting.NotNegative("")},
		{Key: "tensorboard", Value: setting.Of(&s.TensorBoard), Since: "2026-11-30", Help: "write events for TensorBoard into the folder tensorboard of the run: scalars, grids, distributions of weights and gradients, settings"},
	}
}

// What evaluation takes where nothing is said.
const (
	defaultMetrics   = "fd"
	defaultCount     = 1000
	defaultRealCount = 10_000
)

// evaluation are the settings of how samples are judged along the run. Those that eval
// has, too, are declared once, in package evaluate.
func (s *Settings) evaluation() setting.List {
	const maxSamples = 10_000_000
	metrics := evaluate.MetricsSetting(setting.Of(&s.EvalMetrics))
	metrics.Before = defaultMetrics
	features := evaluate.FeatureSettings(&s.EvalNetwork, &s.EvalWeights, &s.EvalConvention).With("convention", func(x *setting.Setting) { x.Before = evaluate.DefaultConvention })
	list := slices.Concat(
		setting.List{
			{Key: "every", Value: setting.Images(&s.EvalEvery, &s.Batch), Help: "images between evaluations: samples of the (first) average against real images", Unit: "images", Range: imagesFrom(0, "0 (none) to 2^53")},
			metrics,
			{Key: "count", Value: setting.Of(&s.EvalCount), Before: strconv.Itoa(defaultCount), Help: "samples of an evaluation", Range: setting.Within(2, maxSamples, "")},
			{Key: "steps", Value: setting.Of(&s.EvalSteps), Help: "of a sample; if 0 as of a grid's image, which is what a student of few steps is trained for", Range: setting.Within(0, sampler.MaxSteps, "")},
			{Key: "sampler", Value: setting.Of(&s.EvalSampler), Offers: sampler.Names(), Help: "by which samples are made: one of " + strings.Join(sampler.Names(), ", ") + "; that of grids if not given"},
		},
		features,
		setting.List{
			{Key: "real", Value: setting.Of(&s.EvalReal), Help: "what samples are compared with, data or a file of statistics as eval takes them; the data of the run if not given"},
			{Key: "real_count", Value: setting.Of(&s.EvalRealCount), Before: strconv.Itoa(defaultRealCount), Help: "images of it at most, evenly spaced; all if 0", Range: setting.Within(0, maxSamples, "")},
		},
	)
	for i := range list {
		x := &list[i]
		x.Own = x.Key == "weights" || x.Key == "real" // files
		x.Key, x.Since = "eval_"+x.Key, "2026-11-29"
	}
	return append(list, setting.Setting{
		Key: "keep_best", Value: setting.Of(&s.KeepBest), Since: "2026-11-29",
		Help: "value of an evaluation, such as fd, by which the best checkpoint stays beside the newest (RUN@best); it is saved when it is found",
	})
}
