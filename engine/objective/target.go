package objective

import "fluxion/data/setting"

// Names of the networks that may give the target of an objective: the trained one, whose
// answer has no gradient there, or the average of its weights.
const (
	selfTarget    = "self"
	averageTarget = "ema"
)

// TargetSetting declares which of them does.
func TargetSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "target", Value: setting.Of(p), Breaks: setting.Always, Since: "2026-11-30",
		Help:  "network that gives the target: self (what is trained, without gradient) or ema (the average of its weights); the objective's own choice if not given, and for objectives that have one",
		Range: setting.OneOf("target", []string{"", selfTarget, averageTarget}),
	}
}

// target is the role of the network that gives the target, and what it is called.
func (s Setup) target() (Role, string) {
	if s.Target == averageTarget {
		return EMA, "its average's"
	}
	return Trained, "its own"
}
