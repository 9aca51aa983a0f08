package tuning

import "fluxion/data/setting"

// BlockingsSetting declares where measured tile sizes are kept.
func BlockingsSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "blockings", Value: setting.Of(p), Since: "2026-11-24", Before: "auto",
		Help: "where this machine's fastest tile sizes are kept, which training and sampling measure as they run (autotuning) and which change no result: auto is the user's cache folder; or a folder; off uses none",
	}
}
