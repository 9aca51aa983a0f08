package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"fluxion/data"
	"fluxion/engine/train"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

type trainOptions struct {
	resolver
	out    string
	fresh  bool
	dryRun bool
	json   bool
}

func newTrain() *cobra.Command {
	o := &trainOptions{}
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a model; the same command again resumes it",
		Long: `Train a model. Without arguments it is a small class-conditional network on
glyphs, an embedded set of digits. The run folder holds the resolved settings,
statistics, sample grids and checkpoints that diffusers opens. The same command
again resumes from the newest checkpoint, to the bit.

--self-conditioning 0.5 trains a network that is given its own last estimate of
the clean image behind the noisy one: in training for half of the images, from a
pass without gradient, which makes steps a third longer; the others get none.
The folder says so, in_channels is twice out_channels, and sample needs no flag.

Every setting is a flag, a key of --config FILE and of -s key=value, and a
variable FLUXION_KEY in the environment; the first of these wins.`,
		Example: `  fluxion train
  fluxion train --data mnist:$HOME/mnist --size 32 --images 200000
  fluxion train --data photos.zip --size 64 --preset small --batch 16 --out runs/photos`,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.OutOrStdout()) },
	}
	c.Flags().SortFlags = false // what matters most comes first
	o.addSettings(c.Flags(), train.Default())
	c.Flags().StringVar(&o.out, "out", "", "run folder (default runs/<data>-<preset>)")
	c.Flags().BoolVar(&o.fresh, "fresh", false, "throw away the run that is in the folder")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the resolved settings and stop")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per event and nothing else")
	return c
}

func (o *trainOptions) run(ctx context.Context, out io.Writer) (err error) {
	s, err := o.resolve(train.Default())
	if err != nil {
		return err
	}
	if o.dryRun {
		return printSettings(out, s, o.json)
	}
	d, err := data.Open(s.Data, data.Options{Size: s.Size, Channels: s.Channels})
	if err != nil {
		return err
	}
	defer d.Close()
	if o.out == "" {
		o.out = filepath.Join("runs", d.Name()+"-"+filepath.Base(s.Preset))
	}
	dev, err := openDevice(s.Device, s.Threads, s.Blockings, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	show := newObserver(out, o.json)
	result, err := train.Run(ctx, train.Options{Settings: s, Dir: o.out, Fresh: o.fresh, Data: d, Device: dev, Observer: show})
	if err != nil {
		show.broken()
		return err
	}
	show.done(result)
	return nil
}

func printSettings(out io.Writer, s train.Settings, asJSON bool) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if !asJSON {
		var node yaml.Node // JSON is YAML; this way keys keep their order
		if err := yaml.Unmarshal(text, &node); err != nil {
			return err
		}
		plainStyle(&node)
		if text, err = yaml.Marshal(&node); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(out, strings.TrimSpace(string(text)))
	return err
}

// plainStyle drops the braces and quotes that a node of JSON came with.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plainStyle(c)
	}
}
