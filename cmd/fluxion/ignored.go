package main

import (
	"fmt"
	"io"

	"fluxion/cmd/fluxion/internal/console"

	"github.com/spf13/pflag"
)

// addIgnoreKeys adds the flag with which a model is opened in spite of keys that
// Fluxion does not know.
func addIgnoreKeys(f *pflag.FlagSet, keys *[]string) {
	f.StringSliceVar(keys, "ignore-key", nil, "unknown key of the model's config files that may be ignored; those that change nothing are, anyway")
}

// printNotes says what of a model was not heeded.
func printNotes(out io.Writer, notes []string) {
	for _, n := range notes {
		fmt.Fprintf(out, "note        %s\n", console.Visible(n))
	}
}

// orEmpty is a list that JSON does not write as null.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
