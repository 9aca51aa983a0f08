// Package monitor evaluates a run while it trains. It is a hook of package train: now
// and then it samples from the averaged weights, compares the samples with real images by
// metrics of package evaluate, records what they say, and keeps the best checkpoint.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fluxion/data/stable"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/plan"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
	"fluxion/engine/train"
)

// Options of New.
type Options struct {
	Settings train.Settings
	Plan     Plan // of these settings
	// Features say of which network, weights and convention, and on which device; About
	// says the same to a user.
	Features evaluate.ExtractorOptions
	About    string
	Real     Real
	// Given reads so many images of the run's data with their inputs, for a network that is
	// given these; nil: it is not.
	Given func(n int) (train.Given, error)
	// Sizes are those of the samples; nil: all have that of the run.
	Sizes []generate.Size
	// Decodes says that samples are latents, of which pictures are made.
	Decodes bool
	// Progress shows how many images of a set were looked at; nil: nothing is shown.
	Progress func(what string, of int) (show func(done int), end func())
}

// Real are the images that samples are compared with.
type Real struct {
	Name string // as a user is told
	// Set is called before the first evaluation, and finds out what the metrics need to
	// know of the images.
	Set func(needs evaluate.Needs, c *evaluate.Collector, p train.Progress) (*evaluate.Set, error)
}

// batch is how many images the network of features looks at together. It does not show
// in the numbers.
const batch = 32

// Monitor is the evaluation of one run.
type Monitor struct {
	Options
	collector *evaluate.Collector
	sampling  *sampling
	real      *evaluate.Set
	began     time.Time // by this process
	spent     float64   // seconds of its evaluations
	history   []record.Evaluation
	best      *record.Evaluation // that has its checkpoint; nil: none
}

// New compiles the network of features. Nothing is on the device yet.
func New(o Options) (*Monitor, error) {
	m := &Monitor{Options: o}
	m.Features.Batch = min(batch, o.Settings.EvalCount)
	var err error
	m.collector, err = evaluate.NewCollector(m.Features, o.Plan.Samples.Join(o.Plan.Real))
	return m, err
}

// Hook is what the run calls.
func (m *Monitor) Hook() train.Hook {
	return train.Hook{
		Name: "evaluation", Every: m.Settings.EvalEvery, Pauses: true, Late: true, Decodes: m.Decodes,
		Compile: m.compile, Bytes: m.collector.Bytes(), About: m.about,
		Begin: m.begin, After: m.after, Close: m.close, Done: m.done,
	}
}

// compile makes the plan of sampling over the buffers of a training step.
func (m *Monitor) compile(of *train.Step) (plan.Sizes, error) {
	var err error
	if m.sampling, err = newSampling(of, m.Settings, m.sizes(of)); err != nil {
		return nil, err
	}
	m.sampling.decodes = m.Decodes
	return m.sampling.shapes.Sizes(), nil
}

// sizes are those of the samples: of the data's, in their shares, where these have several.
func (m *Monitor) sizes(of *train.Step) []generate.Size {
	if m.Sizes != nil {
		return m.Sizes
	}
	return slices.Repeat([]generate.Size{{Height: of.Height, Width: of.Width}}, m.Settings.EvalCount)
}

// of says all that the numbers after so many images depend on.
func (m *Monitor) of(images int64) string {
	shapes := ""
	if n := len(m.sampling.shapes.Steps); n > 1 {
		shapes = fmt.Sprintf(" in %d shapes", n)
	}
	return fmt.Sprintf("samples 0 to %d %v%s, against %s; %s", m.Settings.EvalCount-1, m.sampling.way(images), shapes, m.Real.Name, m.About)
}

// about tells what is evaluated, and what it costs beside the training between two
// evaluations.
func (m *Monitor) about() [][2]string {
	s := m.Settings
	sample, training := m.sampling.flops()
	cost := float64(s.EvalCount) * (sample + float64(m.collector.FLOPs()))
	between := float64(min(s.EvalEvery, s.Images)) * training
	text := fmt.Sprintf("%s every %d images, about %s of the run's arithmetic", strings.Join(m.Plan.Names, ", "), s.EvalEvery, record.Percent(cost/(cost+between)))
	if s.KeepBest != "" {
		text += "; the best checkpoint by " + s.KeepBest + " is kept"
	}
	return [][2]string{{"evaluation", text}, {"compares", m.of(1)}}
}

// begin reads what was evaluated before, and makes ready for more.
func (m *Monitor) begin(p train.Progress) error {
	stats, err := rundir.Stats(p.Dir)
	if err != nil {
		return err
	}
	m.history = record.Evaluations(stats, p.Images)
	if p.Last && m.done(p.Images) { // a finished run, of which all is known
		return nil
	}
	if n := len(m.history); n > 0 && m.history[n-1].Of != m.of(m.history[n-1].Images) {
		p.Tell("numbers from here on do not compare with those before, which are of %s", m.history[n-1].Of)
	}
	if err := m.collector.Load(); err != nil {
		return err
	}
	if m.sampling.generator, err = m.sampling.shapes.Load(m.Features.Device, p.Trainer.Memory); err != nil {
		return err
	}
	if m.Decodes {
		m.sampling.picture = p.Picture
		_, _, m.sampling.channels = p.Decoder(m.sampling.sizes[0]).Shape()
	}
	if m.Given != nil {
		if m.sampling.given, err = m.Given(m.Settings.EvalCount); err != nil {
			return err
		}
	}
	if m.real, err = m.Real.Set(m.Plan.Real, m.collector, p); err != nil {
		return err
	}
	m.began = time.Now()
	return m.findBest(p)
}

// done says whether there is an evaluation of these settings after so many images.
func (m *Monitor) done(images int64) bool {
	return slices.ContainsFunc(m.history, func(e record.Evaluation) bool {
		if e.Images != images || e.Of != m.of(images) {
			return false
		}
		for _, name := range m.Plan.certain {
			if _, there := e.Value(name); !there {
				return false
			}
		}
		return true
	})
}

// after evaluates. What cannot be evaluated is told and ends no run: the next time may
// do better, and the weights are sound, or the run would see it itself.
func (m *Monitor) after(ctx context.Context, p train.Progress) error {
	begin := time.Now()
	e := record.Evaluation{Images: p.Images, Steps: p.Steps, Of: m.of(p.Images)}
	err := m.evaluate(ctx, p.Images, &e)
	if stopped := context.Cause(ctx); stopped != nil {
		return stopped
	}
	if err != nil {
		p.Tell("no evaluation after %d images, the run goes on: %v", p.Images, err)
		return nil
	}
	e.Time, e.Seconds = time.Now(), time.Since(begin).Seconds()
	m.spent += e.Seconds
	e.Share = record.PerSecond(m.spent, time.Since(m.began))
	if v, ok := e.Value(m.Settings.KeepBest); ok && m.isBest(e, v) {
		kept, err := p.KeepBest(m.kept(e))
		if err != nil {
			return err
		}
		if kept {
			m.best, e.Best = &e, m.Settings.KeepBest
		}
	}
	m.history = append(m.history, e)
	return p.Record(e)
}

// evaluate samples and takes the metrics.
func (m *Monitor) evaluate(ctx context.Context, images int64, e *record.Evaluation) error {
	samples, err := m.sampling.after(images)
	if err != nil {
		return err
	}
	show, end := func(int) {}, func() {}
	if m.Progress != nil {
		show, end = m.Progress(fmt.Sprintf("evaluation after %d images", images), m.Settings.EvalCount)
	}
	set, err := m.collector.Collect(ctx, samples, m.Plan.Samples, func(done int) error { show(done); return nil })
	end()
	if err != nil {
		return err
	}
	values, err := evaluate.Compute(ctx, m.Plan.Metrics, set, m.real, evaluate.Options{})
	for _, v := range values {
		e.Values = append(e.Values, record.Value(v))
	}
	e.N = [2]int64{set.N, m.real.N}
	return err
}

// isBest says whether an evaluation of this value is better than the best so far, or
// does not compare with it.
func (m *Monitor) isBest(e record.Evaluation, value float64) bool {
	if m.best == nil || m.best.Of != e.Of {
		return true
	}
	best, _ := m.best.Value(m.Settings.KeepBest)
	return m.Plan.better(value, best)
}

// kept is the checkpoint of an evaluation as the best.
func (m *Monitor) kept(e record.Evaluation) model.Best {
	v, _ := e.Value(m.Settings.KeepBest)
	return model.Best{Metric: m.Settings.KeepBest, Value: v, Images: e.Images}
}

// findBest finds the best evaluation of before whose checkpoint is there, and keeps it.
func (m *Monitor) findBest(p train.Progress) error {
	var all []record.Evaluation
	for _, e := range m.history {
		if _, ok := e.Value(m.Settings.KeepBest); ok && e.Of == m.of(p.Images) {
			all = append(all, e)
		}
	}
	stable.Sort(all, func(a, b record.Evaluation) int {
		x, y := m.kept(a).Value, m.kept(b).Value
		switch {
		case m.Plan.better(x, y):
			return -1
		case m.Plan.better(y, x):
			return 1
		}
		return 0
	})
	for _, e := range all {
		kept, err := p.KeepBest(m.kept(e))
		if err != nil {
			return err
		}
		if kept {
			m.best = &e
			return nil
		}
	}
	return nil
}

// close gives back what the monitor holds.
func (m *Monitor) close() error {
	err := m.collector.Close()
	if g := m.sampling.generator; g != nil {
		err = errors.Join(err, g.Free())
	}
	return err
}

// memory of the host that is kept of samples and real images; 0 images are not known.
func (p Plan) memory(samples, real int) error {
	return device.CheckMemory(p.Samples.Memory(samples, &p.Network), p.Real.Memory(real, &p.Network))
}
