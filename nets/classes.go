package nets

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/nets/pyjson"
)

// Class is one kind of network, as the list of all has it.
type Class struct {
	Name  string // _class_name of its config.json
	Parse func(data []byte, ignore ...string) (Network, error)
	// ModernName gives today's name of a tensor that early versions called otherwise; nil: none did.
	ModernName func(name string) string
	// Import reads the network of a config.json of another program, in the place of Parse; nil: it is one of ours.
	Import   func(data []byte, ignore ...string) (Import, error)
	imported *Import  // of this config.json
	Presets  []Preset // the smallest first
}

// Preset is a network by name, and how it is trained.
type Preset struct {
	Name, Summary string
	Recipe        Recipe
	Network       Network
}

// Classes are those that a folder may hold; a config.json without _class_name is of the first.
type Classes []Class

// find returns the class of a config.json.
func (c Classes) find(data []byte) (Class, error) {
	values, err := pyjson.Unmarshal(data)
	if err != nil {
		return Class{}, err
	}
	name, said := values[classKey]
	if !said {
		return c[0], nil
	}
	var names []string
	for _, class := range c {
		if class.Name == name {
			return class, nil
		}
		names = append(names, class.Name)
	}
	return Class{}, Refuse(classKey, "is %v; supported: %s", name, strings.Join(names, ", "))
}

// Presets returns those of all classes.
func (c Classes) Presets() []Preset {
	var all []Preset
	for _, class := range c {
		all = append(all, class.Presets...)
	}
	return all
}

// Preset returns one by name.
func (c Classes) Preset(name string) (Preset, error) {
	var names []string
	for _, p := range c.Presets() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	hint := "there are"
	if near, ok := lookup.Nearest(name, names); ok {
		hint = "did you mean " + near + "? There are"
	}
	return Preset{}, fmt.Errorf("no preset %q; %s %s", name, hint, strings.Join(names, ", "))
}

// PresetBySize is for a network that is none of the presets: the smallest of its class
// with at least as many weights, or the largest there is. What images and classes add
// is not counted. A larger network takes a lower learning rate, so this errs to the safe
// side. Images are not flipped: of what they are is not known.
func (c Classes) PresetBySize(n Network) (Preset, error) {
	at := slices.IndexFunc(c, func(class Class) bool { return class.Name == n.ClassName() })
	if at < 0 || len(c[at].Presets) == 0 {
		return Preset{}, fmt.Errorf("there is no preset of class %s", n.ClassName())
	}
	presets := c[at].Presets
	for i, p := range presets {
		plain, err := n.Fit(p.Network.Spec())
		if err != nil {
			return Preset{}, err
		}
		if i == len(presets)-1 || Count(Params(p.Network)) >= Count(Params(plain)) {
			p.Recipe.Flip = false
			return p, nil
		}
	}
	panic("unreachable: the last preset is returned")
}
