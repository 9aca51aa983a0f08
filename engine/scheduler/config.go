// Package scheduler reads and writes diffusers' scheduler_config.json. It translates each
// scheduler class into a grid of points, the network's output there, and one of the samplers
// of package sampler, which gives a table of coefficients (MATHEMATICS.md, section 6).
//
// Every key is honoured or refused by name. Conventions of diffusers are kept, its defects
// are not; a plan lists both, and Options.Compat repeats all of them or none.
// AGREEMENT.md, written by scripts/check_schedulers.py, compares every class with
// diffusers itself.
//
// A class is a file with its keys and defaults, and a line in the list below.
package scheduler

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/nets/pyjson"
)

// Version is the version of diffusers whose classes these are.
const Version = "0.42.1"

// classes of diffusers by name, with the constructor's defaults.
var classes = []struct {
	name, about string
	make        func() Class
}{
	{"DDPMScheduler", "ddpm on a discrete schedule", newDDPM},
	{"DDIMScheduler", "ddim, with noise by eta", newDDIM},
	{"DDIMInverseScheduler", "ddim from data to noise", newDDIMInverse},
	{"DPMSolverMultistepScheduler", "dpm++-2m, dpm++-3m and their SDE forms, in x or eps", newDPMMultistep},
	{"DPMSolverMultistepInverseScheduler", "the same from data to noise", newDPMInverse},
	{"DPMSolverSinglestepScheduler", "dpm-singlestep, in x or eps", newDPMSinglestep},
	{"UniPCMultistepScheduler", "unipc", newUniPC},
	{"DEISMultistepScheduler", "deis", newDEIS},
	{"EulerDiscreteScheduler", "ddim on z = x + σε", newEuler},
	{"EulerAncestralDiscreteScheduler", "ddpm on z = x + σε", newEulerAncestral},
	{"HeunDiscreteScheduler", "heun on z = x + σε", newHeun},
	{"LMSDiscreteScheduler", "lms on z = x + σε", newLMS},
	{"PNDMScheduler", "pndm", newPNDM},
	{"EDMEulerScheduler", "ddim on EDM's schedule and output", newEDMEuler},
	{"EDMDPMSolverMultistepScheduler", "dpm++-2m, dpm++-3m on EDM's schedule and output", newEDMDPM},
	{"FlowMatchEulerDiscreteScheduler", "euler on the flow path, or lcm where stochastic", newFlowEuler},
	{"FlowMatchHeunDiscreteScheduler", "heun on the flow path", newFlowHeun},
	{"LCMScheduler", "lcm", newLCM},
	{"TCDScheduler", "tcd", newTCD},
	{"CMStochasticIterativeScheduler", "multistep consistency", newConsistency},
}

// Names returns the classes that Read knows.
func Names() []string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = c.name
	}
	return names
}

// List returns what the classes are, by name.
func List() map[string]string {
	list := map[string]string{}
	for _, c := range classes {
		list[c.name] = c.about
	}
	return list
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

	// Keys without effect: those of another class, which diffusers keeps for the day
	// the class is changed and does not use; those of older versions that mean
	// nothing; unknown ones that are null or were to be ignored.
	Unused []string

	// What begins with _fluxion_, without it.
	Private map[string]any
}

// FileError is a scheduler config that cannot be used.
type FileError struct {
	File string // "" if it came from no file
	Err  error  // what is wrong, and what would be right
}

func (e *FileError) Error() string {
	if e.File != "" {
		return e.File + ": " + e.Err.Error()
	}
	return e.Err.Error()
}

func (e *FileError) Unwrap() error { return e.Err }

// formerKeys are of older versions of diffusers and mean nothing today: the kind of
// arrays that a scheduler was given.
var formerKeys = []string{"tensor_format"}

// read reads a scheduler_config.json. Unknown keys to ignore are left out.
func read(data []byte, ignore ...string) (Config, error) {
	keys, err := pyjson.Unmarshal(data)
	if err != nil {
		return Config{}, err
	}
	c := Config{Private: map[string]any{}}
	var ok bool
	if c.Name, ok = keys["_class_name"].(string); !ok {
		return Config{}, errors.New("it has no _class_name that is a string")
	}
	if err := checkClass(c.Name); err != nil {
		return Config{}, err
	}
	i, err := lookup.Find("_class_name", c.Name, Names())
	if err != nil {
		return Config{}, err
	}
	c.Class = classes[i].make()
	fields := fieldsOf(c.Class)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if name, ours := strings.CutPrefix(key, "_fluxion_"); ours {
			c.Private[name] = keys[key]
			continue
		}
		if strings.HasPrefix(key, "_") {
			continue // diffusers' own notes
		}
		field, ok := fields[key]
		if !ok {
			if !known(key) && keys[key] != nil && !slices.Contains(formerKeys, key) && !slices.Contains(ignore, key) {
				if err := former(key, keys, slices.Sorted(maps.Keys(fields))); err != nil {
					return Config{}, fmt.Errorf("%s: %w", c.Name, err)
				}
			}
			c.Unused = append(c.Unused, key)
			continue
		}
		if want := set(field, keys[key]); want != "" {
			return Config{}, fmt.Errorf("%s: %s = %s, want %s", c.Name, key, shown(keys[key]), want)
		}
	}
	return c, nil
}

// former refuses an unknown key. predict_epsilon is what versions before 0.9 had in
// the place of prediction_type; today's ignore it, and sample what was trained on x as ε.
func former(key string, keys map[string]any, known []string) error {
	if key == "predict_epsilon" {
		prediction, said := keys["prediction_type"]
		if keys[key] == true && (!said || prediction == "epsilon") || keys[key] == false && prediction == "sample" {
			return nil
		}
		return fmt.Errorf(`predict_epsilon = %s, the former name of prediction_type, is not supported; want prediction_type = "sample" or "epsilon" in its place`, shown(keys[key]))
	}
	_, err := lookup.Find("key", key, known)
	return fmt.Errorf("%w; --ignore-key %s opens it without", err, key)
}

// shown is a value as the file has it, cut where it is long.
func shown(v any) string {
	const most = 60
	text := []rune(strings.Join(strings.Fields(fmt.Sprint(v)), " "))
	switch v.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	}
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

// set sets a field and returns what would be right if it cannot. null leaves
// the default.
func set(field reflect.Value, value any) string {
	if value == nil {
		return ""
	}
	if field.Kind() == reflect.Pointer {
		target := reflect.New(field.Type().Elem())
		want := set(target.Elem(), value)
		if want == "" {
			field.Set(target.Convert(field.Type()))
		}
		return want
	}
	whole, isWhole := value.(int64)
	float, isFloat := value.(float64)
	if isFloat && math.IsNaN(float) {
		return "a number"
	}
	if isFloat && float == math.Trunc(float) && math.Abs(float) < 1e15 { // Python does not mind 1000.0
		whole, isWhole = int64(float), true
	}
	switch field.Kind() {
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			return "true or false"
		}
		field.SetBool(b)
	case reflect.Int:
		if !isWhole {
			return "a whole number"
		}
		field.SetInt(whole)
	case reflect.Float64:
		if !isWhole && !isFloat {
			return "a number"
		}
		if !isFloat {
			float = float64(whole)
		}
		field.SetFloat(float)
	case reflect.String:
		s, ok := value.(string)
		if !ok {
			return "a string"
		}
		field.SetString(s)
	case reflect.Interface:
		field.Set(reflect.ValueOf(value))
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			return "a list"
		}
		made := reflect.MakeSlice(field.Type(), len(list), len(list))
		for i, v := range list {
			if want := set(made.Index(i), v); want != "" {
				return "a list, each " + want
			}
		}
		field.Set(made)
	}
	return ""
}

// Bytes returns the config as diffusers writes it: keys sorted, indent 2.
func (c Config) Bytes() []byte {
	keys := map[string]any{"_class_name": c.Name, "_diffusers_version": Version}
	for key, value := range c.Private {
		keys["_fluxion_"+key] = value
	}
	for key, field := range fieldsOf(c.Class) {
		if p, ok := field.Interface().(optional); !ok || p != nil {
			keys[key] = plain(field)
		}
	}
	return pyjson.Marshal(keys)
}

// plain is a field as a value of pyjson.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	}
	return v.Interface()
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
			if key, ok := v.Type().Field(i).Tag.Lookup("json"); ok {
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

const fileName = "scheduler_config.json"

// Open reads a scheduler_config.json, or the one of a pipeline's folder: in its
// folder scheduler, or else in its root, as diffusers looks for it. Errors of what
// the file says are *FileError.
func Open(path string, ignore ...string) (Config, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		folder := path
		path = filepath.Join(folder, "scheduler", fileName)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			path = filepath.Join(folder, fileName)
		}
	}
	data, err := pyjson.ReadFile(path)
	if err != nil {
		return Config{}, err
	}
	return Parse(path, data, ignore...)
}

// Parse reads the text of such a file, which errors name.
func Parse(path string, text []byte, ignore ...string) (Config, error) {
	c, err := read(text, ignore...)
	if err != nil {
		return Config{}, &FileError{path, fmt.Errorf("scheduler config: %w", err)}
	}
	return c, nil
}
