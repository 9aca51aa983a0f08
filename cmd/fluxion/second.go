package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/second"
	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/train"

	"github.com/spf13/cobra"
)

// runTwice has every command that works on a device name a kernel that fails by a second run.
func runTwice(parent *cobra.Command, args []string) {
	for _, c := range parent.Commands() {
		runTwice(c, args)
		if c.RunE == nil || c.Flags().Lookup("device") == nil {
			continue
		}
		run := c.RunE
		c.RunE = func(c *cobra.Command, rest []string) error {
			limit, err := second.Limit()
			if err != nil {
				return fault.Usage(err)
			}
			if t := second.Asked(); t != nil {
				if err = writeElsewhere(c, rest); err == nil {
					err = run(c, rest)
				}
				return t.Report(err)
			}
			err = run(c, rest)
			var kernel *device.KernelError
			if limit == 0 || c.Context().Err() != nil || !errors.As(err, &kernel) || kernel.Function != "" {
				return err
			}
			console.Note(fmt.Sprintf("a kernel failed on %s, which does not say which: a second run looks for it, for at most %g s; %s=0 leaves it out", kernel.Device, limit.Seconds(), second.Variable))
			return foundKernel{err, kernel, second.Look(c.Context(), args, kernel, taskAfter(err), limit)}.told()
		}
	}
}

// written are the flags that say where commands write.
var written = []string{"out", "save", "save-noise", "nearest"}

// writeElsewhere has a second run write to a folder of its own, which the first one removes.
func writeElsewhere(c *cobra.Command, args []string) (err error) {
	if c.Name() == "train" {
		return nil // it reads its folder, and writes nothing: runAgain
	}
	for _, name := range written {
		f := c.Flags().Lookup(name)
		if verifies := c.Flags().Lookup("verify"); f == nil || f.Value.String() == "" || name == "out" && verifies != nil && verifies.Value.String() == "true" {
			continue // nothing is written, or what is there is looked at alone
		}
		path, err := second.Elsewhere(f.Value.String())
		if err == nil {
			err = f.Value.Set(path)
		}
		if err != nil {
			return err
		}
	}
	if c.Name() == "latents" {
		args[1], err = second.Elsewhere(args[1])
	}
	return err
}

// taskAfter is what a second run is to do after a command ended so.
func taskAfter(err error) (t second.Task) {
	if f := (*train.FaultError)(nil); errors.As(err, &f) {
		t.Images = f.Images
	}
	return t
}

// foundKernel is an error of a kernel, and what the second run has found.
type foundKernel struct {
	error
	kernel *device.KernelError
	text   string
}

func (f foundKernel) Unwrap() error { return f.error }

func (f foundKernel) Error() string {
	return strings.Replace(f.error.Error(), f.kernel.Error(), f.kernel.Err.Error(), 1) + "; " + f.text
}

// told tells at once of what was found where the error itself was told before.
func (f foundKernel) told() error {
	if before := (told{}); errors.As(f.error, &before) {
		console.Note(f.text)
		return f.error
	}
	return f
}

// runAgain is the second run of a training: one process alone, which writes nothing.
func (o *trainOptions) runAgain(ctx context.Context, t *second.Task) (err error) {
	o.world = 1
	d, s, err := o.openIn(collective.Alone)
	if d != nil {
		defer d.Close()
	}
	if err != nil {
		return err
	}
	dev, err := machine.Open(s.Device, s.Threads, "off", false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	return train.Replay(ctx, train.Options{Settings: s, Dir: o.out, Fresh: o.fresh, IgnoreKeys: o.ignore, Data: d, Device: dev}, t.Images)
}
