package main

import (
	"cmp"
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
		Long:    "Print the version, the commit it was built from, and Go's version.",
		Example: "  fluxion version\n  fluxion version --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return printVersion(console.NewFace(c.OutOrStdout(), asJSON))
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func printVersion(face console.Face) error {
	b := thisBuild()
	about := map[string]string{"version": b.version, "commit": b.commit, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH}
	return face.Result(about, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "fluxion %s, %s, %s/%s\n", b, about["go"], about["os"], about["arch"])
		return err
	})
}

// What the linker is told by scripts/release.sh and the Dockerfiles, whose sources have no
// history beside them: -X main.release=VERSION -X main.commit=HASH.
var release, commit string

// build is a version and the commit that it was built from; "+changes" at its end says
// that the working tree held more.
type build struct{ version, commit string }

func (b build) String() string {
	if b.commit == "" || b.commit == b.version {
		return b.version
	}
	return b.version + " (" + b.commit + ")"
}

func thisBuild() build {
	info, _ := debug.ReadBuildInfo()
	return buildOf(release, commit, info)
}

// buildOf takes what the linker was told, else what Go noted of the module and its history.
// Without a version the commit is it.
func buildOf(release, commit string, info *debug.BuildInfo) build {
	b, changed := build{release, commit}, ""
	if info != nil {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && b.commit == "":
				b.commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true" && commit == "":
				changed = "+changes"
			}
		}
		if v := info.Main.Version; b.version == "" && v != "(devel)" {
			b.version = v
		}
	}
	if len(b.commit) > 12 {
		b.commit = b.commit[:12]
	}
	b.commit += changed
	if b.version == "" {
		b.version = cmp.Or(b.commit, "devel")
	}
	return b
}

// version is what a run or picture notes of the program that made it.
func version() string { return thisBuild().version }
