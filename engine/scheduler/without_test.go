package scheduler

import (
	"strings"
	"testing"
)

// TestWithout: what there is no sampler for is refused by a line that says why, and advises no class.
func TestWithout(t *testing.T) {
	for name, why := range without {
		_, err := read([]byte(`{"_class_name": "` + name + `", "num_train_timesteps": 2000, "sigma_max": 348}`))
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "did you mean") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		for _, known := range Names() {
			if known == name {
				t.Errorf("%s is here", name)
			}
		}
	}
}
