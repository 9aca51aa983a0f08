// Package scheduler reads and writes diffusers' scheduler_config.json and says
// what each class of it is in our terms: the points of a grid, the output the
// network has there, and one of our samplers, which gives rows A, Bₖ, C like any
// other run (process.md, section 4).
//
// Every key is honoured or refused by name. Where diffusers has a defect, ours
// is right and the plan names what was corrected; Options.Compat repeats theirs.
// AGREEMENT.md, written by scripts/check_schedulers.py, compares both with
// diffusers itself.
//
// A class is a file with its keys and defaults, and a line in the list below.
package scheduler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"fluxion/engine/process"
)

// Version is the version of diffusers whose classes these are.
const Version = "0.42.1"

// classes of diffusers by name, with the constructor's defaults.
var classes = []struct {
	name string
	make func() Class
}{
	{"DDPMScheduler", newDDPM},
	{"DDIMScheduler", newDDIM},
	{"DDIMInverseScheduler", newDDIMInverse},
	{"DPMSolverMultistepScheduler", newDPMMultistep},
	{"DPMSolverMultistepInverseScheduler", newDPMInverse},
	{"DPMSolverSinglestepScheduler", newDPMSinglestep},
	{"UniPCMultistepScheduler", newUniPC},
	{"DEISMultistepScheduler", newDEIS},
	{"EulerDiscreteScheduler", newEuler},
	{"EulerAncestralDiscreteScheduler", newEulerAncestral},
	{"HeunDiscreteScheduler", newHeun},
	{"LMSDiscreteScheduler", newLMS},
	{"PNDMScheduler", newPNDM},
	{"EDMEulerScheduler", newEDMEuler},
	{"EDMDPMSolverMultistepScheduler", newEDMDPM},
	{"FlowMatchEulerDiscreteScheduler", newFlowEuler},
	{"FlowMatchHeunDiscreteScheduler", newFlowHeun},
	{"LCMScheduler", newLCM},
	{"TCDScheduler", newTCD},
	{"CMStochasticIterativeScheduler", newConsistency},
}

// Names returns the classes that Read knows.
func Names() []string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = c.name
	}
	return names
}

// Class is the keys of one of diffusers' classes: a pointer to a struct whose
// fields carry the keys as json tags.
type Class interface {
	// plan resolves the keys; it may leave in p what it has of use in common.
	plan(p *planner) error
}

// Config is a scheduler_config.json.
type Config struct {
	Name  string // of the class
	Class Class

	// Keys that the class does not have but another class of the list does.
	// diffusers keeps them for the day the class is changed and does not use
	// them; neither do we.
	Unused []string

	// What begins with _fluxion_, without it.
	Private map[string]json.RawMessage
}

// Read reads a scheduler_config.json.
func Read(data []byte) (Config, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(withoutInfinities(data), &keys); err != nil {
		return Config{}, fmt.Errorf("scheduler config: %w", err)
	}
	var c Config
	if keys["_class_name"] == nil {
		return Config{}, errors.New("scheduler config: it has no _class_name")
	}
	if err := json.Unmarshal(keys["_class_name"], &c.Name); err != nil {
		return Config{}, fmt.Errorf("scheduler config: _class_name is %s, want a string", keys["_class_name"])
	}
	i, err := process.Find("_class_name", c.Name, Names())
	if err != nil {
		return Config{}, fmt.Errorf("scheduler config: %w", err)
	}
	c.Class, c.Private = classes[i].make(), map[string]json.RawMessage{}
	fields := fieldsOf(c.Class)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := keys[key]
		if name, ours := strings.CutPrefix(key, "_fluxion_"); ours {
			c.Private[name] = value
			continue
		}
		if strings.HasPrefix(key, "_") {
			continue // diffusers' own notes
		}
		field, ok := fields[key]
		if !ok {
			if !known(key) {
				_, err := process.Find("key", key, slices.Sorted(maps.Keys(fields)))
				return Config{}, fmt.Errorf("scheduler config: %s: %w", c.Name, err)
			}
			c.Unused = append(c.Unused, key)
			continue
		}
		if err := decode(value, field); err != nil {
			return Config{}, fmt.Errorf("scheduler config: %s: %s = %s, want %w", c.Name, key, value, err)
		}
	}
	return c, nil
}

// decode sets a field; its error is what would be right.
func decode(value json.RawMessage, field reflect.Value) error {
	if field.Kind() == reflect.Int {
		// Python does not mind 1000.0.
		value = bytes.TrimSuffix(value, []byte(".0"))
	}
	if err := json.Unmarshal(value, field.Addr().Interface()); err != nil {
		kind := field.Type()
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		return fmt.Errorf("%s", map[reflect.Kind]string{reflect.Bool: "true or false", reflect.Int: "a whole number",
			reflect.Float64: "a number", reflect.String: "a string", reflect.Slice: "a list of numbers"}[kind.Kind()])
	}
	restoreInfinity(field)
	return nil
}

// Bytes returns the config as diffusers writes it: keys sorted, indent 2.
func (c Config) Bytes() []byte {
	lines := map[string]string{
		"_class_name":        python(reflect.ValueOf(c.Name)),
		"_diffusers_version": python(reflect.ValueOf(Version)),
	}
	for key, value := range c.Private {
		lines["_fluxion_"+key] = string(value)
	}
	for key, field := range fieldsOf(c.Class) {
		if p, ok := field.Interface().(optional); !ok || p != nil {
			lines[key] = python(field)
		}
	}
	var b bytes.Buffer
	b.WriteString("{\n")
	for i, key := range slices.Sorted(maps.Keys(lines)) {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "  %q: %s", key, lines[key])
	}
	b.WriteString("\n}\n")
	return b.Bytes()
}

// optional is a key that a class honours and that diffusers writes only where
// it was given.
type optional *float64

// fieldsOf returns the fields of a class by key, those of embedded structs too.
func fieldsOf(c Class) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			if tag, ok := v.Type().Field(i).Tag.Lookup("json"); ok {
				key, _, _ := strings.Cut(tag, ",")
				fields[key] = v.Field(i)
			} else {
				walk(v.Field(i))
			}
		}
	}
	walk(reflect.ValueOf(c).Elem())
	return fields
}

// known reports whether some class has the key.
func known(key string) bool {
	for _, c := range classes {
		if _, ok := fieldsOf(c.make())[key]; ok {
			return true
		}
	}
	return false
}
