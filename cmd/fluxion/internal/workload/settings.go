package workload

import (
	"fmt"
	"strings"

	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/device/tuning"
	"fluxion/engine/plan"
	"fluxion/nets/catalog"
)

// List declares the options of a key each, in the order of the keys.
func (o *Options) List(keys ...string) setting.List {
	all := setting.List{
		PresetSetting(&o.Preset), BatchSetting(&o.Batch), SizeSetting(&o.Size, "the preset's"),
		device.NameSetting(&o.Device), device.PrecisionSetting(&o.Precision), device.ThreadsSetting(&o.Threads), tuning.BlockingsSetting(&o.Blockings),
		plan.RecomputeSetting(&o.Recompute), plan.WithoutSetting(&o.Without),
	}
	var list setting.List
	for _, key := range keys {
		if key == ObjectivesKey {
			list = append(list, o.Objectives.List()...)
			continue
		}
		list = append(list, all.Get(key))
	}
	return list
}

// PresetSetting declares the network. To train it may be a folder, too.
func PresetSetting(p *string) setting.Setting {
	return setting.Setting{Key: "preset", Value: setting.Of(p), Own: true, Offers: catalog.PresetNames(), Help: "network: " + strings.Join(catalog.PresetNames(), ", ")}
}

// BatchSetting declares the images of a step. In train's environment they are those of a run.
func BatchSetting(p *int) setting.Setting {
	return setting.Setting{Key: "batch", Value: setting.Of(p), Own: true, Help: "images of a step", Range: setting.AtLeast(1, "")}
}

// SizeSetting declares the size of the images; whose says what 0 is.
func SizeSetting(p *data.Size, whose string) setting.Setting {
	s := data.SizeSetting(p).Helps("side of the images, or HEIGHTxWIDTH")
	s.Own, s.Range = true, data.SizeRange(fmt.Sprintf("0 (%s) or sides up to %d", whose, data.MaxSide))
	return s
}
