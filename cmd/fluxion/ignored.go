package main

import (
	"fmt"
	"io"

	"fluxion/cmd/fluxion/internal/console"
)

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
