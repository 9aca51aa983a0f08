package lookup

import "strings"

// meaning is what another program's word for a flag or a setting is called here.
type meaning struct{ ours, note string }

// synonyms are the words of diffusers' scripts, k-diffusion, edm2 and others, by name.
// What a command has itself is never looked up.
var synonyms = table(
	"images", "it counts the images that are seen, not epochs", "epochs num-epochs num-train-epochs max-epochs max-train-epochs",
	"images", "it counts the images that are seen; --images 1000steps counts steps", "steps max-steps max-train-steps num-train-steps train-steps iterations iters max-iters num-iterations",
	"images", "it counts images, not thousands of them", "kimg total-kimg duration total-images total-nimg nimg",
	"accumulate", "it cuts a step of --batch images into so many parts", "batch-gpu max-batch-gpu",
	"batch", "", "batch-size max-batch-size batchsize bs train-batch-size eval-batch-size per-device-train-batch-size",
	"accumulate", "", "gradient-accumulation-steps gradient-accumulation grad-accum accumulation-steps accumulate-grad-batches",
	"fit", "--fit buckets", "enable-bucket enable-buckets bucket buckets aspect-buckets aspect-ratio-buckets aspect-ratio-bucketing multi-aspect",
	"fit", "--fit buckets:STEP", "bucket-reso-steps bucket-step",
	"size", "", "resolution image-size img-size image-resolution res",
	"lr", "", "learning-rate learningrate base-lr",
	"warmup", "it counts images", "lr-rampup lr-rampup-kimg rampup", "decay", "", "lr-decay-share", "lr-ref", "it counts images", "lr-ref-batches decay-steps",
	"lr-schedule", "", "lr-scheduler lr-scheduler-type lr-policy lr-decay",
	"lr-step", "", "step-size lr-step-size", "lr-gamma", "", "gamma lr-decay-factor", "lr-end", "", "min-lr lr-min eta-min", "decay", "", "lr-decay-steps num-decay-steps lr-decay-iters",
	"warmup", "--warmup 1000steps counts steps", "lr-warmup-steps warmup-steps lr-warmup num-warmup-steps",
	"out", "", "run-name desc experiment exp-name name output-dir outdir out-dir output output-path save-dir save-path results-folder results-dir logging-dir logdir workdir",
	"model", "", "resume run run-dir run-folder resume-from-checkpoint checkpoint ckpt model-path model-dir network pkl pretrained-model-name-or-path checkpoint-path",
	"out", "train --out RUN alone goes on with the run that is there, as the same command does; --from N goes back to a checkpoint", "resume resume-from-checkpoint resume-from continue run run-dir run-folder",
	"from", "it is the number of a checkpoint of the run in --out", "checkpoint ckpt",
	"fresh", "", "overwrite overwrite-output-dir force restart",
	"overwrite", "", "force fresh",
	"labels", "", "cond class-cond conditional", "data", "", "data-dir data-path dataset dataset-name dataset-dir train-data-dir train-data image-folder",
	"init", "", "transfer pretrained pretrained-model-name-or-path finetune fine-tune init-from model-name-or-path",
	"preset", "", "model-config-name-or-path cbase cres channels-mult num-res-blocks num-channels layers-per-block model-channels model arch architecture model-config network",
	"precision", "", "mixed-precision dtype fp16 fp32 bf16 amp half",
	"device", "", "gpu gpus cuda accelerator",
	"threads", "", "num-threads num-workers dataloader-num-workers workers jobs",
	"ema", "power:0.05 is an average by a power of time, of that width", "ema-std ema-power ema-inv-gamma",
	"ema", "a half-life in images", "ema-max-decay ema-decay ema-rate use-ema ema-half-life ema-halflife",
	"ema-snapshot-every", "", "ema-snapshots ema-snapshot-interval phema-every", "ema-snapshot-type", "", "ema-snapshot-dtype",
	"ema-sigma", "", "sigma-rel ema-std std outstd", "at", "it counts images", "outkimg outnimg",
	"weights", "", "use-ema ema",
	"clip", "", "grad-clip max-grad-norm gradient-clip gradient-clip-val clip-grad-norm clip-sample clip-denoised",
	"weight-decay", "", "wd adam-weight-decay",
	"beta1", "", "adam-beta1", "beta2", "", "adam-beta2", "epsilon", "", "adam-epsilon eps",
	"label-drop", "", "label-dropout class-dropout class-dropout-prob cond-drop-prob uncond-prob cfg-dropout proportion-empty-prompts",
	"fit", "", "center-crop crop random-crop transform resize-mode resizing",
	"augment", "", "augmentation augmentations aug", "dropout", "", "drop drop-rate dropout-rate p-drop resnet-dropout",
	"flip", "", "random-flip hflip xflip horizontal-flip mirror",
	"seed", "", "random-seed manual-seed",
	"output-kind", "--schedule and --weighting are the rest of it", "precond preconditioning",
	"output-kind", "", "prediction-type prediction parameterization pred-type predict",
	"output", "", "prediction-type prediction parameterization pred-type predict",
	"scheduler", "", "noise-scheduler",
	"schedule", "", "noise-schedule ddpm-beta-schedule beta-schedule noise-scheduler scheduler",
	"weighting", "", "snr-gamma loss-weight loss-weighting",
	"loss", "", "loss-type loss-fn criterion", "squared", "", "mse l2", "huber", "", "pseudo-huber pseudohuber",
	"time-sampler", "", "p-mean p-std logit-mean logit-std timestep-sampler schedule-sampler weighting-scheme time-sampling",
	"tensorboard", "", "logger report-to log-with tracker wandb", "on-checkpoint", "it runs a command of yours for each checkpoint", "push-to-hub hub-model-id hub-token",
	"checkpoint-every", "", "snapshot save-model-epochs save-every checkpointing-steps save-steps save-interval checkpoint-interval snapshot-every snap",
	"keep", "", "checkpoints-total-limit save-total-limit keep-last",
	"gradient-noise-scale", "", "noise-scale-of-gradients grad-noise-scale",
	"sample-every", "", "validation-steps validation-epochs eval-every sample-interval save-images-epochs",
	"blockings", "", "tiles tile-size tile-sizes block-size block-sizes autotune autotuning tuning cudnn-benchmark",
	"recompute", "", "gradient-checkpointing activation-checkpointing use-checkpoint checkpoint-activations",
	"self-conditioning", "", "self-cond self-condition",
	"kd", "", "knowledge-distillation distillation distill distil", "progressive", "", "progressive-distillation pd",
	"guidance", "", "guidance-distillation cfg-distillation", "guidance-input", "", "w-condition guidance-embedding guidance-embed time-cond-proj-dim",
	"consistency", "", "consistency-model consistency-models consistency-distillation consistency-training cm cd ict easy-consistency-tuning",
	"flowmap", "", "meanflow mean-flow imf ayf align-your-flow scm trigflow flow-map", "lagrangian", "", "lsd lmd", "shortcut", "", "splitmeanflow psd semigroup",
	"reflow", "", "rectified-flow rectify", "denoising", "", "denoise diffusion flow-matching",
	"teacher-guide", "", "autoguidance", "guide", "", "autoguidance",
	"steps", "", "num-steps num-inference-steps inference-steps sampling-steps sample-steps ddim-num-steps ddim-steps timesteps num-timesteps nfe",
	"sample-steps", "", "num-inference-steps inference-steps sampling-steps ddim-num-steps ddim-steps",
	"images", "it counts the images that are seen; --images 1000steps counts steps", "num-steps",
	"guidance", "", "cfg-scale cfg guidance-scale guidance-strength scale-guidance cond-scale guidance-weight unconditional-guidance-scale",
	"count", "", "num-samples num-images n-samples samples n num-images-per-prompt images num",
	"sample-count", "", "num-samples n-samples num-validation-images",
	"class", "", "class-label class-labels label labels class-idx class-id class-cond",
	"sampler", "", "method solver-name sample-method sampling-method",
	"order", "", "solver-order", "eta", "", "ddim-eta", "churn", "", "s-churn", "noise-scale", "", "s-noise",
	"noise-min", "", "s-min s-tmin", "noise-max", "", "s-max s-tmax", "grid", "", "timestep-spacing time-grid discretization use-karras-sigmas karras rho",
	"kid-size", "", "kid-subset-size", "neighbours", "", "nearest-k prc-neighborhood nearest-neighbours neighbors",
	"weights", "", "feature-extractor-weights-path", "network", "", "feature-extractor model-name", "convention", "", "resize-mode mode",
	"features-precision", "", "feature-extractor-internal-dtype", "splits", "", "isc-splits", "kid-subsets", "", "kid-num-subsets",
	"init", "", "init-image init-img input-image image img", "mask", "", "mask-image inpaint",
	"strength", "", "denoising-strength denoise-strength",
	"dynamic-threshold", "", "thresholding threshold dynamic-thresholding dynamic-thresholding-ratio",
	"columns", "", "nrow cols rows",
	"grid", "as in sigma:80,40,…,0, or a name such as karras", "sigma-min sigma-max sigmas timesteps-list disc",
	"blockings", "off does without", "bench", "real", "", "ref ref-path reference", "dry-run", "", "dryrun check validate-only n",
	"size", "", "side", "steps", "", "num-sampling-steps ddpm-num-inference-steps ddpm-num-steps diffusion-steps",
	"sample-steps", "", "ddpm-num-inference-steps", "scale", "", "scaling", "sampler", "", "solver-type",
	// Samplers, as k-diffusion, diffusers and the programs with windows call them.
	"dpm++-2m", "", "dpm dpm++ dpmpp dpm-solver dpm-solver++ dpmsolver dpmsolver++ dpmpp-2m k-dpmpp-2m dpm-solver-multistep dpmsolver-multistep dpmsolvermultistep",
	"dpm++-2m", "with --grid karras", "dpm++-2m-karras dpmpp-2m-karras", "dpm++-2m-sde", "with --grid karras", "dpm++-2m-sde-karras dpmpp-2m-sde-karras",
	"dpm++-2m-sde", "", "dpmpp-2m-sde", "dpm++-3m-sde", "", "dpmpp-3m-sde", "dpm++-sde", "", "dpmpp-sde", "dpm++-2s", "", "dpmpp-2s", "dpm++-3m", "", "dpmpp-3m",
	"dpm-2", "", "dpm2 k-dpm-2 kdpm2", "ancestral", "", "euler-a euler-ancestral k-euler-a k-euler-ancestral", "euler", "", "k-euler", "heun", "", "k-heun edm",
	"edm-churn", "", "edm-stochastic edm-sde", "lms", "", "k-lms", "pndm", "with --solver plms", "plms", "rk45", "", "dopri5 dormand-prince ode45",
	// Schedules, outputs, weightings, time samplers and couplings, as diffusers, torchcfm and papers call them.
	"vp-linear", "", "vp vpsde vp-sde", "ve", "", "vesde ve-sde edm", "sub-vp", "", "subvp subvpsde sub-vp-sde", "ddpm-linear", "", "linear ddpm",
	"ddpm-scaled-linear", "", "scaled-linear", "ddpm-squaredcos", "", "squaredcos-cap-v2 squaredcos", "ddpm-sigmoid", "", "sigmoid",
	"fm", "", "flow flow-matching rectified-flow rf cfm ot-cfm otcfm", "u", "", "flow flow-prediction", "eps", "", "epsilon noise noise-prediction",
	"v", "", "v-prediction v-pred vpred", "x", "", "sample x0 x-start x-prediction", "min-snr", "", "snr min-snr-gamma", "edm", "", "lognormal log-normal",
	"ot", "", "minibatch-ot batch-ot optimal-transport optimal exact-ot ot-cfm otcfm minibatch",
	"config", "", "cfg-file config-file conf", "overwrite", "", "no-skip", "json", "", "log-json machine",
)

// table reads triples: our name, what is different, and the words that mean it. Where
// a word is there again, its later meanings are for commands that have none of the
// earlier names.
func table(triples ...string) map[string][]meaning {
	t := map[string][]meaning{}
	for i := 0; i < len(triples); i += 3 {
		for word := range strings.FieldsSeq(triples[i+2]) {
			t[word] = append(t[word], meaning{triples[i], triples[i+1]})
		}
	}
	return t
}
