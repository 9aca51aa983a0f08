package scheduler

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/process"

	"pgregory.net/rapid"
)

// Every class is written with all its keys, read again, and written the same.
func TestRoundTrip(t *testing.T) {
	for _, class := range classes {
		c := Config{Name: class.name, Class: class.make()}
		text := c.Bytes()
		back, err := read(text)
		if err != nil {
			t.Errorf("%s: %v", class.name, err)
			continue
		}
		if !reflect.DeepEqual(back.Class, c.Class) {
			t.Errorf("%s came back as %+v, want %+v", class.name, back.Class, c.Class)
		}
		if again := back.Bytes(); string(again) != string(text) {
			t.Errorf("%s is written as\n%s\nthen as\n%s", class.name, text, again)
		}
	}
}

// The bytes that diffusers itself writes for each class's defaults, by
// scripts/check_schedulers.py.
func TestDefaultsInBytes(t *testing.T) {
	data, err := os.ReadFile("testdata/defaults.json")
	if err != nil {
		t.Fatal(err)
	}
	var written map[string]string
	if err := json.Unmarshal(data, &written); err != nil {
		t.Fatal(err)
	}
	for _, class := range classes {
		c := Config{Name: class.name, Class: class.make()}
		if got := string(c.Bytes()); got != written[class.name] {
			t.Errorf("%s is written as\n%swant\n%s", class.name, got, written[class.name])
		}
	}
}

// The bytes that diffusers' save_pretrained writes.
func TestBytes(t *testing.T) {
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Of(p)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "_class_name": "FlowMatchEulerDiscreteScheduler",
  "_diffusers_version": "0.42.1",
  "base_image_seq_len": 256,
  "base_shift": 0.5,
  "invert_sigmas": false,
  "max_image_seq_len": 4096,
  "max_shift": 1.15,
  "num_train_timesteps": 1000,
  "shift": 1.0,
  "shift_terminal": null,
  "stochastic_sampling": false,
  "time_shift_type": "exponential",
  "use_beta_sigmas": false,
  "use_dynamic_shifting": false,
  "use_exponential_sigmas": false,
  "use_karras_sigmas": false
}
`
	if got := string(c.Bytes()); got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestTimeScale: diffusers tells a network of the straight path num_train_timesteps·σ, and
// stops at what it has no key for.
func TestTimeScale(t *testing.T) {
	for _, c := range []struct{ schedule, output, want string }{
		{"fm", "u", `"num_train_timesteps": 16,`}, {"fm", "x", `"prediction_type": "fluxion",`}, {"cosine", "v", `"prediction_type": "fluxion",`},
	} {
		p, err := process.Get(c.schedule, process.ScheduleOptions{TimeScale: 16}, c.output)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.At(0.25).NetworkTime; got != 4 {
			t.Errorf("%v: the network is told %v at t = 0.25, want 4", p, got)
		}
		if of, err := Of(p); err != nil || !strings.Contains(string(of.Bytes()), c.want) {
			t.Errorf("%v is written as %s, %v", p, of.Bytes(), err)
		}
	}
	for _, c := range []struct{ schedule, output, want string }{{"ddpm-linear", "eps", "number of the step"}, {"ve", "edm", "ln(σ/α)/4"}} {
		if _, err := process.Get(c.schedule, process.ScheduleOptions{TimeScale: 16}, c.output); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s/%s: %v, want an error about %q", c.schedule, c.output, err, c.want)
		}
	}
}

// diffusers clips where a run's own grids and fluxion sample do.
func TestClipSample(t *testing.T) {
	for output, want := range map[string]bool{"eps": true, "v": false} {
		p, err := process.Get("cosine", process.ScheduleOptions{}, output)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Of(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Class.(*ddpm).ClipSample; got != want {
			t.Errorf("%v: clip_sample is %v, want %v", p, got, want)
		}
	}
}

func TestInfinity(t *testing.T) {
	c, err := read([]byte(`{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "_note": "-Infinity \" NaN"}`))
	if err != nil {
		t.Fatal(err)
	}
	if v := c.Class.(*dpmMultistep).LambdaMinClipped; !math.IsInf(v, -1) {
		t.Errorf("lambda_min_clipped = %v", v)
	}
	if text := string(c.Bytes()); !strings.Contains(text, `"lambda_min_clipped": -Infinity,`) {
		t.Errorf("written as\n%s", text)
	}
}

// A checkpoint says what its network was trained on.
func TestProcessRoundTrip(t *testing.T) {
	for _, schedule := range process.Schedules() {
		for _, o := range []process.ScheduleOptions{{}, {MaxLogSNR: 9}, {Shift: 0.5}, {ZeroSNR: true}, {Scale: "1+t"}, {ZeroSNR: true, Shift: 2, MaxLogSNR: 10, Scale: "2-t"}, {TimeScale: 16}, {TimeScale: 2, Shift: 2, Scale: "1+t"}} {
			for _, output := range process.Outputs() {
				p, err := process.Get(schedule, o, output)
				if err != nil {
					continue // not a process
				}
				c, err := Of(p)
				if err != nil {
					t.Fatalf("%v %+v: %v", p, o, err)
				}
				if c, err = read(c.Bytes()); err != nil {
					t.Fatalf("%v: %v", p, err)
				}
				q, err := c.Process()
				if err != nil {
					t.Fatalf("%v %+v: %v", p, o, err)
				}
				for _, at := range []float64{0.1, 0.5, 0.9} {
					a, b := p.At(at), q.At(at)
					for i, want := range []float64{a.LogSNR, a.Alpha, a.Sigma, a.NetworkTime, a.A, a.B, a.Input} {
						if got := []float64{b.LogSNR, b.Alpha, b.Sigma, b.NetworkTime, b.A, b.B, b.Input}[i]; math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
							t.Errorf("%v %+v at %v: %+v came back as %+v", p, o, at, a, b)
						}
					}
				}
				if p.Schedule.Name() != q.Schedule.Name() || p.Output.Name != q.Output.Name {
					t.Errorf("%v %+v came back as %v", p, o, q)
				}
			}
		}
	}
}

// What diffusers computes from our βs, in float32 as it does.
func TestBetasInDiffusers(t *testing.T) {
	s, err := process.GetSchedule("cosine", process.ScheduleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cumulated := float32(1)
	for n, beta := range continuousBetas(s) {
		if float32(1)-float32(beta) == 1 {
			t.Errorf("β[%d] = %v vanishes in float32, DDPMScheduler would divide by 0", n, beta)
		}
		cumulated *= 1 - float32(beta)
		alpha, sigma := s.AlphaSigma(math.Max(float64(n), 0.5) / trainSteps)
		// Near 1 float32 resolves 6e-8; near 0 a thousand roundings add up.
		if math.Abs(1-float64(cumulated)-sigma*sigma) > 2e-5 {
			t.Errorf("1−ᾱ[%d] = %v, want %v", n, 1-float64(cumulated), sigma*sigma)
		}
		if r := float64(cumulated) / (alpha * alpha); math.Abs(r-1) > 1e-4 {
			t.Errorf("ᾱ[%d] is off by %v", n, r)
		}
	}
}

func TestForeignProcesses(t *testing.T) {
	for config, want := range map[string]string{
		`{"_class_name": "DDPMScheduler", "beta_schedule": "squaredcos_cap_v2"}`:                                       "ddpm-squaredcos/eps",
		`{"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}`: "ddpm-scaled-linear/eps",
		`{"_class_name": "EulerDiscreteScheduler", "prediction_type": "v_prediction"}`:                                 "ddpm-linear/v",
		`{"_class_name": "DDIMScheduler", "trained_betas": [0.1, 0.2], "num_train_timesteps": 2}`:                      "ddpm-trained/eps",
		`{"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": true, "prediction_type": "flow_prediction"}`:    "fm/u",
		`{"_class_name": "EDMEulerScheduler"}`:                                                                         "ve/edm",
		`{"_class_name": "FlowMatchHeunDiscreteScheduler"}`:                                                            "fm/u",
	} {
		c, err := read([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		if p, err := c.Process(); err != nil || p.String() != want {
			t.Errorf("%s is %v (%v), want %s", config, p, err, want)
		}
	}
	for config, want := range map[string]string{
		`{"_class_name": "CMStochasticIterativeScheduler"}`:                                                                 "jumps to the data",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 0}`:                                      "num_train_timesteps = 0",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "_fluxion_output": "w"}`:                                        `output "w"`,
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": true}`:                                         "invert_sigmas",
		`{"_class_name": "DDPMScheduler", "trained_betas": [0.1], "num_train_timesteps": 1, "_fluxion_schedule": "cosine"}`: "trained_betas",
	} {
		c, err := read([]byte(config))
		if err == nil {
			_, err = c.Process()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", config, err, want)
		}
	}
}

// opened is the config of a file with this text.
func opened(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), fileName)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return Open(path)
}

// Configs of other versions are opened, and what of them has no effect is named.
func TestOtherVersions(t *testing.T) {
	for text, want := range map[string]string{
		// google/ddpm-cifar10-32 as it was in 2022.
		`{"_class_name": "DDPMScheduler", "_diffusers_version": "0.0.4", "beta_end": 0.02, "beta_schedule": "linear", "beta_start": 0.0001,
		  "clip_sample": true, "num_train_timesteps": 1000, "tensor_format": "np", "timestep_values": null, "variance_type": "fixed_large"}`: "tensor_format timestep_values",
		`{"_class_name": "DDIMScheduler", "skip_prk_steps": true, "tensor_format": "pt"}`:                           "skip_prk_steps tensor_format",
		`{"_class_name": "DDPMScheduler", "predict_epsilon": true}`:                                                 "predict_epsilon",
		`{"_class_name": "DDPMScheduler", "predict_epsilon": false, "prediction_type": "sample"}`:                   "predict_epsilon",
		`{"_class_name": "EulerDiscreteScheduler", "of_tomorrow": null, "snr_shift_scale": 3.0, "sigma_max": null}`: "of_tomorrow snr_shift_scale",
	} {
		c, err := read([]byte(text), "snr_shift_scale")
		if got := strings.Join(c.Unused, " "); err != nil || got != want {
			t.Errorf("%s: without effect %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"_class_name": "DDPMScheduler", "predict_epsilon": false}`: `want prediction_type = "sample"`,
		`{"_class_name": "DDPMScheduler", "snr_shift_scale": 3.0}`:   "--ignore-key snr_shift_scale",
		`{"_class_name": "DDPMScheduler", "beta_start": "x"}`:        "beta_start = x, want a number",
		`{"_class_name": "DDPMScheduler", "beta_start": NaN}`:        "beta_start = NaN, want a number",
		`{"_class_name": "DDPMScheduler", "trained_betas": {}}`:      "trained_betas = an object, want a list",
		`{"_class_name": 3}`: "no _class_name",
		`[]`:                 "is a list, want an object",
		`{"_class_name": "DDPMScheduler", "num_train_timesteps": 1000000000}`:  "num_train_timesteps = 1000000000 is not supported, want 2 to 1000000",
		`{"_class_name": "LCMScheduler", "num_train_timesteps": 1e14}`:         "num_train_timesteps = 100000000000000",
		`{"_class_name": "EulerDiscreteScheduler", "num_train_timesteps": -1}`: "num_train_timesteps = -1",
	} {
		c, err := opened(t, text)
		if err == nil {
			_, err = c.Plan(Options{Steps: 4})
		}
		var fault *FileError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one of the file with %q", text, err, want)
		}
	}
	c, err := read([]byte(`{"_class_name": "FlowMatchEulerDiscreteScheduler"}`))
	if err != nil {
		t.Fatal(err)
	}
	var fault *FileError
	if _, err := c.Plan(Options{Steps: 1_000_000_000}); err == nil || errors.As(err, &fault) {
		t.Errorf("too many steps: error %v, want one of the options", err)
	}
}

// FuzzRead: a config is refused or gives a plan and a process, or one line that says
// why not; whatever stands in it, time and memory are bounded.
func FuzzRead(f *testing.F) {
	for _, class := range classes {
		f.Add((Config{Name: class.name, Class: class.make()}).Bytes())
	}
	for _, text := range []string{`null`, `{"_class_name": null}`, `{"_class_name": "DDPMScheduler", "num_train_timesteps": 1000000000}`,
		`{"_class_name": "DDPMScheduler", "trained_betas": [1e400, NaN]}`, `{"_class_name": "DDPMScheduler", "_fluxion_scale": "((((1", "_fluxion_schedule": "fm"}`,
		`{"_class_name": "LCMScheduler", "original_inference_steps": 9223372036854775807}`, `{"_class_name": "UniPCMultistepScheduler", "disable_corrector": [-1], "solver_order": 4}`,
		`{"_class_name": "DDIMScheduler", "steps_offset": -9223372036854775808}`, `{"_class_name": "CMStochasticIterativeScheduler", "num_train_timesteps": 1}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := read(data)
		if err == nil {
			_, err = c.Plan(Options{Steps: 5})
			if _, err := c.Process(); err != nil && strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than a line: %v", err)
			}
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Fatalf("more than a line: %v", err)
		}
	})
}

// What a class cannot run is refused by the key that is at fault, above all what
// diffusers itself would run wrongly.
func TestRefusedPlans(t *testing.T) {
	written := func(schedule, output string) string {
		p, err := process.Get(schedule, process.ScheduleOptions{}, output)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Of(p)
		if err != nil {
			t.Fatal(err)
		}
		return string(c.Bytes())
	}
	for config, want := range map[string]string{
		written("fm", "x"):   "no class of diffusers has schedule fm with output x; fluxion trace --schedule fm --output x",
		written("ve", "eps"): "schedule ve with output eps",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "_fluxion_output": "x"}`:                             "_fluxion_output = x",
		`{"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true, "timestep_spacing": "trailing"}`:       `prediction_type = "epsilon"`,
		`{"_class_name": "DDIMInverseScheduler", "prediction_type": "sample", "timestep_spacing": "trailing"}`:   `prediction_type = "sample"`,
		`{"_class_name": "DDPMScheduler", "variance_type": "learned_range"}`:                                     `variance_type = "learned_range"`,
		`{"_class_name": "UniPCMultistepScheduler", "solver_p": {"_class_name": "DPMSolverMultistepScheduler"}}`: "solver_p",
	} {
		c, err := read([]byte(config))
		if err == nil {
			_, err = c.Plan(Options{Steps: 4})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", config, err, want)
		}
	}
}

// Whatever stands in a config, there is a plan with finite rows or one line that
// says what is wrong.
func TestAnyConfig(t *testing.T) {
	numbers := []float64{-1, 0, 1e-5, 0.3, 1, 2.5, 40, math.Inf(1)}
	words := []string{"epsilon", "sample", "v_prediction", "flow_prediction", "linspace", "leading", "trailing", "linear", "scaled_linear",
		"squaredcos_cap_v2", "dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver", "midpoint", "heun", "bh1", "zero", "sigma_min",
		"karras", "exponential", "continuous", "log_linear", "fixed_large", "other"}
	for _, class := range classes {
		t.Run(class.name, rapid.MakeCheck(func(r *rapid.T) {
			c := Config{Name: class.name, Class: class.make()}
			fields := fieldsOf(c.Class)
			keys := slices.Sorted(maps.Keys(fields))
			for range rapid.IntRange(0, 4).Draw(r, "changes") {
				key := rapid.SampledFrom(keys).Draw(r, "key")
				value := rapid.SampledFrom([]any{true, int64(rapid.IntRange(-2, 60).Draw(r, "whole")),
					rapid.SampledFrom(numbers).Draw(r, "number"), rapid.SampledFrom(words).Draw(r, "word"), []any{0.1, 0.2, 0.3}}).Draw(r, "value")
				set(fields[key], value)
			}
			eta := rapid.Float64Range(0, 1).Draw(r, "eta")
			o := Options{Steps: rapid.IntRange(1, 25).Draw(r, "steps"), Compat: Compat(rapid.IntRange(0, 2).Draw(r, "compat")),
				Begin: rapid.IntRange(0, 1).Draw(r, "begin")}
			if k, ok := c.Class.(*flowEuler); ok && k.UseDynamicShifting {
				o.Tokens = rapid.IntRange(0, 3000).Draw(r, "tokens")
			}
			if strings.HasPrefix(class.name, "DDIMS") || class.name == "TCDScheduler" {
				o.Eta = &eta
			}
			p, err := c.Plan(o)
			if err != nil {
				if strings.Contains(err.Error(), "\n") {
					r.Errorf("more than a line: %v", err)
				}
				return
			}
			for i, row := range p.Rows {
				for _, v := range append([]float64{row.A, row.C, row.Recall, row.Call.NetworkTime, row.Call.Input, row.Keep.Z, row.Keep.Y}, row.B...) {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						r.Fatalf("%s steps=%d compat=%d: row %d of %s is %+v", c.Bytes(), o.Steps, o.Compat, i, p.Method, row)
					}
				}
			}
			if q, err := c.Process(); err == nil && q.Schedule == nil {
				r.Errorf("a process without a schedule")
			}
		}))
	}
}
