package main

import (
	_ "embed"
	"encoding/json"
	"io"

	"fluxion/cmd/fluxion/internal/fault"

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
			if asJSON {
				return fault.Output(json.NewEncoder(c.OutOrStdout()).Encode(map[string]string{"licenses": licenses}))
			}
			_, err := io.WriteString(c.OutOrStdout(), licenses)
			return fault.Output(err)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}
