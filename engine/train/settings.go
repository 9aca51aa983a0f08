package train

import (
	"fmt"

	"fluxion/data"
	"fluxion/engine/augment"
	"fluxion/engine/average"
	"fluxion/engine/couple"
	"fluxion/engine/evaluate"
	"fluxion/engine/objective"
	"fluxion/engine/process"
)

// Settings are all that decides a run, as plain data: what the configuration
// file of a run folder holds. Images are counted in images seen.
type Settings struct {
	Data       string     `json:"data"`        // see data.Open
	Size       data.Size  `json:"size"`        // of the images; zero: as they are
	Fit        string     `json:"fit"`         // how they are brought to it
	Channels   int        `json:"channels"`    // 1, 3, or 0: as they are
	Range      data.Range `json:"range"`       // of their values; zero: bytes, or floats as they are
	Labels     string     `json:"labels"`      // where classes come from: see data.Options
	Flip       bool       `json:"flip"`        // random horizontal flips
	Augment    string     `json:"augment"`     // see package augment
	Posterior  string     `json:"posterior"`   // which latent of its posterior an image is
	SkipBroken bool       `json:"skip_broken"` // leave out undecodable images instead of stopping

	Recipe      string  `json:"recipe"` // of a paper, that it began with; "": none
	Preset      string  `json:"preset"` // of package nets, or a folder with a UNet2DModel
	Init        string  `json:"init"`   // folder of a model whose weights it begins with; "": random ones
	Schedule    string  `json:"schedule"`
	ClipLambda  float64 `json:"clip_lambda"` // |λ| of the schedule stays below; 0: as it is
	Shift       float64 `json:"shift"`       // of the schedule's λ, by 2 ln shift
	ZeroSNR     bool    `json:"zero_snr"`    // no data is left at t = 1
	Scale       string  `json:"scale"`       // formula of t that multiplies α and σ
	TimeScale   int     `json:"time_scale"`  // what the network is told at t = 1
	Source      string  `json:"source"`      // of the noise: see package process
	Bridge      string  `json:"bridge"`      // a third noise: see there
	Output      string  `json:"output_kind"`
	Weighting   string  `json:"weighting"`
	TimeSampler string  `json:"time_sampler"`
	Uncertainty bool    `json:"uncertainty"` // what errors weigh is learnt
	Objective   string  `json:"objective"`   // see package objective

	Condition       string  `json:"condition"` // what the network is given of inputs of the data
	Coupling        string  `json:"coupling"`  // of images and noise: see package couple
	Teacher         string  `json:"teacher"`   // folder of a model that the objective learns from
	TeacherGuidance float64 `json:"teacher_guidance"`

	TeacherInterval string `json:"teacher_guidance_interval"` // σ/α between which it is guided; empty: all
	TeacherGuide    string `json:"teacher_guide"`             // folder of a weaker model, away from which it is guided; empty: its own without a class
	GuidanceInput   string `json:"guidance_input"`            // from where to where the network is told its guidance; empty: it is told none
	Loss            string `json:"loss"`                      // distance of an answer from its target
	Target          string `json:"target"`                    // network that gives an objective's target; empty: its own choice

	Images        int64    `json:"images"`               // length of the run
	Batch         int      `json:"batch"`                // images of a step
	Accumulate    int      `json:"accumulate"`           // micro-batches a step is cut into
	Accumulation  string   `json:"accumulation"`         // order in which their gradients are added
	Optimizer     string   `json:"optimizer"`            // see optimizers
	LR            float64  `json:"lr"`                   // largest learning rate
	LRSchedule    string   `json:"lr_schedule"`          // how it goes on behind its warm-up: see rates
	LRRef         int64    `json:"lr_ref"`               // images at which inverse-sqrt begins to fall
	LRStep        int64    `json:"lr_step"`              // images of a plateau of step
	LRGamma       float64  `json:"lr_gamma"`             // height of one to that before
	LREnd         float64  `json:"lr_end"`               // what it falls to
	Warmup        int64    `json:"warmup"`               // images over which it rises from 0
	Decay         float64  `json:"decay"`                // share of the run, at its end, over which it falls; above 1 images
	Beta1         float64  `json:"beta1"`                //
	Beta2         float64  `json:"beta2"`                //
	Epsilon       float64  `json:"epsilon"`              //
	Momentum      float64  `json:"momentum"`             //
	Nesterov      bool     `json:"nesterov"`             // the step looks ahead by the momentum
	WeightDecay   float64  `json:"weight_decay"`         //
	WeightDecayOf string   `json:"weight_decay_of"`      // all weights or matrices
	Clip          float64  `json:"clip"`                 // largest norm of the gradients; 0: no clipping
	EMA           Averages `json:"ema"`                  // of the weights
	EMAWarmup     float64  `json:"ema_warmup"`           // the half-life is at most this share of the images seen
	NoiseScale    bool     `json:"gradient_noise_scale"` // of gradients is measured
	Recover       int      `json:"recover"`              // how often a run that diverges goes back to its last good checkpoint
	LabelDrop     float64  `json:"label_drop"`           // share of images trained without their label
	Dropout       float64  `json:"dropout"`              // share of a residual block that is left out
	Seed          uint64   `json:"seed"`

	SelfConditioning float64 `json:"self_conditioning"` // share of images that are given the network's own estimate; 0: the network takes none

	Precision string `json:"precision"` // fp32, bf16, auto
	Device    string `json:"device"`    // auto, cpu, cuda:N
	Threads   int    `json:"threads"`   // 0: all
	Recompute string `json:"recompute"` // one of plan.Recomputations
	Blockings string `json:"blockings"` // auto, off, or the folder of a tuning.Table

	CheckpointEvery int64 `json:"checkpoint_every"` // images; 0: only at the end
	Keep            int   `json:"keep"`             // newest checkpoints that stay

	EMASnapshotEvery int64  `json:"ema_snapshot_every"` // images; 0: none
	EMASnapshotType  string `json:"ema_snapshot_type"`  // one of average.Types

	SampleEvery    int64   `json:"sample_every"`    // images; 0: only at the end
	SampleSteps    int     `json:"sample_steps"`    // network evaluations of a grid's image
	SampleCount    int     `json:"sample_count"`    // images of a grid; 0: no grids
	SampleGuidance float64 `json:"sample_guidance"` // scale; 1: none

	TensorBoard bool `json:"tensorboard"` // write its events, too

	EvalEvery      int64  `json:"eval_every"`      // images; 0: no evaluation
	EvalMetrics    string `json:"eval_metrics"`    // see evaluate.Metrics
	EvalCount      int    `json:"eval_count"`      // samples
	EvalSteps      int    `json:"eval_steps"`      // of a sample; 0: those of a grid
	EvalSampler    string `json:"eval_sampler"`    // see package sampler; empty: that of grids
	EvalNetwork    string `json:"eval_network"`    // of features; empty: the first whose weights are there
	EvalWeights    string `json:"eval_weights"`    // its file
	EvalConvention string `json:"eval_convention"` // how images are resized for it
	EvalReal       string `json:"eval_real"`       // what samples are compared with; empty: Data
	EvalRealCount  int    `json:"eval_real_count"` // images of it at most; 0: all
	KeepBest       string `json:"keep_best"`       // the value by which the best checkpoint stays; empty: none
}

// Default returns the settings of a run without arguments: class-conditional
// glyphs, a small network by its recipe, a few minutes on two cores.
func Default() Settings {
	s := Settings{
		Data: "glyphs", Fit: string(data.Crop), Labels: data.AutoLabels, Preset: "tiny",
		Condition: Concat, Posterior: posteriorSample, Coupling: couple.Independent, TeacherGuidance: 1,
		Source: process.Gaussian, Bridge: process.NoBridge,
		Schedule: "fm", Shift: 1, TimeScale: process.DefaultTimeScale, Output: "u", Objective: objective.Names()[0], Loss: objective.DefaultLoss, Weighting: "plain", TimeSampler: "logit-normal+low-discrepancy",
		Accumulate: 1, Accumulation: inTree, Optimizer: adamWName, LRSchedule: linearName, WeightDecayOf: decayAll, Beta1: 0.9, Epsilon: 1e-8, WeightDecay: 0, EMAWarmup: 0.1, Seed: 1,
		Precision: "auto", Device: "auto", Recompute: "none", Blockings: "auto",
		Keep: 3, EMASnapshotType: average.Types[0].Name, SampleSteps: 16, SampleCount: 40, SampleGuidance: 1,
		EvalMetrics: defaultMetrics, EvalCount: defaultCount, EvalRealCount: defaultRealCount, EvalConvention: evaluate.DefaultConvention,
	}
	r, err := RecipeOf(s.Preset, s.Data)
	if err != nil {
		panic(err) // it is in the list
	}
	return r.Apply(s)
}

// SettingError is a setting that cannot be used.
type SettingError struct {
	Key     string
	Problem string // what is wrong, and what would be right
}

func (e *SettingError) Error() string { return e.Key + ": " + e.Problem }

// Validate reports the first setting that is out of its range, or goes not together
// with the others. Names that others know are checked where they are looked up.
func (s Settings) Validate() error {
	if _, _, err := s.spelled(func(string) bool { return true }); err != nil {
		return err
	}
	list := s.List()
	for _, x := range list {
		if err := x.Check(x.Value.Get()); err != nil {
			return &SettingError{x.Key, err.Error()}
		}
	}
	for _, c := range []struct {
		key string
		bad bool
	}{
		{"accumulate", s.Batch%s.Accumulate != 0},
		{"lr_ref", s.LRRef == 0 && s.LRSchedule == inverseSqrt.name},
		{"lr_step", s.LRStep == 0 && s.LRSchedule == stepwise.name},
		{"lr_gamma", s.LRGamma == 0 && s.LRSchedule == stepwise.name},
		{"epsilon", s.Epsilon == 0 && s.owns("epsilon")},
	} {
		if x := list.Get(c.key); c.bad {
			return &SettingError{c.key, fmt.Sprintf("%v is out of range, want %s", x.Value.Get(), x.Bounds())}
		}
	}
	if err := s.CheckFit(); err != nil {
		return err
	}
	if s.LREnd > s.LR {
		return &SettingError{"lr_end", fmt.Sprintf("%v is above the lr of %v; want at most that", s.LREnd, s.LR)}
	}
	if s.Decay > max(1, float64(s.Images)) {
		return &SettingError{"decay", fmt.Sprintf("%v images are more than the run has; want at most %d, or a share up to 1", s.Decay, s.Images)}
	}
	if s.Nesterov && s.Momentum == 0 {
		return &SettingError{"nesterov", "true is out of range, want a momentum above 0 with it"}
	}
	if s.NoiseScale && s.Accumulate == 1 {
		return &SettingError{"gradient_noise_scale", "true compares the gradients of a step with those of its micro-batches; want accumulate 2 or more with it"}
	}
	if s.EMASnapshotEvery > 0 && len(s.EMA.powers()) == 0 {
		return &SettingError{"ema_snapshot_every", fmt.Sprintf("%d is for averages by a power of time alone (--ema power), and there are %v; leave it out", s.EMASnapshotEvery, s.EMA)}
	}
	if _, err := augment.New(s.Augment, s.Flip, s.Seed, augment.Smallest); err != nil {
		return &SettingError{"augment", err.Error()}
	}
	return s.checkMethods()
}

// CheckFit says why images cannot be brought to the size as they are to be.
func (s Settings) CheckFit() error {
	if err := data.Fit(s.Fit).Check(s.Data, s.Size); err != nil {
		return &SettingError{"fit", err.Error()}
	}
	return nil
}

// Change is a setting that differs between two runs.
type Change struct {
	Key      string
	Old, New any
	Breaks   bool // a run cannot go on with the new value
}

// Changes lists what differs, in the order of the fields.
func (s Settings) Changes(next Settings) []Change {
	var list []Change
	later := next.List()
	for i, x := range s.List() {
		if a, b := x.Value.Get(), later[i].Value.Get(); a != b {
			list = append(list, Change{x.Key, a, b, x.Breaks.If != nil && x.Breaks.If(a, b)})
		}
	}
	return list
}
