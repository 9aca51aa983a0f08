package device

import "fluxion/data/setting"

// NameSetting declares the device that a command works on.
func NameSetting(p *string) setting.Setting {
	return setting.Setting{Key: "device", Value: setting.Of(p), Help: "cpu, cuda:0; auto is the first GPU that can be used, else the CPU", Offers: []string{"auto", "cpu", "cuda:0"}}
}

// PrecisionSetting declares the type of activations.
func PrecisionSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "precision", Value: setting.Of(p), Offers: []string{"auto", "fp32", "bf16"},
		Help: "of activations and matrix products: fp32, bf16; auto is bf16 on a GPU and on a CPU with AMX or AVX512-BF16, else fp32",
	}
}

// ThreadsSetting declares how much of the CPU is used.
func ThreadsSetting(p *int) setting.Setting {
	return setting.Setting{Key: "threads", Value: setting.Of(p), Help: "threads of the CPU to use", Range: setting.AtLeast(0, "0 (all there are) or more")}
}
