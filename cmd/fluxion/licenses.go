package main

import (
	"compress/gzip"
	_ "embed"
	"io"
	"strings"

	"fluxion/cmd/fluxion/internal/console"

	"github.com/spf13/cobra"
)

// packedLicenses are the terms of everything in the binary, a ninth of their size;
// scripts/licenses.sh gathers them, and licenses.txt is the same to be read.
//
//go:embed licenses.txt.gz
var packedLicenses string

func licenses() (string, error) {
	r, err := gzip.NewReader(strings.NewReader(packedLicenses))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

func newLicenses() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "licenses",
		Short:   "The terms of this program and of everything linked into it",
		Long:    "Print the license of this program and of every library, font and text that is part of\nthe binary, with what the build for GPUs adds.",
		Example: "  fluxion licenses | less",
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := licenses()
			if err != nil {
				return err
			}
			return console.NewFace(c.OutOrStdout(), asJSON).Result(map[string]string{"licenses": text}, func(out io.Writer) error {
				_, err := io.WriteString(out, text)
				return err
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}
