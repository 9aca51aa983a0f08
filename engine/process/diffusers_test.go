package process

import (
	"math"
	"strings"
	"testing"
)

func TestSchedulerRoundTrip(t *testing.T) {
	for _, p := range all(t) {
		data, err := p.SchedulerConfig()
		if err != nil {
			t.Fatal(err)
		}
		q, err := ParseScheduler(data)
		if err != nil {
			t.Errorf("%v: %v", p, err)
		} else if q.Schedule != p.Schedule || q.Output.Name != p.Output.Name {
			t.Errorf("%v came back as %v", p, q)
		}
	}
}

// Keys and defaults are those of diffusers' constructor (formats.md, 2.5).
func TestFlowSchedulerBytes(t *testing.T) {
	p, _ := Get("fm", ScheduleOptions{}, "u")
	got, err := p.SchedulerConfig()
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
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
}

// What diffusers computes from our betas, in float32 as it does.
func TestBetasInDiffusers(t *testing.T) {
	s, _ := GetSchedule("cosine", ScheduleOptions{})
	cumulated := float32(1)
	for n, beta := range betas(s) {
		if float32(1)-float32(beta) == 1 {
			t.Errorf("β[%d] = %v vanishes in float32, DDPMScheduler would divide by 0", n, beta)
		}
		cumulated *= 1 - float32(beta)
		alpha, sigma := s.AlphaSigma(math.Max(float64(n), 0.5) / 1000)
		// Near 1 float32 resolves 6e-8; near 0 a thousand roundings add up.
		near(t, "1−ᾱ", 1-float64(cumulated), sigma*sigma, 2e-5)
		if r := float64(cumulated) / (alpha * alpha); math.Abs(r-1) > 1e-4 {
			t.Errorf("ᾱ[%d] is off by %v", n, r)
		}
	}
}

func TestPythonFloats(t *testing.T) {
	for v, want := range map[float64]string{1: "1.0", 0: "0.0", 0.02: "0.02", 1e-4: "0.0001", 9e-5: "9e-05",
		6.168502750680847e-07: "6.168502750680847e-07", 1e15: "1000000000000000.0", 1e16: "1e+16", -2.5: "-2.5", 1e-100: "1e-100"} {
		if got := python(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}

func TestParseSchedulerRefuses(t *testing.T) {
	for config, want := range map[string]string{
		`{`: "scheduler config",
		`{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity}`:         "DPMSolverMultistepScheduler",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}`:                        "shift = 3",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true}`:        "use_dynamic_shifting",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 500}`:          "num_train_timesteps = 500",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "_fluxion_output": "w"}`:              `output "w"`,
		`{"_class_name": "DDPMScheduler", "beta_schedule": "squaredcos_cap_v2"}`:                  "beta_schedule = squaredcos_cap_v2",
		`{"_class_name": "DDPMScheduler", "trained_betas": [0.1]}`:                                "1 numbers",
		`{"_class_name": "DDPMScheduler", "trained_betas": [0.1], "rescale_betas_zero_snr":true}`: "rescale_betas_zero_snr",
	} {
		_, err := ParseScheduler([]byte(config))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", config, err, want)
		}
	}
	p, _ := Get("cosine", ScheduleOptions{}, "eps")
	data, _ := p.SchedulerConfig()
	other := strings.Replace(string(data), `"trained_betas": [
    6.`, `"trained_betas": [
    7.`, 1)
	if _, err := ParseScheduler([]byte(other)); err == nil || !strings.Contains(err.Error(), "trained_betas[0]") {
		t.Errorf("changed betas: error %v", err)
	}
}
