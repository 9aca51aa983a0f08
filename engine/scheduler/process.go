package scheduler

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"fluxion/engine/process"
)

const trainSteps = 1000

// predictions are diffusers' names of our outputs.
var predictions = map[string]string{"eps": "epsilon", "x": "sample", "v": "v_prediction"}

// named are our discrete schedules as diffusers' keys.
var named = map[string]betas{
	"ddpm-linear":          linearBetas(),
	"ddpm-scaled-linear":   latentBetas("scaled_linear"),
	"ddpm-squaredcos":      {trainSteps, 1e-4, 0.02, "squaredcos_cap_v2", nil},
	"ddpm-squaredcos-4000": {4000, 1e-4, 0.02, "squaredcos_cap_v2", nil},
	"ddpm-sigmoid":         {trainSteps, 1e-4, 0.02, "sigmoid", nil},
}

// Of returns a config of a network trained on the process, as checkpoints carry
// it. What diffusers has no key for stands in keys that begin with _fluxion_,
// which it ignores.
//
// Flow matching with output u becomes FlowMatchEulerDiscreteScheduler, whose
// convention is ours (y = ε − x, time input num_train_timesteps·t). A discrete schedule
// becomes DDPMScheduler with its name or βs; a continuous variance-preserving
// one DDPMScheduler with trained_betas: ᾱ after step n is α² at t = n/1000, the
// time at which our network is called with n (t = 1/2000 for n = 0, where β
// would be 0 and diffusers would divide by it). EDM's becomes EDMEulerScheduler.
// Anything else becomes a DDPMScheduler at which diffusers stops with an error.
func Of(p process.Process) (Config, error) {
	base, modified := process.Unmodified(p.Schedule)
	c := Config{Private: map[string]any{}}
	output := p.Output.Name
	switch name := base.Name(); {
	case p.Source.String() != process.Gaussian || !p.Bridge.None(): // whose noise diffusers would not draw
		c.ours(name, output)
		if s := p.Source.String(); s != process.Gaussian {
			c.Private["source"] = s
		}
		if !p.Bridge.None() {
			c.Private["bridge"] = p.Bridge.String()
		}
		if modified.Scale != "" {
			c.Private["scale"] = modified.Scale
		}
	case modified.Scale != "": // which no class of diffusers does
		c.ours(name, output)
		c.Private["scale"] = modified.Scale
	case modified.TimeScale != 0 && (name != "fm" || output != "u"): // nor this
		c.ours(name, output)
	case name == "fm" && output == "u":
		k := newFlowEuler().(*flowEuler)
		if modified.Shift != 0 {
			k.Shift = 1 / modified.Shift // theirs is λ − 2 ln shift
			modified.Shift = 0
		}
		if modified.TimeScale != 0 {
			k.NumTrainTimesteps = modified.TimeScale
			modified.TimeScale = 0
		}
		c.Name, c.Class = "FlowMatchEulerDiscreteScheduler", k
	case base.Path().Name == process.VEPath.Name && output == "edm":
		_, first := base.AlphaSigma(0)
		_, last := base.AlphaSigma(1)
		k := newEDMEuler().(*edmEuler)
		k.SigmaMin, k.SigmaMax = tidy(first), tidy(last)
		c.Name, c.Class = "EDMEulerScheduler", k
	case base.Path().Name == process.VPPath.Name:
		k := newDDPM().(*ddpm)
		k.ClipSample, k.TimestepSpacing = p.At(1).Limits(), "trailing" // leading would not start at noise
		k.PredictionType = predictions[output]
		if k.PredictionType == "" {
			k.PredictionType = output // at which diffusers stops with an error
		}
		if d, ok := base.(process.Discrete); !ok {
			k.TrainedBetas = continuousBetas(p.Schedule)
			if name != "cosine" {
				c.Private["schedule"] = name
			}
		} else if k.RescaleBetasZeroSNR, modified.ZeroSNR = modified.ZeroSNR, false; named[name].BetaSchedule != "" {
			k.betas = named[name]
		} else {
			k.betas = betas{d.Steps(), 1e-4, 0.02, "linear", discreteBetas(d)}
		}
		c.Name, c.Class = "DDPMScheduler", k
	default:
		c.ours(name, output)
	}
	if modified.MaxLogSNR != 0 {
		c.Private["max_log_snr"] = modified.MaxLogSNR
	}
	if modified.Shift != 0 {
		c.Private["shift"] = modified.Shift
	}
	if modified.ZeroSNR {
		c.Private["zero_snr"] = true
	}
	if modified.TimeScale != 0 {
		c.Private["time_scale"] = int64(modified.TimeScale)
	}
	return c, nil
}

// Unclipped says that predicted images are not to be kept in ±1: data that are no
// pictures are not.
func (c *Config) Unclipped() {
	if k, ok := c.Class.(*ddpm); ok {
		k.ClipSample = false
	}
}

// Learnt says that the network says the variance of each step.
func (c *Config) Learnt() {
	if k, ok := c.Class.(*ddpm); ok {
		k.VarianceType = learnedRange
	}
}

// unknown is a prediction_type at which diffusers stops with an error: what it
// cannot sample it must not sample wrongly.
const unknown = "fluxion"

// ours makes a config that no class of diffusers can express; names say it all.
func (c *Config) ours(schedule, output string) {
	k := newDDPM().(*ddpm)
	k.PredictionType = unknown
	c.Name, c.Class = "DDPMScheduler", k
	c.Private["schedule"], c.Private["output"] = schedule, output
}

// tidy takes the rounding of an exponential off.
func tidy(x float64) float64 {
	digits := math.Pow(10, 14-math.Ceil(math.Log10(x)))
	return math.Round(x*digits) / digits
}

// continuousBetas are the βs of the DDPM with trainSteps steps whose marginals
// are the schedule's: 1 − ᾱₙ/ᾱₙ₋₁, written without the cancellation.
func continuousBetas(s process.Schedule) []float64 {
	b := make([]float64, trainSteps)
	alpha, sigma := 1.0, 0.0
	for n := range b {
		a, c := s.AlphaSigma(math.Max(float64(n), 0.5) / trainSteps)
		b[n] = (c - sigma) * (c + sigma) / (alpha * alpha)
		alpha, sigma = a, c
	}
	return b
}

func discreteBetas(d process.Discrete) []float64 {
	b := make([]float64, d.Steps())
	before := 1.0
	for n := range b {
		alpha, _ := d.AlphaSigma(d.StepTime(float64(n)))
		b[n] = (before - alpha) * (before + alpha) / (before * before)
		before = alpha
	}
	return b
}

// What classes have in common, for Process.
func (b betas) noise() betas            { return b }
func (p prediction) predicts() string   { return p.PredictionType }
func (z zeroSNR) zeroed() bool          { return z.RescaleBetasZeroSNR }
func (f flowSigmas) onFlow() flowSigmas { return f }

// Process returns the process that a network with this scheduler was trained
// on. What only steers sampling (grids, solvers, clipping) has no part in it.
func (c Config) Process() (process.Process, error) {
	p, err := c.process()
	if err != nil {
		return process.Process{}, &FileError{Err: fmt.Errorf("scheduler config: %s: %w", c.Name, err)}
	}
	return p, nil
}

func (c Config) process() (process.Process, error) {
	var private struct {
		Output    string  `json:"output"`
		Schedule  string  `json:"schedule"`
		MaxLogSNR float64 `json:"max_log_snr"`
		Shift     float64 `json:"shift"`
		ZeroSNR   bool    `json:"zero_snr"`
		Scale     string  `json:"scale"`
		TimeScale int     `json:"time_scale"`
		Source    string  `json:"source"`
		Bridge    string  `json:"bridge"`
	}
	fields := reflect.ValueOf(&private).Elem()
	for i := range fields.NumField() {
		key := fields.Type().Field(i).Tag.Get("json")
		if want := set(fields.Field(i), c.Private[key]); want != "" {
			return process.Process{}, fmt.Errorf("_fluxion_%s = %v, want %s", key, c.Private[key], want)
		}
	}
	o := process.ScheduleOptions{MaxLogSNR: private.MaxLogSNR, Shift: private.Shift, ZeroSNR: private.ZeroSNR, Scale: private.Scale, TimeScale: private.TimeScale}
	output := "u"
	if private.Output != "" {
		output = private.Output
	}
	flow := func(shift float64, steps int) (process.Process, error) {
		if steps < 1 {
			return process.Process{}, refuse("num_train_timesteps", steps, "a positive number")
		}
		if steps != trainSteps { // of σ = 1, the network's own time
			o.TimeScale = steps
		}
		if !(shift > 0) {
			return process.Process{}, refuse("shift", shift, "a positive number")
		}
		o.Shift = 1 / shift
		return process.Get("fm", o, output)
	}
	switch k := c.Class.(type) {
	case *flowEuler:
		if k.InvertSigmas {
			return process.Process{}, refuse("invert_sigmas", true, "false")
		}
		return flow(k.Shift, k.NumTrainTimesteps)
	case *flowHeun:
		return flow(k.Shift, k.NumTrainTimesteps)
	case *edmEuler:
		return k.process(k.PredictionType, o)
	case *edmDPM:
		return k.process(k.PredictionType, o)
	case interface {
		noise() betas
		predicts() string
	}:
		if f, ok := k.(interface{ onFlow() flowSigmas }); ok && f.onFlow().UseFlowSigmas {
			if k.predicts() != "flow_prediction" {
				return process.Process{}, refuse("prediction_type", k.predicts(), "flow_prediction beside use_flow_sigmas")
			}
			return flow(f.onFlow().FlowShift, k.noise().NumTrainTimesteps)
		}
		if k.predicts() == unknown {
			p, err := process.Get(private.Schedule, o, private.Output)
			if err != nil {
				return p, err
			}
			return p.With(cmp.Or(private.Source, process.Gaussian), cmp.Or(private.Bridge, process.NoBridge))
		}
		z, ok := k.(interface{ zeroed() bool })
		return discreteProcess(k.noise(), ok && z.zeroed(), k.predicts(), private.Schedule, o)
	}
	return process.Process{}, errors.New("a network that jumps to the data has no process to train on here; its config can be sampled with")
}

func (c edmKeys) process(prediction string, o process.ScheduleOptions) (process.Process, error) {
	if prediction != "epsilon" {
		return process.Process{}, refuse("prediction_type", prediction, "epsilon")
	}
	s, err := process.NewVE("ve", c.SigmaMin, c.SigmaMax)
	if err == nil {
		s, err = process.Modify(s, o)
	}
	if err != nil {
		return process.Process{}, err
	}
	return process.New(s, process.EDM("edm", c.SigmaData))
}

// discreteProcess recognises our own schedules, continuous ones by their βs.
func discreteProcess(b betas, zero bool, prediction, schedule string, o process.ScheduleOptions) (process.Process, error) {
	output := prediction
	for ours, theirs := range predictions {
		if theirs == prediction {
			output = ours
		}
	}
	y, err := process.GetOutput(output)
	if err != nil {
		return process.Process{}, fmt.Errorf("prediction_type: %w", err)
	}
	if b.TrainedBetas != nil {
		s, err := continuous(b, schedule, o)
		if err != nil {
			return process.Process{}, err
		}
		if s != nil {
			return process.New(s, y)
		}
	}
	o.ZeroSNR = o.ZeroSNR || zero
	for name, known := range named {
		if b.TrainedBetas == nil && b.same(known) {
			s, err := process.GetSchedule(name, o)
			if err != nil {
				return process.Process{}, err
			}
			return process.New(s, y)
		}
	}
	list, err := b.list("sigmoid", "laplace", "exp")
	if err != nil {
		return process.Process{}, err
	}
	s, err := process.NewDiscrete("ddpm-trained", list)
	if err == nil {
		s, err = process.Modify(s, o)
	}
	if err != nil {
		return process.Process{}, err
	}
	return process.New(s, y)
}

// continuous returns the schedule whose βs these are, nil if there is none.
// Without a name it may be the cosine, the first that Fluxion wrote.
func continuous(b betas, schedule string, o process.ScheduleOptions) (process.Schedule, error) {
	name := schedule
	if name == "" {
		name = "cosine"
	}
	s, err := process.GetSchedule(name, o)
	if err != nil {
		return nil, err
	}
	want := continuousBetas(s)
	for n := range want {
		if len(b.TrainedBetas) != len(want) {
			break
		}
		// float32's precision: diffusers keeps no more.
		if math.Abs(b.TrainedBetas[n]-want[n]) > 1e-6*want[n]+6e-8 {
			break
		}
		if n == len(want)-1 {
			return s, nil
		}
	}
	if schedule != "" || o != (process.ScheduleOptions{}) {
		return nil, refuse("trained_betas", "another list", "those of our schedule "+name+", which the file names")
	}
	return nil, nil
}

// same compares what matters.
func (b betas) same(c betas) bool {
	ends := b.BetaStart == c.BetaStart && b.BetaEnd == c.BetaEnd || b.BetaSchedule == "squaredcos_cap_v2"
	return b.NumTrainTimesteps == c.NumTrainTimesteps && b.BetaSchedule == c.BetaSchedule && ends && slices.Equal(b.TrainedBetas, c.TrainedBetas)
}
