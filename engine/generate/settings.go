package generate

import "fluxion/data/setting"

// GuidanceSettings declares how far a network's outputs are driven away from those of
// another, or without the class.
func GuidanceSettings(scale *float64, interval *string, rescale *float64, guide *string) setting.List {
	return setting.List{
		{
			Key: "guidance", Value: setting.Of(scale), Help: "classifier-free guidance, or away from --guide",
			Range: setting.NotNegative("0 or more; 1 is none"),
		},
		{Key: "guidance_interval", Value: setting.Of(interval), Help: "LO,HI: noise levels σ/α between which is guided; the default is all"},
		{
			Key: "guidance_rescale", Value: setting.Of(rescale), Help: "φ: how far guided outputs get back their deviation (Lin et al.)",
			Range: setting.Share("a number from 0 to 1"),
		},
		{Key: "guide", Value: setting.Of(guide), Help: "autoguidance: a second, weaker model away from which is guided"},
	}
}

// clips are the values of the setting clip.
var clips = []string{"auto", "true", "false"}

// LimitSettings declares the limits of the predicted image.
func LimitSettings(threshold *float64, clip *string) setting.List {
	return setting.List{
		{
			Key: "dynamic_threshold", Value: setting.Of(threshold), Help: "share of pixels beyond which the predicted image is scaled back (Imagen); 0: none",
			Range: setting.Share("a share from 0 to 1, such as 0.995"),
		},
		{
			Key: "clip", Value: setting.Of(clip), Own: true, Range: setting.OneOf("way to clip", clips),
			Help: "true, false: clip the predicted image to the range of pixels in every step; auto does where the run begins with the network's errors times 100 or more, as those of ε do beside pure noise",
		},
	}
}
