package catalog

import (
	"strings"

	"fluxion/data/setting"
)

// PresetSetting declares the network, and how it is trained.
func PresetSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "preset", Value: setting.Of(p), Offers: PresetNames(), Breaks: setting.Always,
		Help: "network, and how it is trained: " + strings.Join(PresetNames(), ", ") + ", or a folder with a network",
	}
}
