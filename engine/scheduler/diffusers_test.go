package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"fluxion/engine/process"
	"fluxion/engine/trace"
)

// fixture is one run of diffusers' own loop in float64, by
// scripts/check_schedulers.py.
type fixture struct {
	Config  json.RawMessage
	Steps   int
	Eta, Mu *float64
	Churn   Churn
	Draws   [][]float64
	Times   []float64
	Sample  []float64
}

func (f fixture) String() string { return fmt.Sprintf("%s steps=%d", f.Config, f.Steps) }

// The script's start and formula.
var start = []float64{0.3, -1.1, 0.7, 2.0}

const formula = "formula:0.3*z + 0.6*sin(1.7*z + 0.004*n)"

// run executes a plan.
func run(t *testing.T, p Plan, denoiser trace.Denoiser, draws [][]float64) []float64 {
	t.Helper()
	r, err := trace.ExecuteWith(context.Background(), p.Table(), start, denoiser.Output, trace.GivenNoise(draws), p.Adjust)
	if err != nil {
		t.Fatal(err)
	}
	return r.States[len(r.States)-1]
}

// denoiser is an output that depends on the point alone.
type denoiser func(q process.Point, i int) float64

func (d denoiser) Output(q process.Point, z []float64) ([]float64, error) {
	y := make([]float64, len(z))
	for i := range y {
		y[i] = d(q, i)
	}
	return y, nil
}

func (f fixture) run(t *testing.T, compat Compat) (Plan, []float64) {
	t.Helper()
	c, err := read(f.Config)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(Options{Steps: f.Steps, Compat: compat, Eta: f.Eta, Mu: f.Mu, Churn: f.Churn})
	if err != nil {
		t.Fatalf("%v: %v", f, err)
	}
	d, err := trace.ParseDenoiser(formula)
	if err != nil {
		t.Fatal(err)
	}
	return p, run(t, p, d, f.Draws)
}

func distance(got, want []float64) float64 {
	var most, scale float64
	for i := range want {
		most = math.Max(most, math.Abs(got[i]-want[i]))
		scale = math.Max(scale, math.Abs(want[i]))
	}
	return most / scale
}

func fixtures(t *testing.T) []fixture {
	t.Helper()
	data, err := os.ReadFile("testdata/diffusers.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []fixture
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Every class agrees with diffusers: with Compat always, without it where no
// defect is named.
func TestAgainstDiffusers(t *testing.T) {
	classes := map[string]bool{}
	shown := map[Departure]bool{}
	for _, f := range fixtures(t) {
		p, sample := f.run(t, Diffusers)
		classes[p.Class] = true
		if d := distance(sample, f.Sample); !(d <= 1e-6) {
			t.Errorf("%v with Compat: %.1e from diffusers", f, d)
		}
		for i, n := range f.Times[:len(p.Rows)] {
			if math.Abs(p.Rows[i].Call.NetworkTime-n) > 1e-6*math.Max(1, math.Abs(n)) {
				t.Errorf("%v with Compat: call %d is told %v, want %v", f, i, p.Rows[i].Call.NetworkTime, n)
				break
			}
		}
		if len(p.Corrected) > 0 {
			t.Errorf("%v with Compat names %v as corrected", f, p.Corrected)
		}
		p, sample = f.run(t, Right)
		if d := distance(sample, f.Sample); len(p.Corrected) == 0 && !(d <= 1e-6) {
			t.Errorf("%v: %.1e from diffusers, and no defect is named", f, d)
		}
		for _, d := range p.Corrected {
			if d.Convention {
				t.Errorf("%v: %s is left out by default", f, d.Name)
			}
		}
		p, sample = f.run(t, Theory)
		if len(p.Repeated) > 0 {
			t.Errorf("%v without Compat names %v as repeated", f, p.Repeated)
		}
		if len(p.Corrected) == 1 && distance(sample, f.Sample) > 1e-6 {
			shown[p.Corrected[0]] = true
		}
	}
	for _, name := range Names() {
		if !classes[name] {
			t.Errorf("no run of %s", name)
		}
	}
	for _, d := range []Departure{previousStep, lonelyTime, cutTime, finalNoise, clippedEps, logLinear, shiftedTwice, thirdOrder, combinedV} {
		if !shown[d] {
			t.Errorf("no run shows what %s alone changes", d.Name)
		}
	}
}

// The third order is one where diffusers' is a second: with x̂ = sin(ℓ + i),
// ℓ = ln(α/σ), the ODE is d(z/σ)/dℓ = e^ℓ x̂ and has a closed form.
func TestThirdOrder(t *testing.T) {
	observed := func(compat Compat) float64 {
		var off []float64
		for _, steps := range []int{200, 400} {
			c, err := read([]byte(`{"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3, "use_exponential_sigmas": true,
				"final_sigmas_type": "sigma_min", "prediction_type": "sample"}`))
			if err != nil {
				t.Fatal(err)
			}
			p, err := c.Plan(Options{Steps: steps, Compat: compat})
			if err != nil {
				t.Fatal(err)
			}
			sample := run(t, p, denoiser(func(q process.Point, i int) float64 { return math.Sin(q.LogSNR/2 + float64(i)) }), nil)
			first, exact := p.Rows[0].Call, make([]float64, len(start))
			primitive := func(q process.Point, i int) float64 {
				l := q.LogSNR / 2
				return math.Exp(l) * (math.Sin(l+float64(i)) - math.Cos(l+float64(i))) / 2
			}
			for i, z := range start {
				exact[i] = p.End.Sigma * (z/first.Sigma + primitive(p.End, i) - primitive(first, i))
			}
			off = append(off, distance(sample, exact))
		}
		return math.Log2(off[0] / off[1])
	}
	ours, theirs := observed(Theory), observed(Diffusers)
	t.Logf("observed order %.2f, with Compat %.2f", ours, theirs)
	if ours < 2.8 || theirs > 2.2 {
		t.Errorf("observed order %.2f, want 3 or more; with Compat %.2f, want 2", ours, theirs)
	}
}

// A row with noise that agrees in mean and deviation with the posterior leaves
// the marginals of a Gaussian unchanged: the last step of DDPM in closed form.
func TestSDEKeepsVariance(t *testing.T) {
	for _, config := range []string{
		`{"_class_name": "DDPMScheduler", "clip_sample": false, "timestep_spacing": "trailing"}`,
		`{"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}`,
		`{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++", "solver_order": 1}`,
		`{"_class_name": "DPMSolverSinglestepScheduler", "algorithm_type": "sde-dpmsolver++", "solver_order": 1}`,
	} {
		c, err := read([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Plan(Options{Steps: 1000})
		if err != nil {
			t.Fatal(err)
		}
		// Data N(0, v): ε̂ = σ z/(α² v + σ²); z stays Gaussian, and its variance
		// follows from the rows.
		// A thousand steps of first order leave an error of 1.5 %.
		const v = 0.3
		first := p.Rows[0].Call
		variance := first.Alpha*first.Alpha*v + first.Sigma*first.Sigma
		for _, row := range p.Rows {
			q := row.Call
			gain := row.A + row.B[0]*q.Sigma/(q.Alpha*q.Alpha*v+q.Sigma*q.Sigma)
			variance = gain*gain*variance + row.C*row.C
		}
		if math.Abs(variance-v) > 0.02*v {
			t.Errorf("%s: variance of the sample is %.4f, want %.4f", config, variance, v)
		}
	}
}

func TestRefusals(t *testing.T) {
	for config, want := range map[string]string{
		`{`:                                "scheduler config",
		`{}`:                               "_class_name",
		`{"_class_name": 3}`:               "a string",
		`{"_class_name": "DDIMShceduler"}`: `did you mean "DDIMScheduler"`,
		`{"_class_name": "DDIMScheduler", "timestep_spacng": "leading"}`:                                                                           `did you mean "timestep_spacing"`,
		`{"_class_name": "DDIMScheduler", "clip_sample": "yes"}`:                                                                                   `clip_sample = yes, want true or false`,
		`{"_class_name": "DDIMScheduler", "trained_betas": 3}`:                                                                                     "want a list",
		`{"_class_name": "DDIMScheduler", "num_train_timesteps": 2.5}`:                                                                             "want a whole number",
		`{"_class_name": "DDIMScheduler", "beta_schedule": "laplace"}`:                                                                             "beta_schedule",
		`{"_class_name": "DDIMScheduler", "timestep_spacing": "lagging"}`:                                                                          "timestep_spacing",
		`{"_class_name": "DDIMScheduler", "prediction_type": "flow_prediction", "rescale_betas_zero_snr": true}`:                                   "epsilon, sample or v_prediction",
		`{"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true, "timestep_spacing": "trailing"}`:                                         "do not determine",
		`{"_class_name": "DDIMScheduler", "thresholding": true, "sample_max_value": -1}`:                                                           "sample_max_value",
		`{"_class_name": "DDPMScheduler", "variance_type": "learned_range"}`:                                                                       "does not learn a variance",
		`{"_class_name": "DDPMScheduler", "trained_betas": [0.1, 0.2]}`:                                                                            "[2 numbers]",
		`{"_class_name": "DDIMInverseScheduler", "timestep_spacing": "linspace"}`:                                                                  "leading or trailing",
		`{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver"}`:                                                            "sigma_min",
		`{"_class_name": "DPMSolverMultistepScheduler", "solver_order": 4}`:                                                                        "1, 2 or 3",
		`{"_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": true, "prediction_type": "v_prediction"}`:                               "variance-preserving",
		`{"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": true, "use_beta_sigmas": true}`:                                       "exclude each other",
		`{"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": true, "use_flow_sigmas": true, "prediction_type": "flow_prediction"}`: "use_karras_sigmas",
		`{"_class_name": "DPMSolverSinglestepScheduler", "algorithm_type": "sde-dpmsolver"}`:                                                       "sde-dpmsolver++",
		`{"_class_name": "UniPCMultistepScheduler", "solver_p": {"_class_name": "DDIMScheduler"}}`:                                                 "solver_p",
		`{"_class_name": "UniPCMultistepScheduler", "shift_terminal": 0.1}`:                                                                        "use_flow_sigmas",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true}`:                                                         "want μ",
		`{"_class_name": "EulerAncestralDiscreteScheduler", "prediction_type": "sample"}`:                                                          "v_prediction",
		`{"_class_name": "EDMEulerScheduler", "prediction_type": "sample"}`:                                                                        "v_prediction",
		`{"_class_name": "EDMEulerScheduler", "sigma_min": 90.0}`:                                                                                  "sigma_min",
		`{"_class_name": "PNDMScheduler", "prediction_type": "sample"}`:                                                                            "prediction_type",
		`{"_class_name": "LCMScheduler", "original_inference_steps": 2}`:                                                                           "original_inference_steps",
		`{"_class_name": "TCDScheduler", "clip_sample": true}`:                                                                                     "never clips",
		`{"_class_name": "CMStochasticIterativeScheduler", "num_train_timesteps": 3}`:                                                              "fewer than",
	} {
		c, err := opened(t, config)
		if err == nil {
			_, err = c.Plan(Options{Steps: 5})
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", config, err, want)
		}
	}
	c, _ := read([]byte(`{"_class_name": "HeunDiscreteScheduler"}`))
	half := 0.5
	for want, o := range map[string]Options{"at least 1 and at most 10000": {}, "no η": {Steps: 3, Eta: &half}, "no μ": {Steps: 3, Mu: &half}} {
		if _, err := c.Plan(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
}

// The shift of an image of base_image_seq_len tokens is base_shift, as Flux's
// pipeline has it.
func TestImageTokens(t *testing.T) {
	c, err := read([]byte(`{"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true}`))
	if err != nil {
		t.Fatal(err)
	}
	for tokens, mu := range map[int]float64{256: 0.5, 4096: 1.15, 2176: 0.825} {
		byTokens, err := c.Plan(Options{Steps: 4, Tokens: tokens})
		if err != nil {
			t.Fatal(err)
		}
		byMu, err := c.Plan(Options{Steps: 4, Mu: &mu})
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range byTokens.Rows {
			if math.Abs(row.Call.Sigma-byMu.Rows[i].Call.Sigma) > 1e-15 {
				t.Errorf("%d tokens: σ[%d] = %v, with μ = %v it is %v", tokens, i, row.Call.Sigma, mu, byMu.Rows[i].Call.Sigma)
			}
		}
	}
	d, err := read([]byte(`{"_class_name": "DDIMScheduler"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Plan(Options{Steps: 4, Tokens: 256}); err == nil || !strings.Contains(err.Error(), "image tokens") {
		t.Errorf("DDIM with image tokens: %v", err)
	}
}

// A run that begins part-way makes the steps of the whole run from there.
func TestBegin(t *testing.T) {
	for _, class := range []string{"DDIMScheduler", "DPMSolverMultistepScheduler", "EulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "EDMEulerScheduler"} {
		c, err := read([]byte(`{"_class_name": "` + class + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := c.Plan(Options{Steps: 6})
		if err != nil {
			t.Fatal(err)
		}
		part, err := c.Plan(Options{Steps: 6, Begin: 4})
		if err != nil {
			t.Fatal(err)
		}
		n := len(part.Rows)
		if last := whole.Rows[len(whole.Rows)-n:]; n != 2 && n != 3 || part.Rows[0].Call != last[0].Call || part.End != whole.End {
			t.Errorf("%s begins at %+v, want %+v", class, part.Rows[0].Call, last[0].Call)
		}
		if _, err := c.Plan(Options{Steps: 6, Begin: 6}); err == nil || !strings.Contains(err.Error(), "want 0 to 5") {
			t.Errorf("%s from entry 6 of 6: %v", class, err)
		}
	}
}

// A key of another class stays without effect, as in diffusers, and is named.
func TestUnusedKeys(t *testing.T) {
	c, err := read([]byte(`{"_class_name": "PNDMScheduler", "clip_sample": false, "skip_prk_steps": true, "_name_or_path": "x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.Unused); got != "[clip_sample]" {
		t.Errorf("unused keys %s, want [clip_sample]", got)
	}
}
