package train

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"fluxion/engine/objective"
	"fluxion/engine/process"
)

// method is a value of a setting that chooses one of several, such as the optimizer,
// with the settings that mean something for it alone.
type method struct {
	name, does string
	own        []string
	defaults   func(*Settings) // sets its own; nil where it has none
}

// methods are those of each setting that names one.
func methods() map[string][]method {
	all := map[string][]method{}
	for _, o := range optimizers {
		all["optimizer"] = append(all["optimizer"], o.method)
	}
	for _, r := range rates {
		all["lr_schedule"] = append(all["lr_schedule"], r.method)
	}
	return all
}

// names of methods.
func names(list []method) []string {
	var all []string
	for _, m := range list {
		all = append(all, m.name)
	}
	return all
}

// methodText says what each method of a setting does, for help.
func methodText(key string) string {
	var all []string
	for _, m := range methods()[key] {
		all = append(all, m.name+" ("+m.does+")")
	}
	return strings.Join(all, ", ")
}

// Switched is the settings of a run whose methods were those of before: what belongs to
// these alone is left out, and what belongs to the new ones is as they have it, but
// where the user said something else.
func (s Settings) Switched(before Settings, said func(key string) bool) Settings {
	next := s.snapshotsSwitched(before, said)
	if scale := timeScale(s.Objective); scale != timeScale(before.Objective) && !said("time_scale") {
		next.TimeScale = scale
	}
	now, then, to := s.List(), before.List(), next.List()
	for key, list := range methods() {
		name := now.Get(key).Value.Get()
		if name == then.Get(key).Value.Get() {
			continue
		}
		for _, m := range list {
			var given Settings
			if m.name == name {
				if given = s; m.defaults != nil {
					m.defaults(&given)
				}
			}
			for _, own := range m.own {
				if !said(own) {
					to.Get(own).Value.Put(given.List().Get(own).Value.Get())
				}
			}
		}
	}
	return next
}

// timeScale is what an objective wants, if it is one.
func timeScale(name string) int {
	kind, err := objective.Find(name)
	if err != nil {
		return process.DefaultTimeScale // who looks it up next says what is wrong
	}
	return kind.TimeScale()
}

// checkMethods refuses a setting that means something for another method alone.
func (s Settings) checkMethods() error {
	var none Settings
	list, zero := s.List(), none.List()
	all := methods()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		name := list.Get(key).Value.Get()
		for _, m := range all[key] {
			for _, own := range m.own {
				if x := list.Get(own).Value.Get(); m.name != name && x != zero.Get(own).Value.Get() {
					return &SettingError{own, fmt.Sprintf("%v is for %s %s alone, and this is %s; leave it out", x, key, m.name, name)}
				}
			}
		}
	}
	return nil
}
