package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A config in a pipeline's folder; the flow grid is shifted once, and by diffusers twice.
func TestTraceScheduler(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "scheduler"), 0o777); err != nil {
		t.Fatal(err)
	}
	config := `{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0, "clip_sample": false}`
	if err := os.WriteFile(filepath.Join(folder, "scheduler", "scheduler_config.json"), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	for compat, want := range map[string]struct {
		sigma               float64
		corrected, repeated int
	}{"": {3. / 1002, 1, 0}, "none": {3. / 1002, 1, 0}, "diffusers": {9. / 1008, 0, 1}} {
		out, code, err := fluxion(t, "trace", "--json", "--scheduler", folder, "--compat", compat, "--steps", "4", "--output", "u",
			"--denoiser", "gaussian:mean=0.2,var=0.5", "--z", "1,-1")
		if err != nil {
			t.Fatalf("code %d, %v", code, err)
		}
		var r struct {
			traced
			Scheduler struct {
				Class, Output               string
				Corrected, Repeated, Unused []string
			}
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		s := r.Scheduler
		if s.Class != "FlowMatchEulerDiscreteScheduler" || s.Output != "u" || strings.Join(s.Unused, " ") != "clip_sample" ||
			len(s.Corrected) != want.corrected || len(s.Repeated) != want.repeated {
			t.Errorf("--compat %s: %+v", compat, s)
		}
		if got := r.Grid[3].Sigma; math.Abs(got-want.sigma) > 1e-12 {
			t.Errorf("--compat %s: the last σ is %v, want %v", compat, got, want.sigma)
		}
		if len(r.States) != 5 || len(r.Calls) != 4 || len(r.Weights.Outputs) != 4 {
			t.Errorf("%d states, %d calls, %d weights, want 5, 4, 4", len(r.States), len(r.Calls), len(r.Weights.Outputs))
		}
	}
}

func TestTraceSchedulerRefuses(t *testing.T) {
	ddim, unknown := write(t, `{"_class_name": "DDIMScheduler"}`), write(t, `{"_class_name": "DDIMScheduler", "steps_ofset": 1}`)
	wrong := map[string]int{`did you mean "steps_offset"`: exitInput, "no such file": exitInput} // the file is, not the flag
	for want, args := range map[string][]string{
		"--sampler beside --scheduler": {"--scheduler", ddim, "--sampler", "heun"},
		"the config's network gives":   {"--scheduler", ddim, "--output", "v"},
		"want diffusers":               {"--scheduler", ddim, "--compat", "theirs"},
		"takes no churn":               {"--scheduler", ddim, "--churn", "1"},
		`did you mean "steps_offset"`:  {"--scheduler", unknown},
		"no such file":                 {"--scheduler", t.TempDir()},
	} {
		_, code, err := fluxion(t, append([]string{"trace", "--steps", "3", "--denoiser", "gaussian", "--z", "1"}, args...)...)
		if err == nil || code != max(exitUsage, wrong[want]) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: code %d, %v, want one line with %q", args, code, err, want)
		}
	}
}
