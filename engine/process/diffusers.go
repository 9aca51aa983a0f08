package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	flowClass        = "FlowMatchEulerDiscreteScheduler"
	ddpmClass        = "DDPMScheduler"
	diffusersVersion = "0.42.1"
	trainSteps       = 1000
)

// predictionTypes are DDPMScheduler's names of our outputs. It has none for u:
// our name is written there, at which diffusers stops with an error.
var predictionTypes = map[string]string{"eps": "epsilon", "x": "sample", "v": "v_prediction"}

// SchedulerConfig returns the process as diffusers' scheduler_config.json.
//
// Flow matching becomes FlowMatchEulerDiscreteScheduler, whose convention is
// ours (y = ε − x, time input 1000 t) for the output u. It cannot be told of
// another output: that is written as _fluxion_output, which diffusers ignores,
// so diffusers CANNOT sample a flow-matching network with output x, eps or v
// and will not notice.
//
// The cosine becomes DDPMScheduler with trained_betas: ᾱ after step n is α² at
// t = n/1000, the time at which our network is called with n (t = 1/2000 for n = 0,
// where β would be 0 and diffusers would divide by it). squaredcos_cap_v2 is
// another schedule, with an offset of 0.008 and other times. timestep_spacing
// is trailing, for leading would not start at noise.
func (p Process) SchedulerConfig() ([]byte, error) {
	config := map[string]any{"_diffusers_version": diffusersVersion, "num_train_timesteps": trainSteps}
	base, modified := Unmodified(p.Schedule)
	if (modified != ScheduleOptions{MaxLogSNR: modified.MaxLogSNR}) {
		return nil, fmt.Errorf("schedule %s with %+v has no scheduler in diffusers", base.Name(), modified)
	}
	switch base.(type) {
	case flowMatching:
		maps.Copy(config, map[string]any{
			"_class_name": flowClass, "shift": 1.0, "shift_terminal": nil, "use_dynamic_shifting": false,
			"base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096,
			"invert_sigmas": false, "stochastic_sampling": false, "time_shift_type": "exponential",
			"use_beta_sigmas": false, "use_exponential_sigmas": false, "use_karras_sigmas": false,
		})
		if p.Output.Name != "u" {
			config["_fluxion_output"] = p.Output.Name
		}
	case cosine:
		prediction, ok := predictionTypes[p.Output.Name]
		if !ok {
			prediction = p.Output.Name
		}
		maps.Copy(config, map[string]any{
			"_class_name": ddpmClass, "trained_betas": betas(p.Schedule),
			"prediction_type": prediction, "timestep_spacing": "trailing", "variance_type": "fixed_small",
			"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02, // not used beside trained_betas
			"clip_sample": false, "clip_sample_range": 1.0, "thresholding": false, "sample_max_value": 1.0,
			"dynamic_thresholding_ratio": 0.995, "steps_offset": 0, "rescale_betas_zero_snr": false,
		})
		if modified.MaxLogSNR != 0 {
			config["_fluxion_max_log_snr"] = modified.MaxLogSNR
		}
	default:
		return nil, fmt.Errorf("schedule %s has no scheduler in diffusers", p.Schedule.Name())
	}
	var b bytes.Buffer
	b.WriteString("{\n")
	for i, key := range slices.Sorted(maps.Keys(config)) {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "  %q: %s", key, python(config[key]))
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

// betas of the DDPM with trainSteps steps whose marginals are the schedule's:
// 1 − ᾱₙ/ᾱₙ₋₁, written without the cancellation.
func betas(s Schedule) []float64 {
	b := make([]float64, trainSteps)
	alpha, sigma := 1.0, 0.0
	for n := range b {
		a, c := s.AlphaSigma(math.Max(float64(n), 0.5) / trainSteps)
		b[n] = (c - sigma) * (c + sigma) / (alpha * alpha)
		alpha, sigma = a, c
	}
	return b
}

// python writes a value as Python's json.dumps with indent 2 does.
func python(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(v)
	case float64:
		format := byte('f')
		if a := math.Abs(v); a != 0 && (a < 1e-4 || a >= 1e16) {
			format = 'e'
		}
		s := strconv.FormatFloat(v, format, -1, 64)
		if format == 'f' && !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	case []float64:
		items := make([]string, len(v))
		for i, x := range v {
			items[i] = "    " + python(x)
		}
		return "[\n" + strings.Join(items, ",\n") + "\n  ]"
	default: // int, bool
		return fmt.Sprint(v)
	}
}

// ParseScheduler reads a scheduler_config.json that SchedulerConfig wrote, or
// an equal one. It refuses, by name, whatever describes another process; what
// only steers diffusers' own sampling (clip_sample, variance_type, spacing) is
// not read.
func ParseScheduler(data []byte) (Process, error) {
	// diffusers writes infinities, which are not JSON.
	for _, word := range []string{"-Infinity", "Infinity", "NaN"} {
		data = bytes.ReplaceAll(data, []byte(": "+word), []byte(": null"))
	}
	config := struct {
		Class       string    `json:"_class_name"`
		Steps       int       `json:"num_train_timesteps"`
		Output      string    `json:"_fluxion_output"`
		MaxLogSNR   float64   `json:"_fluxion_max_log_snr"`
		Shift       float64   `json:"shift"`
		Terminal    *float64  `json:"shift_terminal"`
		Dynamic     bool      `json:"use_dynamic_shifting"`
		Invert      bool      `json:"invert_sigmas"`
		Stochastic  bool      `json:"stochastic_sampling"`
		Karras      bool      `json:"use_karras_sigmas"`
		Exponential bool      `json:"use_exponential_sigmas"`
		Beta        bool      `json:"use_beta_sigmas"`
		Betas       []float64 `json:"trained_betas"`
		BetaName    string    `json:"beta_schedule"`
		Prediction  string    `json:"prediction_type"`
		ZeroSNR     bool      `json:"rescale_betas_zero_snr"`
	}{Steps: trainSteps, Output: "u", Shift: 1, BetaName: "linear", Prediction: "epsilon"}
	if err := json.Unmarshal(data, &config); err != nil {
		return Process{}, fmt.Errorf("scheduler config: %w", err)
	}
	refuse := func(key string, value any, want string) (Process, error) {
		return Process{}, fmt.Errorf("scheduler config: %s with %s = %v is not supported, want %s", config.Class, key, value, want)
	}
	if config.Class != flowClass && config.Class != ddpmClass {
		return Process{}, fmt.Errorf("scheduler config: %q is not supported, want %s, or %s with trained_betas of our cosine",
			config.Class, flowClass, ddpmClass)
	}
	if config.Steps != trainSteps {
		return refuse("num_train_timesteps", config.Steps, "1000")
	}
	if config.Class == flowClass {
		for _, flag := range []struct {
			key string
			set bool
		}{
			{"use_dynamic_shifting", config.Dynamic}, {"invert_sigmas", config.Invert},
			{"stochastic_sampling", config.Stochastic}, {"use_karras_sigmas", config.Karras},
			{"use_exponential_sigmas", config.Exponential}, {"use_beta_sigmas", config.Beta},
		} {
			if flag.set {
				return refuse(flag.key, true, "false")
			}
		}
		if config.Shift != 1 {
			return refuse("shift", config.Shift, "1.0")
		}
		if config.Terminal != nil {
			return refuse("shift_terminal", *config.Terminal, "null")
		}
		return Get("fm", ScheduleOptions{}, config.Output)
	}
	switch {
	case len(config.Betas) == 0:
		return refuse("beta_schedule", config.BetaName, "trained_betas of our cosine")
	case config.ZeroSNR:
		return refuse("rescale_betas_zero_snr", true, "false")
	}
	output := config.Prediction
	for ours, theirs := range predictionTypes {
		if theirs == config.Prediction {
			output = ours
		}
	}
	p, err := Get("cosine", ScheduleOptions{MaxLogSNR: config.MaxLogSNR}, output)
	if err != nil {
		return Process{}, fmt.Errorf("scheduler config: %w", err)
	}
	want := betas(p.Schedule)
	if len(want) != len(config.Betas) {
		return refuse("trained_betas", fmt.Sprintf("[%d numbers]", len(config.Betas)), "1000 numbers")
	}
	for n, b := range config.Betas {
		// float32's precision: diffusers keeps no more.
		if math.Abs(b-want[n]) > 1e-6*want[n]+6e-8 {
			return refuse(fmt.Sprintf("trained_betas[%d]", n), b, fmt.Sprintf("our cosine's %g", want[n]))
		}
	}
	return p, nil
}
