package equality

import (
	"slices"
	"testing"

	"fluxion/engine/train"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// configs are networks with the operators that no preset has.
var configs = map[string]string{
	"activations": `{"_class_name": "UNet2DModel", "act_fn": "gelu", "block_out_channels": [8, 8], "layers_per_block": 1, "norm_num_groups": 4,
		"down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"]}`,
	"EDM2": `{"_class_name": "FluxionEDM2UNet", "model_channels": 8, "channel_mult": [1, 2], "num_blocks": 1, "attention_levels": [1], "attention_head_dim": 8, "clip_act": 2}`,
	"NCSN++": `{"_class_name": "FluxionSongUNet", "model_channels": 8, "channel_mult": [1, 2], "num_blocks": 1, "encoder_type": "residual",
		"resample_filter": [1, 3, 3, 1], "embedding_type": "fourier", "channel_mult_noise": 2}`,
	"skip blocks": `{"_class_name": "UNet2DModel", "act_fn": "mish", "block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4, "time_embedding_type": "fourier",
		"down_block_types": ["SkipDownBlock2D", "SkipDownBlock2D"], "up_block_types": ["SkipUpBlock2D", "SkipUpBlock2D"]}`,
}

// TestNetworks: they learn the same on both devices, and recomputation changes no bit.
func TestNetworks(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for name, config := range configs {
		n, err := catalog.Parse([]byte(config))
		if err == nil {
			n, err = n.Fit(nets.Spec{Height: size, Width: size, Channels: 3, Classes: classes + 1}) // that for none
		}
		if err != nil {
			t.Fatal(name, err)
		}
		for precision, within := range map[number.Type][2]float64{number.Float32: {1e-5, 1e-4}, number.BFloat16: {2e-3, 2e-2}} {
			o := train.StepOptions{Network: n, Batch: 3, Accumulate: 1, Precision: precision}
			want, wantNorm := curve(t, "cpu", o, 3)
			got, norm := curve(t, "cuda:0", o, 3)
			near(t, name+": loss", got, want, within[0])
			near(t, name+": norm", norm, wantNorm, within[1])
			o.Recompute = "blocks"
			if again, norms := curve(t, "cpu", o, 3); !slices.Equal(again, want) || !slices.Equal(norms, wantNorm) {
				t.Errorf("%s: recomputed in %v, other bits", name, precision)
			}
		}
	}
}
