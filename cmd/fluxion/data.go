package main

import (
	"fluxion/cmd/fluxion/internal/fault"

	"github.com/spf13/cobra"
)

func newData() *cobra.Command {
	c := &cobra.Command{
		Use:     "data",
		Short:   "Look into a data set: near duplicates",
		Long:    "Look into a data set, as train takes it, before something is trained on it.",
		Example: "  fluxion data duplicates cifar10/train.zip --sheet duplicates.png",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fault.Usagef("no command data %q; there is data duplicates", args[0])
			}
			return fault.Usagef("data what? want data duplicates")
		},
	}
	c.AddCommand(newDataDuplicates())
	return c
}
