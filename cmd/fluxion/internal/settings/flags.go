package settings

import (
	"errors"
	"fmt"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/lookup"
	"fluxion/data/setting"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flag is a setting as a flag.
type flag struct {
	setting setting.Setting
	set     bool
	said    any // what Put takes
}

func (f *flag) String() string { return f.setting.Value.String() }
func (f *flag) Type() string   { return f.setting.Value.Kind() }

// Set takes the text behind the flag. A list goes on where the flag is given again.
func (f *flag) Set(text string) error {
	x, err := f.setting.ReadFlag(text)
	if err != nil {
		return &valueError{err}
	}
	if list, ok := x.([]string); ok && f.set {
		x = append(f.setting.Value.Get().([]string), list...)
	}
	f.set, f.said = true, x
	f.setting.Value.Put(x)
	return nil
}

// valueError says what a setting wants, where pflag's own errors do not.
type valueError struct{ error }

// addFlag adds the flag of a setting, with its names for completion in shells.
func addFlag(c *cobra.Command, s setting.Setting) {
	f := c.Flags().VarPF(&flag{setting: s}, s.FlagName(), "", s.Usage())
	if s.Value.Kind() == "bool" {
		f.NoOptDefVal = "true"
	}
}

// Complete tells shells what values settings of a command and of those below it take:
// what special has for a setting, or else the values that it offers. cobra holds on to
// whatever it is told this of, so a process does it once.
func Complete(c *cobra.Command, special func(*cobra.Command, setting.Setting) cobra.CompletionFunc) {
	for _, s := range Of(c) {
		complete := special(c, s)
		switch offered := s.Offered(); {
		case complete != nil:
		case s.Value.Kind() == "bool":
			complete = cobra.FixedCompletions([]string{"true", "false"}, cobra.ShellCompDirectiveNoFileComp)
		case s.Value.Kind() == "stringSlice" && offered != nil:
			complete = completeList(offered)
		case offered != nil:
			complete = cobra.FixedCompletions(offered, cobra.ShellCompDirectiveNoFileComp)
		case s.Value.Kind() == "string":
			continue // it may be a file
		default:
			complete = cobra.NoFileCompletions
		}
		if err := c.RegisterFlagCompletionFunc(s.FlagName(), complete); err != nil {
			panic(err) // it is a flag of the command, and was told of nothing yet
		}
	}
	if c.Flags().Lookup("config") != nil {
		if err := c.MarkFlagFilename("config", "yaml", "yml", "json", "toml"); err != nil {
			panic(err) // it is there
		}
	}
	for _, below := range c.Commands() {
		Complete(below, special)
	}
}

// completeList offers names behind the last comma of a list.
func completeList(names []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before := begun[:strings.LastIndex(begun, ",")+1]
		var list []string
		for _, n := range names {
			list = append(list, before+n)
		}
		return Begun(list, begun), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// Begun are the names that begin with what was typed.
func Begun(names []string, begun string) (list []cobra.Completion) {
	for _, n := range names {
		if strings.HasPrefix(n, begun) {
			list = append(list, n)
		}
	}
	return list
}

// IsSetting says whether a flag is a setting.
func IsSetting(f *pflag.Flag) bool {
	_, ok := f.Value.(*flag)
	return ok
}

// Default has the help of a setting's flag say where its default is from.
func (r *Sources) Default(text string, keys ...string) {
	for _, key := range keys {
		r.flags.Lookup(r.list.Get(key).FlagName()).DefValue = text
	}
}

// FlagError says what a wrong flag should have been.
func FlagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		why := setting.BadFlag(invalid.GetValue(), invalid.GetFlag().Value.Type(), invalid)
		if of := (*valueError)(nil); errors.As(invalid, &of) {
			why = of.error
		}
		return fault.Usagef("--%s: %w", invalid.GetFlag().Name, why)
	}
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		err = unknownFlag(c, unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		err = fmt.Errorf("unknown flag \"-%s\"; %s --help says which there are", unknown.GetSpecifiedName(), c.CommandPath())
	default: // one without its value
		err = fmt.Errorf("%w; see %s --help", err, c.CommandPath())
	}
	return fault.Usage(err)
}

// unknownFlag says which flag was meant. There are too many to list.
func unknownFlag(c *cobra.Command, name string) error {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if ours, note, ok := lookup.Synonym(name, names); ok {
		means := c.Flags().Lookup(ours).Usage
		if note != "" {
			means += "; " + note
		}
		return fmt.Errorf("unknown flag \"--%s\": here it is --%s, %s; see %s --help", name, ours, means, c.CommandPath())
	}
	if near := lookup.Near(name, names); len(near) > 0 {
		return fmt.Errorf("unknown flag \"--%s\": did you mean --%s? See %s --help", name, strings.Join(near, " or --"), c.CommandPath())
	}
	return fmt.Errorf("unknown flag \"--%s\"; %s --help says which there are", name, c.CommandPath())
}
