package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// A model says in every line and in JSON what it is, and refuses what it cannot be of in one line.
func TestBenchModel(t *testing.T) {
	flags := []string{"--preset", "micro", "--size", "8", "--batch", "2"}
	run := func(args ...string) (string, error) {
		out, _, err := fluxion(t, append(append([]string{"bench"}, args...), flags...)...)
		return out, err
	}
	for _, work := range []string{"train", "sample"} {
		out, err := run(work, "--device", "model:a100", "--json")
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Model       string
			StepSeconds float64 `json:"step_seconds"`
			Launches    int
			Bytes       int64
			Ideal       int64   `json:"ideal_bytes"`
			Error       float64 `json:"typical_error"`
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		if r.Model != "a100" || r.StepSeconds < 2e-6*float64(r.Launches) || r.StepSeconds > 1 || r.Launches < 50 || r.Bytes < r.Ideal || r.Error <= 0 {
			t.Errorf("bench %s: %+v", work, r)
		}
	}
	out, err := run("ops", "--sample", "--device", "model:rtx4090")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "model  ") {
			t.Errorf("a line that does not say model: %q", line)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"train", "--device", "model:rtx4080"}, `no model of a card "rtx4080", want one of rtx3090, a6000`},
		{[]string{"train", "--device", "model:"}, `no model of a card ""`},
		{[]string{"sample", "--device", "model:rtx2080"}, "do not multiply bf16"},
	} {
		if _, err := run(c.args...); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
	flags = nil
	_, err = run("train", "--preset", "cifar", "--batch", "4000", "--precision", "fp32", "--device", "model:rtx3090")
	if err == nil || !strings.Contains(err.Error(), "--batch ") || !strings.Contains(err.Error(), "this would fit") || strings.Contains(err.Error(), "\n") {
		t.Errorf("too many images: %v", err)
	}
}
