package train

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/data/setting"
	"fluxion/engine/objective"
	"fluxion/engine/process"
)

// method is a value of a setting that chooses one of several, such as the optimizer,
// with the settings that mean something for it alone.
type method struct {
	name, does string
	family     string // of methods in which settings mean the same; "": its own
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

// oneOf is the range of a setting that names a method.
func oneOf(key string) setting.Range {
	return setting.OneOf(strings.ReplaceAll(key, "_", " "), names(methods()[key])).WithParameters()
}

// chosen is the method that a setting names, which may be none of the list.
func (s Settings) chosen(key string) (m method) {
	name := s.List().Get(key).Value.Get()
	for _, x := range methods()[key] {
		if x.name == name {
			m = x
		}
	}
	return m
}

// owns says whether a setting means something for the methods that are chosen.
func (s Settings) owns(own string) bool {
	for key := range methods() {
		if slices.Contains(s.chosen(key).own, own) {
			return true
		}
	}
	return false
}

// spelled is the settings without what stands behind the name of a method, as in
// sgd:momentum=0.8: it is what the user said of settings by their own names.
func (s Settings) spelled(said func(key string) bool) (Settings, func(key string) bool, error) {
	next, also := s, map[string]bool{}
	list := next.List()
	for _, key := range slices.Sorted(maps.Keys(methods())) {
		name, text, ok := strings.Cut(list.Get(key).Value.Get().(string), ":")
		if !ok {
			continue
		}
		if err := list.Get(key).Check(name); err != nil {
			return s, said, &SettingError{key, err.Error()}
		}
		list.Get(key).Value.Put(name)
		for part := range strings.SplitSeq(text, ",") {
			own, value, _ := strings.Cut(part, "=")
			if _, err := lookup.Find("setting of "+name, own, next.chosen(key).own); err != nil {
				return s, said, &SettingError{key, err.Error()}
			}
			x, err := list.Get(own).ReadFlag(value)
			if err != nil {
				return s, said, &SettingError{key, fmt.Sprintf("%s of %s: %v", own, name, err)}
			}
			if was := list.Get(own).Value.Get(); (said(own) || also[own]) && was != x {
				return s, said, &SettingError{key, fmt.Sprintf("%v beside %s %v; want one of the two", s.List().Get(key).Value, own, was)}
			}
			list.Get(own).Value.Put(x)
			also[own] = true
		}
	}
	return next, func(key string) bool { return also[key] || said(key) }, nil
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
	s, said, err := s.spelled(said)
	if err != nil {
		return s // which Validate refuses
	}
	next := s.snapshotsSwitched(before, said)
	if scale := timeScale(s.Objective); scale != timeScale(before.Objective) && !said("time_scale") {
		next.TimeScale = scale
	}
	var none Settings
	zero, to := none.List(), next.List()
	for key, list := range methods() {
		was, is := before.chosen(key), s.chosen(key)
		if was.name == is.name {
			continue
		}
		given := s
		if is.defaults != nil {
			is.defaults(&given)
		}
		for _, m := range list {
			for _, own := range m.own {
				switch mean := slices.Contains(is.own, own); {
				case said(own), mean && is.family != "" && is.family == was.family && slices.Contains(was.own, own):
				case mean:
					to.Get(own).Value.Put(given.List().Get(own).Value.Get())
				default:
					to.Get(own).Value.Put(zero.Get(own).Value.Get())
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
	for _, key := range slices.Sorted(maps.Keys(methods())) {
		means := map[string][]string{} // for whom
		var order []string
		for _, m := range methods()[key] {
			for _, own := range m.own {
				if means[own] == nil {
					order = append(order, own)
				}
				means[own] = append(means[own], m.name)
			}
		}
		for _, own := range order {
			if x := list.Get(own).Value.Get(); x != zero.Get(own).Value.Get() && !slices.Contains(s.chosen(key).own, own) {
				return &SettingError{own, fmt.Sprintf("%v is for %s %s alone, and this is %s; leave it out", x, key, strings.Join(means[own], ", "), list.Get(key).Value.Get())}
			}
		}
	}
	return nil
}
