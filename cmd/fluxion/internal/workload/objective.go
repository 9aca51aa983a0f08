package workload

import (
	"fmt"
	"strings"

	"fluxion/data/setting"
	"fluxion/engine/objective"
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
		list = append(list, setting.Setting{
			Key: strings.ReplaceAll(k.Name, "-", "_"), Value: setting.Of(&o.on[i]), Own: true,
			Help: fmt.Sprintf("the preset as train --%s makes it, with %s more in a training step", k.Name, k.More),
		})
	}
	return list
}

// Name is that of the chosen one; empty for the first.
func (o Objectives) Name() string {
	for i, on := range o.on {
		if on {
			return objective.List()[1+i].Name
		}
	}
	return ""
}
