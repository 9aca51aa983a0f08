// Package setting declares settings. A package declares each of its own once: what it
// decides, in which unit and range, whether a run can go on with another value, and
// since when there is it. Flags, files of settings, the environment, help, checks and
// the table of all settings follow from that; package cmd/fluxion/internal/settings
// does it for a command.
//
// It imports nothing of this program but data/lookup, so that data, nets and engine may
// all import it.
package setting

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"fluxion/data/lookup"
)

// Setting is a setting and the variable that holds it.
type Setting struct {
	Key    string // in files, behind -s and in the environment; its flag has - in place of _
	Help   string // what it decides, without unit, range and default
	Unit   string // of numbers; "" for none
	Range  Range  // of its values; the zero Range holds all
	Breaks Breaks // whether a run can go on with another value
	Since  string // the day of the first version that has it, as in CHANGELOG; "" is the first of all
	Before string // what it is in files that were written before there was it, if not its zero
	Own    bool   // another command means something else by its key: no variable of the environment sets it
	Value  Value
	Offers []string // values that shells and editors offer, where Range names none: there may be others
}

// Range is the values that a setting may have.
type Range struct {
	Text  string               // as in "want 0 or more"; "" where no value is left out, or Help has the names
	Holds func(value any) bool // nil where no value is left out
	Names []string             // all there are, of a setting that is one of some names
	kind  string               // of these, in errors
	Spec  bool                 // perhaps with parameters: NAME:parameter=value,… which others read

	span *span // of numbers; nil where others say which
}

// Breaks says for which changes of a setting a run cannot go on.
type Breaks struct {
	Text string // when, for a table; "" is never
	If   func(old, next any) bool
}

// Always is of settings that the weights, or which images were seen, depend on.
var Always = Breaks{"yes", func(old, next any) bool { return old != next }}

// FlagName is the name of the setting's flag, without the dashes before it.
func (s Setting) FlagName() string { return strings.ReplaceAll(s.Key, "_", "-") }

// Usage is the help of the setting's flag: what it decides, its range and its unit.
func (s Setting) Usage() string {
	if bounds := s.Bounds(); bounds != "" {
		return s.Help + "; " + bounds
	}
	return s.Help
}

// Bounds are the range and the unit as one text.
func (s Setting) Bounds() string { return strings.TrimSpace(s.Range.Text + " " + s.Unit) }

// Read returns what a value of a file, or text, is as a value of the setting. It is
// taken strictly: nothing is rounded, wrapped or guessed.
func (s Setting) Read(value any) (any, error) { return s.check(s.Value.read(value)) }

// ReadFlag is Read of the text behind a flag, where whole numbers may have other bases,
// as in 0x10.
func (s Setting) ReadFlag(text string) (any, error) { return s.check(s.Value.readFlag(text)) }

func (s Setting) check(x any, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return x, s.Check(x)
}

// Offered are the values that shells and editors offer.
func (s Setting) Offered() []string {
	if s.Range.Names == nil {
		return s.Offers
	}
	return slices.DeleteFunc(slices.Clone(s.Range.Names), func(n string) bool { return n == "" })
}

// Check refuses a value that is out of range.
func (s Setting) Check(value any) error {
	if x, ok := value.(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
		return fmt.Errorf("%v is out of range, want a finite number", value)
	}
	if s.Range.Names != nil {
		name := value.(string)
		if s.Range.Spec {
			name, _, _ = strings.Cut(name, ":")
		}
		_, err := lookup.Find(s.Range.kind, name, s.Range.Names)
		return err
	}
	if s.Range.Holds == nil || s.Range.Holds(value) {
		return nil
	}
	return fmt.Errorf("%v is out of range, want %s", value, s.Bounds())
}

// Assign sets the variable to what Read returns.
func (s Setting) Assign(value any) error {
	x, err := s.Read(value)
	if err == nil {
		s.Value.Put(x)
	}
	return err
}

// List is settings in the order in which they are shown.
type List []Setting

// Keys are those of the list, in its order.
func (l List) Keys() []string {
	keys := make([]string, len(l))
	for i, s := range l {
		keys[i] = s.Key
	}
	return keys
}

// Find returns the setting of a key.
func (l List) Find(key string) (s Setting, ok bool) {
	i := slices.IndexFunc(l, func(s Setting) bool { return s.Key == key })
	if i < 0 {
		return s, false
	}
	return l[i], true
}

// Get returns the setting of a key that is in the list.
func (l List) Get(key string) Setting {
	s, ok := l.Find(key)
	if !ok {
		panic("no setting " + key)
	}
	return s
}

// With returns the list with the setting of a key changed, as by a command to which it
// says something more.
func (l List) With(key string, change func(*Setting)) List {
	l = slices.Clone(l)
	i := slices.IndexFunc(l, func(s Setting) bool { return s.Key == key })
	if i < 0 {
		panic("no setting " + key)
	}
	change(&l[i])
	return l
}

// OwnKeys returns the list for a command by whose keys others mean something else.
func (l List) OwnKeys() List {
	l = slices.Clone(l)
	for i := range l {
		l[i].Own = true
	}
	return l
}

// Helps returns the setting for a command that says by it something of its own.
func (s Setting) Helps(help string) Setting {
	s.Help = help
	return s
}
