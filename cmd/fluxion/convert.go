package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/fetch"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data/durable"
	"fluxion/data/setting"
	"fluxion/engine/average"
	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/nets"
	"fluxion/nets/safetensors"

	"github.com/spf13/cobra"
)

type convertOptions struct {
	sources *settings.Sources
	weights string
	sigma   *float64 // nil: weights says which
	at      int64    // images after which the average is wanted; 0: the last
	as      string   // type of the numbers
	ignore  []string
	json    bool
	disk    durable.Disk
}

// numberTypes are those of weights in a file, by name.
var numberTypes = map[string]safetensors.Dtype{"fp32": safetensors.F32, "fp16": safetensors.F16, "bf16": safetensors.BF16}

func newConvert() *cobra.Command { return newConvertOn(durable.Disk{}) }

// newConvertOn is for tests, whose disks fail.
func newConvertOn(disk durable.Disk) *cobra.Command {
	o := &convertOptions{disk: disk, weights: model.EMA, as: "fp32"}
	c := &cobra.Command{
		Use:   "convert FROM OUT",
		Short: "Write a model with chosen weights to a folder or file of its own",
		Long: `Write a model with chosen weights to a folder OUT that diffusers, sample and eval
open: model_index.json, unet/, scheduler/, in training/ what sample should know, and
README.md, a card with the run's last grid, its settings, and how the model is called.
FROM is a run, a checkpoint, a diffusers folder, or a file: a .safetensors or .npz of this
command, or the weights in a diffusers folder. OUT must not be there yet, and is there as
a whole or not at all.

OUT.safetensors and OUT.npz are the model as one file, which sample, eval, train --init
and all others open: tensors by their names in diffusers, and as texts what a folder has
in files of its own, in the metadata or in arrays of their names.

DiffusionPipeline.from_pretrained(OUT)() runs it. Where the model knows classes and was
trained without them, too, its unet/ is the network told no class, whose embedding became
part of the time's, and unet_labels/ the one that is told them, which is what fluxion
reads: what both have is stored once, in unet/. pipeline.py calls both, with class_labels
and guidance_scale, where from_pretrained is given custom_pipeline="pipeline" and
trust_remote_code=True. A network that no pipeline of diffusers calls (classes but none
that stands for any, its own estimate, flow maps, latents) is called by pipeline.py alone,
with trust_remote_code=True.

A model of latents keeps its autoencoder: in vae/, and in one file as tensors whose names
begin with vae., as float32 whatever --type is.

--ema-sigma makes an average of any width after training (EDM2's post-hoc EMA): a run of
train --ema power keeps averages by a power of time, and snapshots of them, and theirs
is the sum of those snapshots whose profile over time is nearest to the one asked for.
σ_rel is the profile's standard deviation as a share of the run: wider averages forget
later. What is missing of the profile is printed: 0.1 % or less between the widths that
were kept, for 32 snapshots. --weights ema:power:0.08 says the same, here and in sample
and eval, which then need no folder.`,
		Example: `  fluxion train --ema 2000,power
  fluxion convert runs/glyphs-tiny wide --ema-sigma 0.15
  fluxion convert runs/glyphs-tiny early --ema-sigma 0.05 --at 8496
  fluxion convert runs/glyphs-tiny small --weights ema --type bf16
  fluxion convert runs/glyphs-tiny model.safetensors --type fp16`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fault.Usagef("convert takes FROM and OUT; there are %d arguments", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), args[0], args[1])
		},
	}
	c.Flags().SortFlags = false
	o.sources = settings.Bind(c, setting.List{
		{
			Key: "ema_sigma", Value: setting.Optional(&o.sigma), Own: true, Help: "σ_rel of the average that is made of the run's snapshots, or was kept",
			Range: setting.Numbers(fmt.Sprintf("%v to %v", average.MinSigma, average.MaxSigma), func(x float64) bool { return average.CheckSigma(x) == nil }),
		},
		{Key: "at", Value: setting.Of(&o.at), Own: true, Unit: "images", Help: "the average as it was after so many, of which there must be a snapshot; 0 is the last", Range: setting.AtLeast(0, "0 or more")},
		model.WeightsSetting(&o.weights).Helps("which weights of the model, in place of --ema-sigma"),
		{Key: "type", Value: setting.Of(&o.as), Own: true, Help: "of the numbers: fp32, fp16, bf16", Range: setting.OneOf("type", []string{"fp32", "fp16", "bf16"})},
		model.IgnoreSetting(&o.ignore),
	})
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object and nothing else")
	return c
}

// notWritten are endings of what OUT cannot be.
var notWritten = []string{".npy", ".pt", ".pth", ".bin", ".ckpt", ".zip"}

func (o *convertOptions) run(ctx context.Context, face console.Face, from, out string) error {
	weights, err := o.choose()
	if err != nil {
		return err
	}
	if from == "" || out == "" {
		return fault.Usagef("convert takes FROM and OUT, and one of them is empty")
	}
	if err := outdir.Here("OUT", out); err != nil {
		return err
	}
	for _, ending := range notWritten {
		if strings.HasSuffix(strings.ToLower(out), ending) {
			return fault.Usagef("OUT %s: folders, .safetensors and .npz are written, want a name without %s", out, ending)
		}
	}
	if model.IsArrays(out) && o.as == "bf16" {
		return fault.Usagef("--type bf16: NumPy has no such numbers; want fp32 or fp16 in %s", out)
	}
	if _, err := os.Lstat(out); err == nil {
		return fault.Usagef("OUT %s is there already; give another, or remove it", out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fault.Usagef("OUT %s can be no folder: %w", out, err)
	}
	local, err := fetch.Model(ctx, from)
	if err != nil {
		return modelError{from, err}
	}
	m, err := model.Read(local, weights, o.ignore...)
	if err != nil {
		return modelError{from, err}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	params := nets.Params(m.Network)
	if name := nets.TooLarge(numberTypes[o.as], params, m.Weights); name != "" {
		return fault.Usagef("--type %s does not hold the numbers of tensor %s; want bf16 or fp32", o.as, name)
	}
	r := converted{Out: out, Path: m.Path, Origin: m.Origin(), Type: o.as, Parameters: nets.Count(params), Notes: orEmpty(m.Notes), floats: m.Floats && m.Autoencoder == "", given: m.Network.Spec().Concat > 0 || m.Process.Source.Kind() == process.Images}
	switch {
	case strings.EqualFold(filepath.Ext(out), ".safetensors"):
		err = m.WriteFile(o.disk, out, numberTypes[o.as])
	case model.IsArrays(out):
		err = m.WriteArrays(o.disk, out, o.as == "fp16")
	default:
		var p model.Pipeline
		p, err = m.Write(o.disk, out, numberTypes[o.as])
		r.Pipeline = &p
	}
	if err != nil {
		return fault.Output(err)
	}
	return face.Result(r, r.print)
}

// choose is the name of the weights that are asked for.
func (o *convertOptions) choose() (string, error) {
	said := o.sources.Has("weights")
	switch {
	case o.sigma != nil && said && o.sources.Wins("weights", "ema_sigma"): // a flag, say, in the place of what a file says
		if o.at != 0 && o.sources.Wins("at", "ema_sigma") {
			return "", fault.Usagef("--at %d is for --ema-sigma, and --weights %s are taken; give --ema-sigma beside it", o.at, o.weights)
		}
		return o.weights, nil
	case o.sigma != nil && said && !o.sources.Wins("ema_sigma", "weights"):
		return "", fault.Usagef("--ema-sigma %v and --weights %s: give one of them", *o.sigma, o.weights)
	case o.sigma != nil:
		return model.Power(*o.sigma, o.at), nil
	case o.at != 0:
		return "", fault.Usagef("--at %d is for --ema-sigma; a checkpoint is given as FROM", o.at)
	}
	return o.weights, nil
}

// converted is what a folder holds.
type converted struct {
	Out  string `json:"out"`
	Path string `json:"path"` // where the weights were found
	model.Origin
	Type       string          `json:"type"`
	Parameters int             `json:"parameters"`
	Pipeline   *model.Pipeline `json:"pipeline,omitempty"` // how diffusers calls it; nil: it is no folder
	Notes      []string        `json:"notes"`
	floats     bool            // its samples are numbers, not pictures
	given      bool            // they are made of images
}

func (r converted) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: weights %s of %s, %s numbers in %s\n", r.Out, r.Weights, r.From, console.Thousands(int64(r.Parameters)), r.Type)
	for _, n := range r.Notes {
		fmt.Fprintln(&b, noteLine(n))
	}
	if r.Pipeline != nil {
		fmt.Fprintln(&b, "diffusers   "+r.inDiffusers())
	}
	samples := filepath.Clean(r.Out)
	for _, ending := range []string{".safetensors", model.ArraysEnding} {
		samples = strings.TrimSuffix(samples, ending)
	}
	samples += "-samples"
	if r.floats {
		samples += ".npz"
	}
	next := []string{"sample", "--model", r.Out, "--out", samples, "--count", "64"}
	if r.given {
		next = []string{"sample", "--model", r.Out, "--out", samples, "--input", "FOLDER"}
	}
	fmt.Fprintln(&b, "next        "+console.ShellWords(append([]string{console.ProgramName()}, next...)...))
	_, err := io.WriteString(out, b.String())
	return err
}

// inDiffusers says how the folder is called there.
func (r converted) inDiffusers() string {
	p := r.Pipeline
	switch {
	case p.Without != "":
		return "cannot call it: " + p.Without
	case p.Code:
		return fmt.Sprintf("DiffusionPipeline.from_pretrained(%q, trust_remote_code=True)(): no pipeline of diffusers calls such a network, so %s does", r.Out, model.PipelineFile)
	}
	text := fmt.Sprintf("DiffusionPipeline.from_pretrained(%q)(%s)", r.Out, p.Call())
	switch {
	case p.Labels != "":
		text += " makes images of any label"
	case p.Slow() > 0:
		text += " makes images"
	}
	if n := p.Slow(); n > 0 {
		text += fmt.Sprintf(", and without that number in %d steps", n)
	}
	if p.Labels != "" {
		text += fmt.Sprintf("; %s says how those of one are made", filepath.Join(r.Out, model.CardFile))
	}
	return text
}
