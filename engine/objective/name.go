package objective

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/data/setting"
	"fluxion/engine/process"
)

// Names are those of all objectives.
func Names() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return names
}

// NameSetting declares which objective a run has.
func NameSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "objective", Value: setting.Of(p), Help: "loss: " + strings.Join(Names(), ", ") + "; perhaps with parameters, as in self-conditioning:share=0.5",
		Offers: Names(), Breaks: setting.Always, Since: "2026-11-29", Before: kinds[0].Name,
	}
}

// UncertaintySetting declares whether what errors weigh is learnt.
func UncertaintySetting(p *bool) setting.Setting {
	return setting.Setting{
		Key: "uncertainty", Value: setting.Of(p), Since: "2026-11-30",
		Help: "learn how uncertain errors are by their noise level, and weigh them by it (EDM2): gradients come to be as large at all levels, whatever the weighting",
	}
}

// Named is an objective by its name, with parameters.
type Named struct {
	Kind
	parameters process.Parameters
}

// Find reads a name, and perhaps parameters: self-conditioning:share=0.5.
func Find(text string) (n Named, err error) {
	name, parameters, _ := strings.Cut(text, ":")
	i, err := lookup.Find("objective", name, Names())
	if err != nil {
		return n, err
	}
	n.Kind = kinds[i]
	n.parameters, err = process.ParseParameters("objective", name, parameters, n.Defaults)
	return n, err
}

// Share is the share of images of the self-conditioning objective, 0 of any other.
func (n Named) Share() float64 {
	if n.Name != selfConditioningName {
		return 0
	}
	return n.parameters["share"]
}

// InStages says whether the average of the trained network becomes its teacher on the way.
func (n Named) InStages() bool { return n.Name == progressiveName }

// slowTime is the range of the network's time of objectives that take derivatives in it, and
// the widest: differences of float32 of a network of ten convolutions are off by 0.0002 at
// 16, and by a third at 1000.
const slowTime = 16

// difference is the parameter of objectives that take derivatives in time.
const difference = "difference"

// TimeScale is what the network is to be told at t = 1 where nobody says.
func (n Named) TimeScale() int {
	if _, derives := n.Defaults[difference]; derives {
		return slowTime
	}
	return process.DefaultTimeScale
}

// bridged are the objectives that know of a third noise.
var bridged = []string{kinds[0].Name, "reflow"}

// KeyError is what is wrong with a setting of an objective that has a key of its own.
type KeyError struct {
	Key string
	Err error
}

func (e *KeyError) Error() string { return e.Key + ": " + e.Err.Error() }
func (e *KeyError) Unwrap() error { return e.Err }

// New returns the objective.
func (n Named) New(s Setup) (Objective, error) {
	if b := s.Process.Bridge; !b.None() && !slices.Contains(bridged, n.Name) {
		return nil, fmt.Errorf("objective %s and bridge %v: it follows a flow from noise to images without a third noise; want bridge %s, or objective %s", n.Name, b, process.NoBridge, bridged[0])
	}
	if s.Target != "" && n.target == "" {
		return nil, &KeyError{"target", fmt.Errorf("%s, and objective %s has no target of a network that is trained; leave it out", s.Target, n.Name)}
	}
	s.Target = cmp.Or(s.Target, n.target)
	var err error
	if s.distance, err = getDistance(s.Distance); err != nil {
		return nil, &KeyError{"loss", err}
	}
	return n.make(s, n.parameters)
}
