package train

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"fluxion/data/lookup"
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

// MethodText says what each method of a setting does, for help.
func MethodText(key string) string {
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
	next := s
	for key, list := range methods() {
		name := s.value(key)
		if name == before.value(key) {
			continue
		}
		for _, m := range list {
			given := s
			if m.name == name && m.defaults != nil {
				m.defaults(&given)
			}
			for _, key := range m.own {
				switch {
				case said(key):
				case m.name == name:
					next.field(key).Set(given.field(key))
				default:
					next.field(key).SetZero()
				}
			}
		}
	}
	return next
}

// checkMethods refuses a method that there is not, and a setting that means something
// for another one alone.
func (s Settings) checkMethods() error {
	all := methods()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		name := s.field(key).String()
		if _, err := lookup.Find(strings.ReplaceAll(key, "_", " "), name, names(all[key])); err != nil {
			return &SettingError{key, err.Error()}
		}
		for _, m := range all[key] {
			for _, own := range m.own {
				if m.name != name && !s.field(own).IsZero() {
					return &SettingError{own, fmt.Sprintf("%v is for %s %s alone, and this is %s; leave it out", s.value(own), key, m.name, name)}
				}
			}
		}
	}
	return nil
}

// field is the setting of a key, to be set.
func (s *Settings) field(key string) reflect.Value {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("json") == key {
			return v.Field(i)
		}
	}
	panic("no setting " + key)
}
