package nets

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/nets/pyjson"
)

// SelfConditioning is the key of a network that conditions on its own estimate of
// the image: true, or not there. diffusers takes no notice of keys that begin with
// an underscore, and keeps them. That in_channels is twice out_channels would not
// do: so it is of a network that is given a second image, as for super-resolution.
const SelfConditioning = "_self_conditioning"

// FlowMap is the key of a network that is told how far its answer is to lead, as
// SelfConditioning is of one with an estimate.
const FlowMap = "_flow_map"

// JumpEmbedding is the key of a flow map that is told numbers of an image, too: how far its
// answer is to lead has an embedding of its own, not that of a class.
const JumpEmbedding = "_jump_embedding"

// ClassEmbedType is the key of a network of ours that is told numbers of an image: Timestep or
// Identity, as class_embed_type is of diffusers' networks.
const ClassEmbedType = "_class_embed_type"

// Augmented is the key of a network that is told in training how its images were
// transformed.
const Augmented = "_augmented"

const classKey = "_class_name"

// WithMeta returns the keys that begin with an underscore, with one more that is true, or
// without it.
func WithMeta(meta map[string]any, key string, on bool) map[string]any {
	meta = maps.Clone(meta)
	delete(meta, key)
	if !on {
		return meta
	}
	if meta == nil {
		meta = map[string]any{}
	}
	meta[key] = true
	return meta
}

// ConfigError is a key whose value cannot be used.
type ConfigError struct {
	File    string // "" if the configuration came from no file
	Key     string
	Problem string // what is wrong, and what would be right
}

func (e *ConfigError) Error() string {
	text := "config key " + e.Key + ": " + e.Problem
	if e.File != "" {
		text = e.File + ": " + text
	}
	return text
}

// Refuse is the error of a key. It is called from a hundred places, and would be in each of them.
//
//go:noinline
func Refuse(key, format string, args ...any) error {
	return &ConfigError{Key: key, Problem: fmt.Sprintf(format, args...)}
}

// Renamed is an error of a key by the name that the key has in another program's file.
func Renamed(err error, key, name string) error {
	if fault := (*ConfigError)(nil); errors.As(err, &fault) && fault.Key == key {
		fault.Key = name
	}
	return err
}

// Number is a number of a configuration, which remembers whether it was
// written as a whole number: Python keeps 1 and 1.0 apart.
type Number struct {
	Value float64
	Whole bool
}

// Key is one key of a config.json and the place of its value. Where diffusers allows
// null, the zero value means it.
type Key struct {
	Name     string
	Place    any // *bool, *int, *Number, *string, *[]int, *[]Number or *[]string
	Nullable bool
}

// ParseKeys reads a config.json of a class of networks. Keys that begin with an
// underscore go to meta. Unknown keys that are idle, since they change nothing, and those
// to ignore are left out and named by a note; others, and a value of the wrong type, are
// errors, a *ConfigError, or *pyjson.Error if it is no JSON object at all.
func ParseKeys(data []byte, class string, keys []Key, meta map[string]any, idle func(key string, value any) bool, ignore []string) (notes []string, err error) {
	values, err := pyjson.Unmarshal(data)
	if err != nil {
		return nil, err
	}
	places := map[string]Key{}
	for _, k := range keys {
		places[k.Name] = k
	}
	var ignored []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		k, known := places[name]
		switch {
		case known:
			if err := k.set(values[name]); err != nil {
				return nil, err
			}
		case strings.HasPrefix(name, "_"):
			meta[name] = values[name]
		case values[name] == nil, idle(name, values[name]), slices.Contains(ignore, name):
			ignored = append(ignored, name)
		default:
			hint := ""
			if near, ok := lookup.Nearest(name, slices.Sorted(maps.Keys(places))); ok {
				hint = "did you mean " + near + "? "
			}
			return nil, Refuse(name, "is not one of %s; %s--ignore-key %s opens the model without it", class, hint, name)
		}
	}
	if ignored != nil {
		notes = append(notes, configFile+": ignored "+strings.Join(ignored, ", "))
	}
	if of, ok := meta[classKey]; ok && of != class {
		return nil, Refuse(classKey, "is %v, only %s is supported", of, class)
	}
	for _, key := range []string{SelfConditioning, FlowMap, JumpEmbedding} {
		if v, ok := meta[key]; ok && v != true && v != false {
			return nil, Refuse(key, "is %s, want true or false", show(v))
		}
	}
	return notes, checkGuidance(meta)
}

// set puts a value where it belongs.
func (k Key) set(v any) error {
	ok := true
	switch p := k.Place.(type) {
	case *bool:
		*p, ok = v.(bool)
	case *int:
		*p, ok = integer(v)
	case *string:
		*p, ok = v.(string)
	case *Number:
		*p, ok = number(v)
	case *[]Number:
		*p, ok = list(v, number)
	case *[]string:
		*p, ok = list(v, func(e any) (s string, ok bool) { s, ok = e.(string); return })
	case *[]int:
		if *p, ok = list(v, integer); ok && k.Nullable && len(*p) != 2 {
			return Refuse(k.Name, "has %d numbers, want height and width", len(*p))
		}
		if n, single := integer(v); single && k.Nullable {
			*p, ok = []int{n}, true
		}
	}
	if v == nil && k.Nullable {
		return nil // the failed conversions above left the zero value
	}
	if !ok {
		return Refuse(k.Name, "is %s, want %s", strings.TrimSpace(show(v)), k.wants())
	}
	return k.nonNull()
}

// nonNull keeps a written 0 or "" from being taken for null.
func (k Key) nonNull() error {
	switch p := k.Place.(type) {
	case *int:
		if k.Nullable && *p <= 0 {
			return Refuse(k.Name, "is %d, want null or a positive number", *p)
		}
	case *string:
		if *p == "" {
			return Refuse(k.Name, "is empty, want %s", k.wants())
		}
	}
	return nil
}

func integer(v any) (int, bool) {
	i, ok := v.(int64)
	return int(i), ok && i == int64(int32(i))
}

func number(v any) (Number, bool) {
	switch x := v.(type) {
	case int64:
		return Number{float64(x), true}, true
	case float64:
		return Number{x, false}, true
	}
	return Number{}, false
}

func list[T any](v any, element func(any) (T, bool)) ([]T, bool) {
	values, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]T, len(values))
	for i, e := range values {
		if out[i], ok = element(e); !ok {
			return nil, false
		}
	}
	return out, true
}

func (k Key) wants() string {
	kinds := map[string]string{
		"*bool": "true or false", "*int": "a whole number", "*string": "a string", "*nets.Number": "a number",
		"*[]string": "a list of strings", "*[]int": "a list of whole numbers", "*[]nets.Number": "a list of numbers",
	}
	s := kinds[fmt.Sprintf("%T", k.Place)]
	if k.Nullable {
		s += " or null"
	}
	return s
}

func show(v any) string {
	b := string(pyjson.Marshal(map[string]any{"": v}))
	return strings.Join(strings.Fields(strings.TrimSuffix(strings.TrimPrefix(b, "{\n  \"\": "), "\n}\n")), " ")
}

// FormatKeys writes a configuration as diffusers does, to the byte.
func FormatKeys(keys []Key, meta map[string]any) []byte {
	values := maps.Clone(meta)
	if values == nil {
		values = map[string]any{}
	}
	for _, k := range keys {
		values[k.Name] = k.get()
	}
	return pyjson.Marshal(values)
}

// get returns the value that set would have been given.
func (k Key) get() any {
	switch p := k.Place.(type) {
	case *bool:
		return *p
	case *int:
		if k.Nullable && *p == 0 {
			return nil
		}
		return int64(*p)
	case *string:
		if k.Nullable && *p == "" {
			return nil
		}
		return *p
	case *Number:
		return p.generic()
	case *[]Number:
		if k.Nullable && *p == nil {
			return nil
		}
		return generic(*p, Number.generic)
	case *[]string:
		return generic(*p, func(s string) any { return s })
	case *[]int:
		switch {
		case k.Nullable && len(*p) == 0:
			return nil
		case k.Nullable && len(*p) == 1:
			return int64((*p)[0])
		}
		return generic(*p, func(i int) any { return int64(i) })
	}
	panic("unreachable: no such kind of key")
}

func (n Number) generic() any {
	if n.Whole {
		return int64(n.Value)
	}
	return n.Value
}

func generic[T any](list []T, value func(T) any) []any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = value(e)
	}
	return out
}
