package unet

import (
	"reflect"
	"slices"
)

// idleKeys are unknown to UNet2DModel and mean nothing to it, whatever their value:
// what the average of diffusers' training script (EMAModel) notes beside the weights.
var idleKeys = []string{"decay", "inv_gamma", "min_decay", "optimization_step", "power", "update_after_step", "use_ema_warmup"}

// idleValues are keys of UNet2DConditionModel with the values at which they change
// nothing, its defaults: scripts that serve both networks write them.
var idleValues = map[string]any{
	"addition_embed_type_num_heads": int64(64),
	"attention_type":                "default",
	"class_embeddings_concat":       false,
	"conv_in_kernel":                int64(3),
	"conv_out_kernel":               int64(3),
	"cross_attention_dim":           int64(1280),
	"dual_cross_attention":          false,
	"only_cross_attention":          false,
	"resnet_out_scale_factor":       1.0,
	"resnet_skip_time_act":          false,
	"transformer_layers_per_block":  int64(1),
	"upcast_attention":              false,
	"use_linear_projection":         false,
}

// idle says whether a key that UNet2DModel does not have changes nothing.
func idle(key string, value any) bool {
	usual, known := idleValues[key]
	return slices.Contains(idleKeys, key) || known && reflect.DeepEqual(value, usual)
}
