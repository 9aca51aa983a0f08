package train

import (
	"fmt"
	"reflect"
	"slices"

	"fluxion/data"
	"fluxion/data/lookup"
	"fluxion/engine/sampler"
)

// Settings are all that decides a run, as plain data: what the configuration
// file of a run folder holds. Images are counted in images seen.
type Settings struct {
	Data       string `json:"data"`        // see data.Open
	Size       int    `json:"size"`        // side of the square images; 0: as they are
	Channels   int    `json:"channels"`    // 1, 3, or 0: as they are
	Flip       bool   `json:"flip"`        // random horizontal flips
	SkipBroken bool   `json:"skip_broken"` // leave out undecodable images instead of stopping

	Preset      string  `json:"preset"` // of package nets, or a folder with a UNet2DModel
	Schedule    string  `json:"schedule"`
	ClipLambda  float64 `json:"clip_lambda"` // |λ| of the schedule stays below; 0: as it is
	Shift       float64 `json:"shift"`       // of the schedule's λ, by 2 ln shift
	ZeroSNR     bool    `json:"zero_snr"`    // no data is left at t = 1
	Scale       string  `json:"scale"`       // formula of t that multiplies α and σ
	Output      string  `json:"output_kind"`
	Weighting   string  `json:"weighting"`
	TimeSampler string  `json:"time_sampler"`

	Images       int64     `json:"images"`       // length of the run
	Batch        int       `json:"batch"`        // images of a step
	Accumulate   int       `json:"accumulate"`   // micro-batches a step is cut into
	Accumulation string    `json:"accumulation"` // order in which their gradients are added
	Optimizer    string    `json:"optimizer"`    // see optimizers
	LR           float64   `json:"lr"`           // largest learning rate
	LRSchedule   string    `json:"lr_schedule"`  // how it goes on behind its warm-up: see rates
	LRRef        int64     `json:"lr_ref"`       // images at which inverse-sqrt begins to fall
	Warmup       int64     `json:"warmup"`       // images over which it rises from 0
	Decay        float64   `json:"decay"`        // share of the run, at its end, over which it falls to 0
	Beta1        float64   `json:"beta1"`        //
	Beta2        float64   `json:"beta2"`        //
	Epsilon      float64   `json:"epsilon"`      //
	Momentum     float64   `json:"momentum"`     //
	Nesterov     bool      `json:"nesterov"`     // the step looks ahead by the momentum
	WeightDecay  float64   `json:"weight_decay"` //
	Clip         float64   `json:"clip"`         // largest norm of the gradients; 0: no clipping
	EMA          HalfLives `json:"ema"`          // half-lives of the averaged weights, in images
	EMAWarmup    float64   `json:"ema_warmup"`   // the half-life is at most this share of the images seen
	LabelDrop    float64   `json:"label_drop"`   // share of images trained without their label
	Seed         uint64    `json:"seed"`

	SelfConditioning float64 `json:"self_conditioning"` // share of images that are given the network's own estimate; 0: the network takes none

	Precision string `json:"precision"` // fp32, bf16, auto
	Device    string `json:"device"`    // auto, cpu, cuda:N
	Threads   int    `json:"threads"`   // 0: all
	Recompute string `json:"recompute"` // one of plan.Recomputations
	Blockings string `json:"blockings"` // auto, off, or the folder of a tuning.Table

	CheckpointEvery int64 `json:"checkpoint_every"` // images; 0: only at the end
	Keep            int   `json:"keep"`             // newest checkpoints that stay
	SampleEvery     int64 `json:"sample_every"`     // images; 0: only at the end
	SampleSteps     int   `json:"sample_steps"`     // network evaluations of a grid's image
	SampleCount     int   `json:"sample_count"`     // images of a grid; 0: no grids
}

// Default returns the settings of a run without arguments: class-conditional
// glyphs, a small network by its recipe, a few minutes on two cores.
func Default() Settings {
	s := Settings{
		Data: "glyphs", Preset: "tiny",
		Schedule: "fm", Shift: 1, Output: "u", Weighting: "plain", TimeSampler: "logit-normal+low-discrepancy",
		Accumulate: 1, Accumulation: inTree, Optimizer: adamWName, LRSchedule: linearName, Beta1: 0.9, Epsilon: 1e-8, WeightDecay: 0, EMAWarmup: 0.1, Seed: 1,
		Precision: "auto", Device: "auto", Recompute: "none", Blockings: "auto",
		Keep: 3, SampleSteps: 16, SampleCount: 40,
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

// Limits of settings, far beyond use: what is left is arithmetic that stays exact, and
// sizes that the check of memory can judge.
const (
	maxImages = 1 << 53 // float64 counts no further
	maxBatch  = 1 << 20
	maxGrid   = 10_000
)

// Validate reports the first number that is out of its range. Names that others know
// are checked where they are looked up.
func (s Settings) Validate() error {
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if x, ok := v.Field(i).Interface().(float64); ok && !finiteNumber(x) {
			return &SettingError{v.Type().Field(i).Tag.Get("json"), fmt.Sprintf("%v is out of range, want a finite number", x)}
		}
	}
	for _, c := range []struct {
		key  string
		bad  bool
		want string
	}{
		{"clip_lambda", !(s.ClipLambda >= 0), "want 0 (none) or more"},
		{"shift", !(s.Shift > 0), "want a positive number"},
		{"size", s.Size < 0 || s.Size > data.MaxSide, fmt.Sprintf("want 0 (as they are) or a side up to %d", data.MaxSide)},
		{"channels", s.Channels != 0 && s.Channels != 1 && s.Channels != 3, "want 0 (as they are), 1 (grey) or 3 (RGB)"},
		{"images", s.Images < 1 || s.Images > maxImages, "want 1 to 2^53"},
		{"batch", s.Batch < 1 || s.Batch > maxBatch, fmt.Sprintf("want 1 to %d", maxBatch)},
		{"accumulate", s.Accumulate < 1 || s.Batch%max(1, s.Accumulate) != 0, "want a divisor of batch"},
		{"lr", !(s.LR > 0), "want a positive number"},
		{"lr_ref", s.LRRef < 0 || s.LRRef > maxImages || s.LRRef == 0 && s.LRSchedule == inverseSqrt.name, "want 1 to 2^53 images"},
		{"warmup", s.Warmup < 0 || s.Warmup > maxImages, "want 0 to 2^53 images"},
		{"decay", !(s.Decay >= 0 && s.Decay <= 1), "want a share from 0 to 1"},
		{"beta1", !(s.Beta1 >= 0 && s.Beta1 < 1), "want a number in [0, 1)"},
		{"beta2", !(s.Beta2 >= 0 && s.Beta2 < 1), "want a number in [0, 1)"},
		{"epsilon", s.Epsilon < 0 || s.Epsilon == 0 && s.Optimizer == adamWName, "want a positive number"},
		{"momentum", !(s.Momentum >= 0 && s.Momentum < 1), "want a number in [0, 1)"},
		{"nesterov", s.Nesterov && s.Momentum == 0, "want a momentum above 0 with it"},
		{"weight_decay", !(s.WeightDecay >= 0), "want 0 or more"},
		{"clip", !(s.Clip >= 0), "want 0 or more"},
		{"ema", slices.Min(s.EMA[:]) < 0 || slices.Max(s.EMA[:]) > maxImages, "want 0 to 2^53 images"},
		{"ema_warmup", !(s.EMAWarmup >= 0), "want 0 or more"},
		{"label_drop", !(s.LabelDrop >= 0 && s.LabelDrop < 1), "want a share in [0, 1)"},
		{"self_conditioning", !(s.SelfConditioning >= 0 && s.SelfConditioning < 1), "want 0 (none) or a share below 1, such as 0.5: sampling begins without an estimate"},
		{"threads", s.Threads < 0, "want 0 (all) or more"},
		{"checkpoint_every", s.CheckpointEvery < 0 || s.CheckpointEvery > maxImages, "want 0 (only at the end) to 2^53 images"},
		{"keep", s.Keep < 1, "want 1 or more checkpoints"},
		{"sample_every", s.SampleEvery < 0 || s.SampleEvery > maxImages, "want 0 (only at the end) to 2^53 images"},
		{"sample_steps", s.SampleSteps < 1 || s.SampleSteps > sampler.MaxSteps, fmt.Sprintf("want 1 to %d", sampler.MaxSteps)},
		{"sample_count", s.SampleCount < 0 || s.SampleCount > maxGrid, fmt.Sprintf("want 0 to %d images", maxGrid)},
	} {
		if c.bad {
			return &SettingError{c.key, fmt.Sprintf("%v is out of range, %s", s.value(c.key), c.want)}
		}
	}
	if _, err := lookup.Find("order of sums", s.Accumulation, accumulations); err != nil {
		return &SettingError{"accumulation", err.Error()}
	}
	return s.checkMethods()
}

// value returns the setting of a key.
func (s Settings) value(key string) any {
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("json") == key {
			return v.Field(i).Interface()
		}
	}
	return nil
}

// Change is a setting that differs between two runs.
type Change struct {
	Key      string
	Old, New any
	Breaks   bool // a run cannot go on with the new value
}

// breaking are the settings that the weights or what images were seen depend on.
// Data, their size and channels are compared as what they are: see compareData.
var breaking = map[string]bool{
	"flip": true, "preset": true,
	"schedule": true, "clip_lambda": true, "shift": true, "zero_snr": true, "scale": true, "output_kind": true,
	"seed": true, "optimizer": true,
}

// Changes lists what differs, in the order of the fields.
func (s Settings) Changes(next Settings) []Change {
	var list []Change
	a, b := reflect.ValueOf(s), reflect.ValueOf(next)
	for i := range a.NumField() {
		key := a.Type().Field(i).Tag.Get("json")
		if x, y := a.Field(i).Interface(), b.Field(i).Interface(); x != y {
			takes := key == "self_conditioning" && (x == 0.0) != (y == 0.0) // another network
			unkept := key == "ema" && !s.EMA.goesOnAs(next.EMA)
			list = append(list, Change{key, x, y, breaking[key] || takes || unkept})
		}
	}
	return list
}
