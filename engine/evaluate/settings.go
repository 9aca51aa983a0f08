package evaluate

import (
	"strings"

	"fluxion/data/setting"
	"fluxion/nets/feature"
)

// DefaultConvention is that of most published numbers.
const DefaultConvention = "legacy-tf"

// MetricsSetting declares what to compute.
func MetricsSetting(v setting.Value) setting.Setting {
	all := make([]string, len(Metrics))
	for i, m := range Metrics {
		all[i] = m.Name
	}
	return setting.Setting{Key: "metrics", Value: v, Own: true, Offers: all, Help: "what to compute: " + strings.Join(all, ", ")}
}

// FeatureSettings declares of which features: a network, the file of its weights, and how
// images are brought to it.
func FeatureSettings(network, weights, convention *string) setting.List {
	var conventions, names, networks []string
	for _, c := range Conventions {
		names = append(names, c.Name)
		conventions = append(conventions, c.Name+" ("+c.Summary+")")
	}
	for _, n := range feature.Networks {
		networks = append(networks, n.Name)
	}
	return setting.List{
		{Key: "network", Value: setting.Of(network), Own: true, Offers: networks, Help: "of features: " + strings.Join(networks, ", ") + "; by itself that of metrics, stored statistics or the file of weights, or the first whose weights are found"},
		{Key: "weights", Value: setting.Of(weights), Own: true, Help: "file with its weights; where other programs keep them if not given"},
		{Key: "convention", Value: setting.Of(convention), Own: true, Offers: names, Help: "how images are resized: " + strings.Join(conventions, "; ")},
	}
}
