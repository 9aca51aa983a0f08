package main

import (
	"fluxion/cmd/fluxion/internal/fault"

	"github.com/spf13/cobra"
)

func newData() *cobra.Command {
	c := &cobra.Command{
		Use:     "data",
		Short:   "Look into a data set, check it, pack it",
		Long:    "Look into a data set, as train takes it, before something is trained on it.",
		Example: "  fluxion data info cifar10/train.zip --sheet cifar.png\n  fluxion data check ~/pictures --size 64\n  fluxion data pack ~/pictures pictures.npz --size 64",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fault.Usagef("no command data %q; there are data info, check, duplicates and pack", args[0])
			}
			return fault.Usagef("data what? want data info, check, duplicates or pack")
		},
	}
	c.AddCommand(newDataInfo(), newDataCheck(), newDataDuplicates(), newDataPack())
	return c
}
