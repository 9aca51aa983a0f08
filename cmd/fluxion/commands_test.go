package main

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestCommands: every command says what README.md says that each says.
func TestCommands(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			if c.Example == "" || !strings.Contains(c.Example, c.CommandPath()) {
				t.Errorf("the example is %q", c.Example)
			}
			if strings.Count(c.Long, exitCodes) != 1 {
				t.Errorf("the help tells the exit codes %d times", strings.Count(c.Long, exitCodes))
			}
			prints := c.RunE != nil && !c.HasSubCommands() && !strings.Contains(c.CommandPath(), "completion")
			if prints && c.Flags().Lookup("json") == nil {
				t.Error("it has no --json")
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	root := newRoot()
	if len(root.Commands()) < 9 {
		t.Fatalf("%d commands", len(root.Commands()))
	}
	walk(root)
}

// TestLicenses: the terms of every module that this test is linked with are there.
func TestLicenses(t *testing.T) {
	info, ok := debug.ReadBuildInfo()
	if !ok || len(info.Deps) == 0 {
		t.Fatal("the binary does not say what it is made of")
	}
	for _, m := range info.Deps {
		if !strings.Contains(licenses, "==== "+m.Path+" "+m.Version+": ") {
			t.Errorf("no terms of %s %s; run scripts/licenses.sh", m.Path, m.Version)
		}
	}
	for _, want := range []string{"Apache License", "Creative Commons Attribution", "FreeType", "SIL OPEN FONT LICENSE", "The Go Authors"} {
		if !strings.Contains(licenses, want) {
			t.Errorf("nothing of %q", want)
		}
	}
}
