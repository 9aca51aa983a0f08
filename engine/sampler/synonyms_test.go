package sampler

import (
	"fmt"
	"strings"
	"testing"
)

// TestOtherNames: samplers by the names of k-diffusion and of programs with windows lead to what they are here,
// not to what is spelt most like them.
func TestOtherNames(t *testing.T) {
	for name, want := range map[string]string{
		"euler_a": `"ancestral"`, "Euler a": `"ancestral"`, "k_euler": `"euler"`, "plms": `"pndm" (with --solver plms)`, "edm": `"heun"`,
		"dpm": `"dpm++-2m"`, "dpmpp_2m": `"dpm++-2m"`, "DPM++ 2M Karras": `"dpm++-2m" (with --grid karras)`, "dpmpp_3m_sde": `"dpm++-3m-sde"`,
		"dpm2": `"dpm-2"`, "dopri5": `"rk45"`,
	} {
		_, err := Get(name)
		if got := fmt.Sprint(err); !strings.Contains(got, "did you mean "+want+"?") {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
