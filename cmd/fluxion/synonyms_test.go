package main

import (
	"strings"
	"testing"
)

// TestSynonyms: the words of other programs lead to our flags, and to settings in a
// file of settings.
func TestSynonyms(t *testing.T) {
	for command, words := range map[string]map[string]string{
		"train": {
			"epochs": "images", "num-train-epochs": "images", "steps": "images", "max-train-steps": "images", "num-steps": "images", "kimg": "images",
			"batch-size": "batch", "train_batch_size": "batch", "gradient-accumulation-steps": "accumulate", "resolution": "size", "image-size": "size",
			"learning-rate": "lr", "lr-scheduler": "lr-schedule", "lr-warmup-steps": "warmup", "output-dir": "out", "resume": "from", "resume-from-checkpoint": "from",
			"overwrite": "fresh", "dataset": "data", "train-data-dir": "data", "model": "preset", "mixed-precision": "precision", "gpu": "device",
			"num-workers": "threads", "ema-decay": "ema", "max-grad-norm": "clip", "wd": "weight-decay", "adam-beta1": "beta1", "adam-beta2": "beta2",
			"adam-epsilon": "epsilon", "cond-drop-prob": "label-drop", "random-flip": "flip", "random-seed": "seed", "prediction-type": "output-kind",
			"noise-schedule": "schedule", "snr-gamma": "weighting", "weighting-scheme": "time-sampler", "checkpointing-steps": "checkpoint-every",
			"checkpoints-total-limit": "keep", "validation-steps": "sample-every", "num-inference-steps": "sample-steps", "num-samples": "sample-count",
			"gradient-checkpointing": "recompute", "self-cond": "self-conditioning",
		},
		"sample": {
			"num-steps": "steps", "num-inference-steps": "steps", "nfe": "steps", "cfg-scale": "guidance", "guidance-scale": "guidance", "num-samples": "count",
			"batch-size": "batch", "checkpoint": "model", "class-label": "class", "method": "sampler", "solver-order": "order", "ddim-eta": "eta",
			"s-churn": "churn", "s-noise": "noise-scale", "s-tmin": "noise-min", "s-tmax": "noise-max", "timestep-spacing": "grid", "init-image": "init",
			"mask-image": "mask", "denoising-strength": "strength", "thresholding": "dynamic-threshold", "nrow": "columns", "force": "overwrite",
			"use-ema": "weights", "output-dir": "out", "noise-scheduler": "scheduler", "clip-denoised": "clip", "random-seed": "seed",
		},
		"trace": {"num-inference-steps": "steps", "prediction-type": "output", "beta-schedule": "schedule"},
	} {
		for word, ours := range words {
			_, code, err := fluxion(t, command, "--"+word, "1")
			want := "here it is --" + ours + ", "
			if code != exitUsage || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "there are --") {
				t.Errorf("%s --%s: code %d, %v, want %s and no list", command, word, code, err, want)
			}
		}
	}
	_, code, err := fluxion(t, "train", "--dry-run", "-s", "learning_rate=1e-4")
	if code != exitUsage || err == nil || !strings.Contains(err.Error(), `did you mean "lr"?`) {
		t.Errorf("a setting: code %d, %v", code, err)
	}
}
