package main

import (
	_ "embed"
	"io"

	"fluxion/cmd/fluxion/internal/console"

	"github.com/spf13/cobra"
)

// licenses are the terms of everything in the binary; scripts/licenses.sh gathers them.
//
//go:embed licenses.txt
var licenses string

func newLicenses() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "licenses",
		Short:   "The terms of this program and of everything linked into it",
		Long:    "Print the license of this program and of every library, font and text that is part of\nthe binary, with what the build for GPUs adds.",
		Example: "  fluxion licenses | less",
		RunE: func(c *cobra.Command, _ []string) error {
			return console.NewFace(c.OutOrStdout(), asJSON).Result(map[string]string{"licenses": licenses}, func(out io.Writer) error {
				_, err := io.WriteString(out, licenses)
				return err
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}
