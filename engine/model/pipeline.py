"""Draws images with a network that is given more than a noisy image and a time.

Fluxion wrote this file beside a network that no pipeline of diffusers calls: one that is told a class, or numbers, of each
image, its own estimate of the image, or how far its answer is to lead, or one that makes latents of an autoencoder. What it
is given is in __call__.

Where there is unet_labels/, the network of unet/ is told nothing, and that of unet_labels/ is the same with what it is told:
labels.safetensors are its weights that differ, labels.json is what its labels are.
"""

import json
import os

import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput, UNet2DModel
from diffusers.utils.torch_utils import randn_tensor
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file


class FluxionPipeline(DiffusionPipeline):
    model_cpu_offload_seq = "unet->vae"
    _optional_components = ["vae"]

    def __init__(self, unet, scheduler, vae=None, classes: int = 0, steps: int = 50, guided: bool = False):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler, vae=vae)
        self.register_to_config(classes=classes, steps=steps, guided=guided)

    @torch.no_grad()
    def __call__(self, batch_size=None, class_labels=None, num_inference_steps=None, generator=None, output_type="pil", return_dict=True, guidance_scale=1.0):
        """class_labels is one for all images, or a list of one for each: a class by its number; of a model that is told numbers
        a number, or a row of them. Without, images are of any label, or of classes that are drawn where the network must be
        told one. guidance_scale leads away from images of no label, by as much as classifier-free guidance has it."""
        unet, scheduler = self.unet, self.scheduler
        config = unet.config
        told, about = (unet, self.config) if self.config.classes or class_labels is None else self.told()
        labels = self.labels(batch_size, class_labels, about)
        batch_size = batch_size or (1 if labels is None else len(labels))
        if labels is not None:
            if len(labels) not in (1, batch_size):
                raise ValueError(f"class_labels: {len(labels)} of them for {batch_size} images, want one for all or one for each")
            labels = labels.to(self._execution_device).expand(batch_size, *labels.shape[1:])
        guided = guidance_scale != 1
        if guided and (labels is None or told is unet and not self.config.guided):
            raise ValueError("guidance_scale: want class_labels, of a model that was trained without them, too")
        scheduler.set_timesteps(num_inference_steps or about.get("steps") or self.config.steps)
        size = config.sample_size
        size = (size, size) if isinstance(size, int) else tuple(size)
        shape = (batch_size, min(config.in_channels, config.out_channels), *size)  # beside its own estimate, or a variance
        x = randn_tensor(shape, generator=generator, device=self._execution_device, dtype=unet.dtype)
        x = x * getattr(scheduler, "init_noise_sigma", 1.0)
        estimate = torch.zeros_like(x) if config.get("_self_conditioning") else None
        for i, t in enumerate(self.progress_bar(scheduler.timesteps)):
            given = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
            if estimate is not None:
                given = torch.cat([given, estimate], dim=1)
            if config.get("_flow_map"):  # the answer leads as far as the step goes
                jump = scheduler.config.num_train_timesteps * (scheduler.sigmas[i] - scheduler.sigmas[i + 1])
                labels = jump.to(x.device).expand(batch_size)
            output = told(given, t, class_labels=labels).sample
            if guided:
                none = torch.full_like(labels, self.config.classes) if told is unet else None
                free = unet(given, t, class_labels=none).sample
                output = free + guidance_scale * (output - free)
            step = scheduler.step(output, t, x)
            if estimate is not None:
                estimate = getattr(step, "pred_original_sample", None)
                if estimate is None:  # flow matching's x̂ = z − σ v
                    estimate = x - scheduler.sigmas[i] * output
                estimate = estimate.clamp(-1, 1)
            x = step.prev_sample
        if self.vae is not None:
            x = self.decoded(x)
        x = (x / 2 + 0.5).clamp(0, 1)
        if output_type != "pt":
            x = x.cpu().permute(0, 2, 3, 1).float().numpy()
            if output_type == "pil":
                x = self.numpy_to_pil(x)
        return ImagePipelineOutput(images=x) if return_dict else (x,)

    def decoded(self, z):
        """Images of latents z = (x - shift) * scale of each channel."""
        config = self.vae.config
        shift, scale = config.get("shift_factor") or 0.0, config.scaling_factor
        if config.get("latents_mean") is not None and config.get("latents_std") is not None:
            per_channel = lambda values: torch.tensor(values, device=z.device, dtype=z.dtype).reshape(1, -1, 1, 1)
            shift, scale = per_channel(config.latents_mean), scale / per_channel(config.latents_std)
        return self.vae.decode((z / scale + shift).to(self.vae.dtype)).sample

    def told(self):
        """The network that is told labels, which shares the weights of unet, and what its labels are."""
        def beside(name):
            root = self.name_or_path
            return os.path.join(root, "unet_labels", name) if os.path.isdir(root) else hf_hub_download(root, f"unet_labels/{name}")

        with open(beside("config.json")) as config, torch.device("meta"):
            told = UNet2DModel.from_config(json.load(config))
        own = load_file(beside("labels.safetensors"))
        told.load_state_dict({**self.unet.state_dict(), **{k: v.to(self.unet.device, self.unet.dtype) for k, v in own.items()}}, assign=True)
        with open(beside("labels.json")) as about:
            return told.eval(), json.load(about)

    def labels(self, batch_size, chosen, about):
        """What the network is told of each image, or of all; None: nothing."""
        classes = about.get("classes")
        if chosen is None:
            return torch.randint(classes, (batch_size or 1,)) if classes else None
        if classes:
            chosen = torch.as_tensor(chosen).reshape(-1)
            if not bool(((chosen >= 0) & (chosen < classes)).all()):
                raise ValueError(f"class_labels: want numbers from 0 to {classes - 1}")
            return chosen
        low, high = torch.tensor(about["from"]), torch.tensor(about["to"])
        rows = torch.as_tensor(chosen, dtype=torch.float32).reshape(-1, len(low))
        rows = (rows - low) / torch.where(high > low, high - low, 1.0)
        if "scale" in about:  # one number is told as a time
            return about["scale"] * rows[:, 0]
        return rows.repeat(1, -(-about["width"] // len(low)))[:, : about["width"]].to(self.unet.dtype)
