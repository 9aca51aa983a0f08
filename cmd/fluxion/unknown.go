package main

import (
	"fmt"
	"strings"

	"fluxion/data/lookup"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

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
