package main

import (
	"fmt"
	"strings"

	"fluxion/engine/process"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// elsewhere are names of flags in other programs that train and sample, and those
// that say the same here; what a command lacks is passed over.
var elsewhere = map[string]string{
	"batch-size": "batch", "train-batch-size": "batch", "eval-batch-size": "batch", "max-batch-size": "batch",
	"cfg": "guidance", "cfg-scale": "guidance", "guidance-scale": "guidance", "guidance-strength": "guidance",
	"checkpointing-steps": "checkpoint-every", "save-every": "checkpoint-every",
	"dataset": "data", "data-dir": "data", "dataset-name": "data", "train-data-dir": "data",
	"ema-decay": "ema", "ema-halflife": "ema",
	"epochs": "images", "num-epochs": "images", "num-train-epochs": "images", "max-train-steps": "images", "max-steps": "images", "duration": "images",
	"gradient-accumulation-steps": "accumulate", "gradient-checkpointing": "recompute",
	"learning-rate": "lr", "learningrate": "lr", "lr-warmup-steps": "warmup", "max-grad-norm": "clip",
	"mixed-precision": "precision", "fp16": "precision", "bf16": "precision", "fp32": "precision",
	"checkpoint": "model", "model-path": "model", "network": "model", "pretrained-model-name-or-path": "model",
	"n": "count", "num-images": "count", "num-samples": "count", "n-samples": "count",
	"num-inference-steps": "steps", "num-steps": "steps",
	"output": "out", "output-dir": "out", "outdir": "out", "logdir": "out",
	"random-flip": "flip", "mirror": "flip",
	"resolution": "size", "image-size": "size",
	"time-grid": "grid",
}

// unknownFlag says which flag was meant.
func unknownFlag(c *cobra.Command, name string) error {
	if f := c.Flags().Lookup(elsewhere[strings.ReplaceAll(strings.ToLower(name), "_", "-")]); f != nil {
		return fmt.Errorf("unknown flag \"--%s\": here it is --%s, %s; see %s --help", name, f.Name, f.Usage, c.CommandPath())
	}
	if strings.HasPrefix(name, "resume") && c.Flags().Lookup("from") != nil {
		return fmt.Errorf("unknown flag \"--%s\": the same command resumes a run without a flag; --from N goes back to a checkpoint", name)
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	hint := ""
	if near, ok := process.Nearest(name, names); ok {
		hint = fmt.Sprintf("did you mean \"--%s\"? ", near)
	}
	return fmt.Errorf("unknown flag \"--%s\": %sthere are --%s", name, hint, strings.Join(names, ", --"))
}
