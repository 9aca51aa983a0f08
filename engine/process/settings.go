package process

import (
	"fmt"
	"strings"

	"fluxion/data/setting"
)

// ScheduleSettings declares the settings of a noise schedule, by the variables that hold
// them.
func ScheduleSettings(name *string, clipLambda, shift *float64, zeroSNR *bool, scale *string) setting.List {
	return setting.List{
		{Key: "schedule", Value: setting.Of(name), Help: "noise schedule: " + strings.Join(Schedules(), ", "), Offers: Schedules(), Breaks: setting.Always},
		{Key: "clip_lambda", Value: setting.Of(clipLambda), Help: "keep |λ| of the schedule at or below this", Range: setting.NotNegative("0 (none) or more"), Breaks: setting.Always, Since: "2026-11-24"},
		{Key: "shift", Value: setting.Of(shift), Help: "for resolutions: λ → λ + 2 ln SHIFT (diffusers' flow shift is the inverse)", Range: setting.Positive, Breaks: setting.Always, Before: "1"},
		{Key: "zero_snr", Value: setting.Of(zeroSNR), Help: "rescale the schedule to end without data", Breaks: setting.Always, Since: "2026-11-24"},
		{Key: "scale", Value: setting.Of(scale), Help: "a positive formula of t that multiplies α and σ, such as 1+t", Breaks: setting.Always, Since: "2026-11-24"},
	}
}

// TimeScaleSetting declares what the network of a continuous schedule is told at t = 1.
func TimeScaleSetting(p *int) setting.Setting {
	return setting.Setting{
		Key: "time_scale", Value: setting.Of(p), Breaks: setting.Always, Since: "2026-11-29", Before: fmt.Sprint(virtualSteps),
		Help:  "what the network of a continuous schedule is told at t = 1; if nothing is said, 16 for objectives that take derivatives in time, and 1 for networks that are made for it, as EDM2's is",
		Range: setting.Within(1, virtualSteps, ""),
	}
}

// LossSettings declares the settings of what a network learns.
func LossSettings(output, weighting, timeSampler *string) setting.List {
	return setting.List{
		{Key: "output_kind", Value: setting.Of(output), Help: "what the network predicts: " + strings.Join(Outputs(), ", "), Offers: Outputs(), Breaks: setting.Always},
		{Key: "weighting", Value: setting.Of(weighting), Help: "of errors, by noise level: " + strings.Join(Weightings(), ", ") + "; perhaps with parameters, as in min-snr:gamma=5", Offers: Weightings(), Since: "2026-11-24", Before: "plain"},
		{Key: "time_sampler", Value: setting.Of(timeSampler), Help: "how training times are drawn: " + strings.Join(TimeSamplers(), ", ") + "; perhaps with parameters and +stratified or +low-discrepancy", Offers: TimeSamplers()},
	}
}

// NoiseSettings declare what lies at the noise end, and on the way.
func NoiseSettings(source, bridge *string) setting.List {
	var all, ways, kinds, names []string
	for _, n := range sources {
		kinds = append(kinds, n.String())
		all = append(all, n.String()+" ("+n.About+")")
	}
	for _, b := range bridges {
		names = append(names, b.Name)
		ways = append(ways, b.Name+" ("+b.About+")")
	}
	return setting.List{
		{
			Key: "source", Value: setting.Of(source), Help: "of the noise that sampling begins with: " + strings.Join(all, ", "),
			Offers: kinds, Breaks: setting.Always, Since: "2026-11-30", Before: Gaussian,
		},
		{
			Key: "bridge", Value: setting.Of(bridge), Help: "a third noise γξ between the source and the data, with e from 0 at the data to 1: " + strings.Join(ways, ", ") + "; perhaps with parameters, as in brownian:sigma=0.5",
			Offers: names, Breaks: setting.Always, Since: "2026-11-30", Before: NoBridge,
		},
	}
}
