package song

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"fluxion/nets"
)

func TestConfig(t *testing.T) {
	for _, p := range presets() {
		c := p.Network.(Config)
		back, err := ParseConfig(c.JSON())
		if err != nil || !bytes.Equal(back.JSON(), c.JSON()) {
			t.Errorf("%s: %v, written again %s", p.Name, err, back.JSON())
		}
	}
	// EDM's own DDPM++ for CIFAR-10 without classes has 55,733,891 with what it is told of augmentation.
	if n := nets.Count(nets.Params(Default())); n != 55_733_891-9*128 {
		t.Errorf("DDPM++ has %d weights", n)
	}
}

func TestBadConfigs(t *testing.T) {
	for _, c := range []struct{ json, key, want string }{
		{`{"in_channels": 2}`, "in_channels", "want at least 3"},
		{`{"model_channels": 10}`, "model_channels", "multiple of 4"},
		{`{"model_channels": 36}`, "model_channels", "cannot be of one size"},
		{`{"channel_mult": []}`, "channel_mult", "want 1 to 13"},
		{`{"channel_mult": [200]}`, "channel_mult", "channels a level"},
		{`{"attention_levels": [3]}`, "attention_levels", "levels 0 to 2"},
		{`{"resample_filter": [1, 2, 1]}`, "resample_filter", "read the same from behind"},
		{`{"resample_filter": [1, 2]}`, "resample_filter", "read the same from behind"},
		{`{"embedding_type": "learned"}`, "embedding_type", "supported: positional, fourier"},
		{`{"encoder_type": "skip"}`, "encoder_type", "supported: standard, residual"},
		{`{"dropout": 1}`, "dropout", "below 1"},
		{`{"sample_size": [8, 5000]}`, "sample_size", "1 to 4096"},
		{`{"num_blocks": 65}`, "num_blocks", "want 1 to 64"},
		{`{"model_channels": 512, "channel_mult": [32, 32, 32, 32], "num_blocks": 64}`, "model_channels", "weights, want at most"},
	} {
		_, err := ParseConfig([]byte(c.json))
		var fault *nets.ConfigError
		if !errors.As(err, &fault) || fault.Key != c.key || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s and %q", c.json, err, c.key, c.want)
		}
	}
}
