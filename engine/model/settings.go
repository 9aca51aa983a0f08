package model

import "fluxion/data/setting"

// WeightsSetting declares which of a model's weights are taken.
func WeightsSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "weights", Value: setting.Of(p), Offers: []string{EMA, Raw}, Help: "which weights of the model",
		Range: setting.Range{Text: weightsText, Holds: func(name any) bool {
			_, err := choose(name.(string))
			return err == nil
		}},
	}
}

// IgnoreSetting declares keys of a model's files that are passed over.
func IgnoreSetting(p *[]string) setting.Setting {
	return setting.Setting{
		Key: "ignore_key", Value: setting.Names(p), Own: true, // of one model
		Help: "unknown key of the model's config files that may be ignored; those that change nothing are, anyway",
	}
}
