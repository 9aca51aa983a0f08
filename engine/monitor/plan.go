package monitor

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/engine/evaluate"
	"fluxion/engine/likelihood"
	"fluxion/engine/sampler"
	"fluxion/engine/train"
	"fluxion/nets/feature"
)

// Plan is what is to be evaluated, by settings that go together.
type Plan struct {
	Metrics       []evaluate.Metric
	Names         []string // of these
	Network       feature.Network
	Convention    evaluate.Convention
	Samples, Real evaluate.Needs // of samples, and of the images that they are compared with

	certain []string // values that every evaluation gives
	higher  bool     // of KeepBest is better
}

// Data are what a run trains on.
type Data struct {
	Name     string
	Channels int
	Floats   bool // they are no pictures
}

// Check looks the names of the settings up, and says what does not go together with them
// or with the data, before anything is opened or trained.
func Check(s train.Settings, d Data) (p Plan, err error) {
	fault := func(key, format string, args ...any) (Plan, error) {
		return Plan{}, &train.SettingError{Key: key, Problem: fmt.Sprintf(format, args...)}
	}
	names := strings.Split(s.EvalMetrics, ",")
	if i := slices.IndexFunc(names, likelihood.Is); i >= 0 {
		return fault("eval_metrics", "%s is of a model and data, and takes long; want metrics of samples, and fluxion eval RUN DATA --metrics %[1]s behind the run", strings.TrimSpace(names[i]))
	}
	if p.Metrics, err = evaluate.FindMetrics(names); err != nil {
		return fault("eval_metrics", "%v", err)
	}
	if p.Network, err = feature.Find(s.EvalNetwork); err != nil && (s.EvalNetwork != "" || s.EvalEvery > 0) {
		return fault("eval_network", "%v", err)
	}
	if p.Convention, err = evaluate.ConventionOf(p.Network, s.EvalConvention); err != nil {
		return fault("eval_convention", "%v", err)
	}
	var values []string
	for _, m := range p.Metrics {
		p.Names = append(p.Names, m.Name)
		p.Samples, p.Real = p.Samples.Join(m.Of(false)), p.Real.Join(m.Of(true))
		p.certain = append(p.certain, m.Gives[0].Name)
		for _, g := range m.Gives {
			values = append(values, g.Name)
			p.higher = p.higher || g.Higher && g.Name == s.KeepBest
		}
	}
	if s.KeepBest != "" && s.EvalEvery == 0 {
		return fault("keep_best", "%s is known of a run that is evaluated: want eval_every with it", s.KeepBest)
	}
	if s.KeepBest != "" {
		if _, err := lookup.Find("value", s.KeepBest, values); err != nil {
			return fault("keep_best", "%v", err)
		}
	}
	if s.EvalSampler != "" {
		if _, err := sampler.Get(s.EvalSampler); err != nil {
			return fault("eval_sampler", "%v", err)
		}
	}
	if s.EvalEvery == 0 {
		return p, nil
	}
	if d.Floats || d.Channels != 1 && d.Channels != 3 {
		return fault("eval_every", "%s holds numbers, not pictures: networks of features want pictures", d.Name)
	}
	if err := evaluate.Check(p.Metrics, p.Network.Name, true); err != nil {
		return fault("eval_metrics", "%v", err)
	}
	return p, p.checkCount("eval_count", s.EvalCount)
}

// checkCount says why the metrics cannot be taken of so many images.
func (p Plan) checkCount(key string, n int) error {
	if err := evaluate.CheckCount(p.Metrics, []int64{int64(n)}, p.Network.Dim, evaluate.Options{}); err != nil {
		return &train.SettingError{Key: key, Problem: err.Error()}
	}
	return nil
}

// CheckReal says why the metrics cannot be taken against so many real images, or why what
// is to be kept of them and of the samples has no room.
func (p Plan) CheckReal(s train.Settings, n int) error {
	against := slices.DeleteFunc(slices.Clone(p.Metrics), func(m evaluate.Metric) bool { return m.Alone })
	if err := (Plan{Metrics: against, Network: p.Network}).checkCount("eval_real", n); n > 0 && err != nil {
		return err
	}
	return p.memory(s.EvalCount, n)
}

// better says whether one value of KeepBest is better than another.
func (p Plan) better(a, b float64) bool {
	if p.higher {
		return a > b
	}
	return a < b
}
