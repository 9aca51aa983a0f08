package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"fluxion/cmd/fluxion/internal/console"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "version",
		Short:   "The program's version",
		Long:    "Print the version, or the commit it was built from, and Go's.",
		Example: "  fluxion version\n  fluxion version --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return printVersion(console.NewFace(c.OutOrStdout(), asJSON))
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func printVersion(face console.Face) error {
	build := map[string]string{"version": version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH}
	return face.Result(build, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "fluxion %s, %s, %s/%s\n", build["version"], build["go"], build["os"], build["arch"])
		return err
	})
}

// version is the module's, or the commit where it was built from a working tree.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	commit, changed := "devel", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changes"
		}
	}
	return commit + changed
}
