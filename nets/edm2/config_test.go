package edm2

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
}

// TestSizes: the paper's table 2 has so many millions of weights for ImageNet's classes, the
// uncertainty's 128 among them.
func TestSizes(t *testing.T) {
	for channels, want := range map[int]float64{128: 124.7, 192: 280.2} {
		c := Default()
		c.InChannels, c.OutChannels, c.ModelChannels, c.NumClassEmbeds = 4, 4, channels, 1001
		n := nets.Count(nets.Params(c)) - 2*c.noise() - c.embedding() + 128 // without constants and a row for none
		if got := float64(n) / 1e6; got < want-0.05 || got > want+0.05 {
			t.Errorf("%d channels: %d weights, want %g million", channels, n, want)
		}
	}
}

func TestBadConfigs(t *testing.T) {
	for _, c := range []struct{ json, key, want string }{
		{`{"in_channels": 2}`, "in_channels", "want at least 3"},
		{`{"model_channels": 0}`, "model_channels", "want 1 to"},
		{`{"channel_mult": []}`, "channel_mult", "want 1 to 13"},
		{`{"channel_mult": [200]}`, "channel_mult", "channels a level"},
		{`{"attention_levels": [4]}`, "attention_levels", "levels 0 to 3"},
		{`{"attention_head_dim": 100}`, "attention_head_dim", "cannot be of one size"},
		{`{"label_balance": 0}`, "label_balance", "between 0 and 1"},
		{`{"res_balance": 1}`, "res_balance", "between 0 and 1"},
		{`{"clip_act": 0.5}`, "clip_act", "want 1 to 1e6"},
		{`{"constant_class": true, "num_class_embeds": 3}`, "constant_class", "one of the two"},
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
