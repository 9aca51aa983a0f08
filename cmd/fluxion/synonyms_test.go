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
			"learning-rate": "lr", "lr-scheduler": "lr-schedule", "lr-warmup-steps": "warmup", "output-dir": "out", "resume": "out", "resume-from-checkpoint": "out", "run": "out",
			"overwrite": "fresh", "dataset": "data", "train-data-dir": "data", "model": "preset", "mixed-precision": "precision", "gpu": "device",
			"num-workers": "threads", "ema-decay": "ema", "max-grad-norm": "clip", "wd": "weight-decay", "adam-beta1": "beta1", "adam-beta2": "beta2",
			"adam-epsilon": "epsilon", "cond-drop-prob": "label-drop", "random-flip": "flip", "random-seed": "seed", "prediction-type": "output-kind",
			"noise-schedule": "schedule", "snr-gamma": "weighting", "weighting-scheme": "time-sampler", "checkpointing-steps": "checkpoint-every",
			"checkpoints-total-limit": "keep", "validation-steps": "sample-every", "num-inference-steps": "sample-steps", "num-samples": "sample-count",
			"gradient-checkpointing": "recompute", "self-cond": "self-conditioning",
		},
		"sample": {
			"num-steps": "steps", "num-inference-steps": "steps", "nfe": "steps", "cfg-scale": "guidance", "guidance-scale": "guidance", "num-samples": "count",
			"batch-size": "batch", "checkpoint": "model", "resume": "model", "run": "model", "class-label": "class", "method": "sampler", "solver-order": "order", "ddim-eta": "eta",
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
	for command, words := range map[string]string{
		// EDM's and EDM2's train.py and generate.py, diffusers' train_unconditional.py.
		"train": "outdir cond arch duration batch-gpu cbase cres precond xflip fp16 bench workers desc snap transfer resume snapshot checkpoint " +
			"dataset_name model_config_name_or_path train_data_dir output_dir overwrite_output_dir resolution center_crop random_flip train_batch_size eval_batch_size dataloader_num_workers num_epochs " +
			"save_images_epochs save_model_epochs gradient_accumulation_steps learning_rate lr_scheduler lr_warmup_steps adam_beta1 adam_beta2 adam_weight_decay adam_epsilon use_ema ema_inv_gamma ema_power ema_max_decay " +
			"push_to_hub hub_model_id logger logging_dir mixed_precision prediction_type ddpm_num_inference_steps ddpm_beta_schedule checkpointing_steps checkpoints_total_limit resume_from_checkpoint",
		"sample": "network outdir sigma_min sigma_max rho S_churn S_min S_max S_noise disc scaling num_inference_steps guidance_scale",
	} {
		for word := range strings.FieldsSeq(words) {
			if _, code, err := fluxion(t, command, "--"+word, "1"); code != exitUsage || err == nil || !strings.Contains(err.Error(), "here it is --") {
				t.Errorf("%s --%s: code %d, %v", command, word, code, err)
			}
		}
	}
	_, code, err := fluxion(t, "train", "--dry-run", "-s", "learning_rate=1e-4")
	if code != exitUsage || err == nil || !strings.Contains(err.Error(), `did you mean "lr"?`) {
		t.Errorf("a setting: code %d, %v", code, err)
	}
}
