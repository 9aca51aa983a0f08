package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/sweeps"
	"fluxion/data/setting"
	"fluxion/engine/average"
	"fluxion/engine/model"
	"fluxion/engine/sampler"
)

// maxCells bounds a table.
const maxCells = 10_000

// notOfSweep are the settings of eval that sweep has not: it goes over them, or it draws
// no sheets and saves no features.
var notOfSweep = []string{"sampler", "steps", "guidance", "model_weights", "save", "part", "nearest", "copy_quantile", "scheduler", "compat", "mu", "image_tokens"}

// list declares the settings: those of eval, and over what the table goes.
func (o *sweepOptions) list() setting.List {
	of := o.evalOptions.list()
	axis := func(key, of string, values *[]string, a setting.Setting) setting.Setting {
		*values = []string{a.Value.String()}
		o.axes = append(o.axes, sweepAxis{key: key, of: a, values: values})
		return setting.Setting{Key: key, Value: setting.Names(values), Own: true, Help: of, Range: setting.Range{Text: a.Range.Text}}
	}
	list := setting.List{
		axis("samplers", "by which is sampled: "+strings.Join(of.Get("sampler").Range.Names, ", "), &o.samplers, of.Get("sampler")),
		axis("steps", "intervals of the grid", &o.steps, of.Get("steps")),
		axis("guidance", "scales of classifier-free guidance, or away from --guide", &o.scales, of.Get("guidance")),
		axis("model_weights", "which weights of the model", &o.ofModel, of.Get("model_weights")),
		{Key: "ema_sigma", Value: setting.Names(&o.sigmas), Own: true, Help: "σ_rel of averages that are made of the run's snapshots, beside --model-weights or in the place of its default", Range: setting.Range{Text: fmt.Sprintf("%v to %v", average.MinSigma, average.MaxSigma)}},
		{Key: "out", Value: setting.Of(&o.out), Own: true, Help: "folder for the table and its plots, made if need be"},
	}
	for _, s := range of {
		if s.Key == "count" {
			s.Help = "images of each cell"
		}
		if !slices.Contains(notOfSweep, s.Key) && !slices.Contains(o.ofLikelihood, s.Key) {
			list = append(list, s)
		}
	}
	return list
}

// sweepAxis is one of the settings that a table goes over.
type sweepAxis struct {
	key    string
	of     setting.Setting // which eval has for one
	values *[]string
}

// ways are all combinations, in the order in which they are sampled. A model that was
// trained for few steps has one way where nothing is said.
func (o *sweepOptions) ways(few *sampler.Few) ([]sweeps.Way, error) {
	o.resolve()
	if few != nil && !o.sources.Has("samplers") {
		o.config.Sampler = few.Sampler
	}
	if few != nil && !o.sources.Has("steps") {
		o.config.Options.Steps = few.Steps
	}
	var all [4][]any
	cells := 1
	for i, a := range o.axes {
		texts := *a.values
		if !o.sources.Has(a.key) {
			texts = []string{a.of.Value.String()} // what eval does without being told
		}
		if a.key == "model_weights" && len(o.sigmas) > 0 {
			if !o.sources.Has(a.key) {
				texts = nil
			}
			for _, text := range o.sigmas {
				sigma, err := average.ParseSigma(strings.TrimSpace(text))
				if err != nil {
					return nil, fault.Usagef("--ema-sigma: %w", err)
				}
				texts = append(texts, model.Power(sigma, 0))
			}
		}
		for _, text := range texts {
			value, err := a.of.ReadFlag(strings.TrimSpace(text))
			if err != nil {
				return nil, fault.Usagef("--%s: %w", strings.ReplaceAll(a.key, "_", "-"), err)
			}
			if !slices.Contains(all[i], value) {
				all[i] = append(all[i], value)
			}
		}
		if cells *= len(all[i]); cells == 0 || cells > maxCells {
			return nil, fault.Usagef("--%s makes %d cells; want 1 to %d", strings.ReplaceAll(a.key, "_", "-"), cells, maxCells)
		}
	}
	var ways []sweeps.Way
	for _, s := range all[0] {
		for _, n := range all[1] {
			for _, g := range all[2] {
				for _, w := range all[3] {
					ways = append(ways, sweeps.Way{Sampler: s.(string), Steps: n.(int), Guidance: g.(float64), Weights: w.(string)})
				}
			}
		}
	}
	return ways, nil
}

// sampling is how one way is sampled.
func (o *sweepOptions) sampling(w sweeps.Way) sampleOptions {
	s := o.sampleOptions
	s.swept = true
	s.config.Sampler, s.config.Options.Steps, s.guidance, s.weights = w.Sampler, w.Steps, w.Guidance, w.Weights
	if w.Guidance == 1 { // beside which the rest says nothing
		s.interval, s.rescale, s.guide = "", 0, ""
	}
	return s
}

// decidesNothing are the settings by which no value changes, and those that stand in the
// table by what they come to.
var decidesNothing = []string{"samplers", "steps", "guidance", "model_weights", "ema_sigma", "out", "device", "threads", "blockings", "batch", "ignore_key", "weights", "guide", "init", "mask", "input", "from"}

// settings are what all cells have in common.
func (s *sweep) settings() (map[string]string, error) {
	common := map[string]string{}
	for _, of := range s.options.sources.List() {
		if !slices.Contains(decidesNothing, of.Key) {
			common[of.Key] = of.Value.String()
		}
	}
	var names []string
	for _, m := range s.metrics {
		names = append(names, m.Name)
	}
	common["metrics"], common["network"], common["convention"] = strings.Join(names, ","), s.about.Network, s.about.Convention
	common["features_precision"], common["weights"] = s.about.Precision, s.about.Weights
	for _, m := range s.planned { // the same of all but for what is left out beside guidance 1
		for _, key := range []string{"precision", "checkpoint", "init", "mask", "input", "from"} {
			if value := m.text[key]; value != "" {
				common[key] = value
			}
		}
		common[sweeps.Model+m.way.Weights] = m.text["digest"]
		if m.way.Guidance != 1 {
			common[sweeps.Guide+m.way.Weights] = cmp.Or(m.text["guide"], "none")
		}
	}
	if len(s.sides) == 2 {
		real := s.sides[1]
		if real.stored != nil {
			hash, err := hashOf(real.path)
			if err != nil {
				return nil, err
			}
			common["real"] = "statistics " + hash
			return common, nil
		}
		images := real.source.(dataSource)
		common["real"] = strconv.Itoa(images.Len()) + " images, digest " + images.set.Fingerprint().Digest[:8]
	}
	return common, nil
}
