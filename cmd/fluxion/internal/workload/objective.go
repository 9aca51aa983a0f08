package workload

import (
	"slices"
	"strings"

	"fluxion/data/setting"
	"fluxion/engine/objective"
	"fluxion/engine/train"
)

// ObjectivesKey stands for the settings of Objectives in Options.List.
const ObjectivesKey = "objectives"

// Objectives choose one of the list of engine/objective: the first, where none of the
// others is on.
type Objectives struct{ on []bool }

// List declares whether an objective is chosen, for each but the first.
func (o *Objectives) List() (list setting.List) {
	kinds := objective.List()[1:]
	o.on = make([]bool, len(kinds))
	for i, k := range kinds {
		help := "the preset as train --objective " + k.Name + " has it"
		if k.More != "" {
			help += ", with " + k.More + " more in a training step"
		}
		list = append(list, setting.Setting{
			Key: strings.ReplaceAll(k.Name, "-", "_"), Value: setting.Of(&o.on[i]), Own: true,
			Help: help,
		})
	}
	return list
}

// Name is that of the chosen one; other says whether it is not the first.
func (o Objectives) Name() (name string, other bool) {
	names := objective.Names()
	if i := slices.Index(o.on, true); i >= 0 {
		return names[1+i], true
	}
	return names[0], false
}

// Settings are train's, with the chosen one.
func (o Objectives) Settings() train.Settings {
	s := train.Default()
	s.Objective, _ = o.Name()
	return s.Switched(train.Default(), func(string) bool { return false })
}
