// Package settings gives the settings that packages declare to a command: flags, -s
// key=value, variables of the environment and --config FILE, of which the first that
// says a setting wins.
package settings

import (
	"os"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/lookup"
	"fluxion/data/setting"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Help is what the help of every command with settings says of where they come from.
const Help = `Every setting is a flag, a key of -s key=value, a variable FLUXION_KEY in the
environment and a key of --config FILE; the first of these that says it wins.
No variable sets --out, other files and folders, or a key by which train means
something else.`

// Sources are where the settings of a command come from.
type Sources struct {
	list  setting.List
	flags *pflag.FlagSet
	file  string
	pairs []string
	said  map[string]saying

	defaults map[string]string // texts of the variables before anything is said
}

// saying is the value of a setting that the user gave, and where.
type saying struct {
	value  any // as Setting.Value has it
	source string
	rank   rank
}

// rank orders sources: the highest wins.
type rank int

const (
	fromNone rank = iota
	fromFile
	fromEnvironment
	fromPair
	fromFlag
)

// Bind gives a command settings: flags in the order of the list, then --config and -s.
// Before the command runs, the variables of the list hold what the user says.
func Bind(c *cobra.Command, list setting.List) *Sources {
	r := &Sources{list: list, flags: c.Flags(), defaults: map[string]string{}}
	for _, s := range list {
		r.defaults[s.Key] = s.Value.String()
		addFlag(c, s)
	}
	r.flags.StringVar(&r.file, "config", "", "file with settings (yaml, toml, json)")
	r.flags.StringArrayVarP(&r.pairs, "set", "s", nil, "a setting, key=value")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		for _, note := range mistyped(os.Environ(), list, everyKey(c.Root())) {
			console.Note(note)
		}
		if err := r.read(); err != nil {
			return err
		}
		if console.LevelOf(c.OutOrStdout()) == console.Verbose {
			r.tell()
		}
		return nil
	}
	return r
}

// tell says of each setting that somebody says where that is.
func (r *Sources) tell() {
	for _, s := range r.list {
		if r.Has(s.Key) {
			console.Detail("%s = %s (%s)", s.Key, s.Value, r.Source(s.Key))
		}
	}
}

// read gathers what the user says and sets the variables. What this call says is
// checked, though another source wins; a variable of the environment, which others may
// have set, only if it wins.
func (r *Sources) read() error {
	r.said = map[string]saying{}
	if r.file != "" {
		values, err := r.readFile()
		if err != nil {
			return err
		}
		for _, s := range r.list {
			if value, ok := values[s.Key]; ok {
				if err := r.say(s, value, r.file, fromFile); err != nil {
					return err
				}
			}
		}
	}
	for _, pair := range r.pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fault.Usagef("-s %s: want key=value", pair)
		}
		key = strings.ReplaceAll(key, "-", "_")
		if err := r.known(key, "-s"); err != nil {
			return err
		}
		if err := r.say(r.list.Get(key), value, "-s", fromPair); err != nil {
			return err
		}
	}
	for _, s := range r.list {
		f := r.flags.Lookup(s.FlagName())
		value := os.Getenv(variable(s.Key))
		switch {
		case f.Changed:
			r.said[s.Key] = saying{f.Value.(*flag).said, "--" + f.Name, fromFlag}
		case r.said[s.Key].rank != fromPair && value != "" && !s.Own:
			if err := r.say(s, value, variable(s.Key), fromEnvironment); err != nil {
				return err
			}
		}
	}
	r.Over(r.list)
	return nil
}

// say notes what a source says of a setting.
func (r *Sources) say(s setting.Setting, value any, source string, rank rank) error {
	x, err := s.Read(value)
	if err != nil {
		return fault.Usagef("%s: %s: %w", source, s.Key, err)
	}
	r.said[s.Key] = saying{x, source, rank}
	return nil
}

// Has says whether the user says something of a setting.
func (r *Sources) Has(key string) bool {
	_, ok := r.said[key]
	return ok
}

// Source names where a setting is said: --steps, FLUXION_STEPS, -s steps, or the file and
// its key.
func (r *Sources) Source(key string) string {
	switch said := r.said[key]; said.rank {
	case fromPair:
		return "-s " + key
	case fromFile:
		return said.source + ": " + key
	default:
		return said.source
	}
}

// Wins says whether a source of a setting wins over that of another. Of two that exclude
// each other the other is not meant then.
func (r *Sources) Wins(key, other string) bool { return r.said[key].rank > r.said[other].rank }

// Changed returns the text of a setting that is not what it is where nobody says it. One
// that the command does not have is not changed.
func (r *Sources) Changed(key string) (text string, ok bool) {
	s, ok := r.list.Find(key)
	if !ok {
		return "", false
	}
	text = s.Value.String()
	return text, text != r.defaults[key]
}

// Given lists which of some settings the user says, as flags.
func (r *Sources) Given(keys ...string) []string {
	var given []string
	for _, key := range keys {
		if r.Has(key) {
			s := r.list.Get(key)
			given = append(given, "--"+s.FlagName()+" "+s.Value.String())
		}
	}
	return given
}

// Meant names where some settings are said for this command. Variables of the environment
// are for all commands, and are not among them.
func (r *Sources) Meant(keys ...string) []string {
	var sources []string
	for _, key := range keys {
		if said, ok := r.said[key]; ok && said.rank != fromEnvironment {
			sources = append(sources, r.Source(key))
		}
	}
	return sources
}

// List are the settings.
func (r *Sources) List() setting.List { return r.list }

// Over sets variables of the same settings to what the user says. Numbers of steps come
// last: how many images they are is another setting's to say.
func (r *Sources) Over(list setting.List) {
	for _, inSteps := range []bool{false, true} {
		for _, s := range list {
			said, ok := r.said[s.Key]
			if _, is := said.value.(setting.Steps); ok && is == inSteps {
				s.Value.Put(said.value)
			}
		}
	}
}

// known refuses a key that is not a setting and names the nearest that is.
func (r *Sources) known(key, source string) error {
	if _, err := lookup.Find("setting", key, r.list.Keys()); err != nil {
		name := strings.ReplaceAll(key, "_", "-")
		if f := r.flags.Lookup(name); f != nil && !IsSetting(f) {
			return fault.Usagef("%s: %s is of one call alone, and no setting; want the flag --%s", source, key, name)
		}
		return fault.Usagef("%s: %w", source, err)
	}
	return nil
}

// variable is the one of the environment that sets the setting of a key.
func variable(key string) string { return VariablePrefix + strings.ToUpper(key) }

// VariablePrefix begins the names of settings in the environment.
const VariablePrefix = "FLUXION_"

// Of are the settings of a command, in the order of its help.
func Of(c *cobra.Command) setting.List {
	var list setting.List
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if v, ok := f.Value.(*flag); ok {
			list = append(list, v.setting)
		}
	})
	return list
}

// everyKey lists the keys that variables set in any command.
func everyKey(root *cobra.Command) []string {
	var keys []string
	for _, c := range root.Commands() {
		keys = append(keys, everyKey(c)...)
		for _, s := range Of(c) {
			if !s.Own {
				keys = append(keys, s.Key)
			}
		}
	}
	return keys
}
