package model

import (
	"strings"

	"fluxion/data/setting"
)

// WeightsSetting declares which of a model's weights are taken.
func WeightsSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "weights", Value: setting.Of(p), Help: "which weights of the model",
		Range: setting.Range{Text: "ema (averaged), raw, or an average by its half-life, such as ema:20000", Holds: func(name any) bool {
			return name == EMA || name == Raw || strings.HasPrefix(name.(string), EMA+":")
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
