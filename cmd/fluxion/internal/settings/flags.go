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

// Complete tells shells what values settings of a command and of those below it take.
// cobra holds on to whatever it is told this of, so a process does it once.
func Complete(c *cobra.Command) {
	for _, s := range Of(c) {
		complete := cobra.NoFileCompletions
		switch {
		case s.Range.Names != nil:
			complete = cobra.FixedCompletions(s.Range.Names, cobra.ShellCompDirectiveNoFileComp)
		case s.Value.Kind() == "string":
			continue // it may be a file
		}
		if err := c.RegisterFlagCompletionFunc(s.FlagName(), complete); err != nil {
			panic(err) // it is a flag of the command, and was told of nothing yet
		}
	}
	for _, below := range c.Commands() {
		Complete(below)
	}
}

func isSetting(f *pflag.Flag) bool {
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
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		err = unknownFlag(c, unknown.GetSpecifiedName())
	}
	return fault.Usage(err)
}

// unknownFlag says which flag was meant. There are too many to list beside one that is near.
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
	if near, ok := lookup.Nearest(name, names); ok {
		return fmt.Errorf("unknown flag \"--%s\": did you mean \"--%s\"? See %s --help", name, near, c.CommandPath())
	}
	return fmt.Errorf("unknown flag \"--%s\": there are --%s", name, strings.Join(names, ", --"))
}
