package main

import (
	"strings"
	"testing"
)

// TestOtherNames: methods by the names of diffusers, torchcfm and papers lead to what they are here, not to what is
// spelt most like them, such as ve for vp.
func TestOtherNames(t *testing.T) {
	for flag, words := range map[string]map[string]string{
		"--schedule": {"vp": "vp-linear", "linear": "ddpm-linear", "scaled_linear": "ddpm-scaled-linear", "squaredcos_cap_v2": "ddpm-squaredcos", "edm": "ve",
			"rectified-flow": "fm", "sigmoid": "ddpm-sigmoid"},
		"--output-kind":  {"epsilon": "eps", "v_prediction": "v", "sample": "x", "flow": "u"},
		"--weighting":    {"snr": "min-snr"},
		"--time-sampler": {"lognormal": "edm", "logit_normal": "logit-normal"},
		"--coupling":     {"optimal_transport": "ot", "minibatch-ot": "ot"},
	} {
		for word, ours := range words {
			_, code, err := fluxion(t, "train", "--dry-run", flag, word)
			if code != exitUsage || err == nil || !strings.Contains(err.Error(), "did you mean \""+ours+"\"?") {
				t.Errorf("%s %s: code %d, %v, want %s", flag, word, code, err, ours)
			}
		}
	}
}
