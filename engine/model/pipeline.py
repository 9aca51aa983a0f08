"""Draws images with a network that is given more than a noisy image and a time.

Fluxion wrote this file beside a network that no pipeline of diffusers calls: one that wants a class and knows none that
stands for any, its own estimate of the image, or how far its answer is to lead, or one that makes latents of an autoencoder.
What it is given is in __call__.
"""

import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from diffusers.utils.torch_utils import randn_tensor


class FluxionPipeline(DiffusionPipeline):
    model_cpu_offload_seq = "unet->vae"
    _optional_components = ["vae"]

    def __init__(self, unet, scheduler, vae=None, classes: int = 0, steps: int = 50):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler, vae=vae)
        self.register_to_config(classes=classes, steps=steps)

    @torch.no_grad()
    def __call__(self, batch_size=1, class_labels=None, num_inference_steps=None, generator=None, output_type="pil", return_dict=True):
        """class_labels is a number, or one for each image; None draws them."""
        unet, scheduler = self.unet, self.scheduler
        config = unet.config
        scheduler.set_timesteps(num_inference_steps or self.config.steps)
        size = config.sample_size
        size = (size, size) if isinstance(size, int) else tuple(size)
        shape = (batch_size, config.out_channels, *size)
        x = randn_tensor(shape, generator=generator, device=self._execution_device, dtype=unet.dtype)
        x = x * getattr(scheduler, "init_noise_sigma", 1.0)
        labels = self.labels(batch_size, class_labels, x.device) if self.config.classes else None
        estimate = torch.zeros_like(x) if config.get("_self_conditioning") else None
        for i, t in enumerate(self.progress_bar(scheduler.timesteps)):
            given = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
            if estimate is not None:
                given = torch.cat([given, estimate], dim=1)
            if config.get("_flow_map"):  # the answer leads as far as the step goes
                jump = scheduler.config.num_train_timesteps * (scheduler.sigmas[i] - scheduler.sigmas[i + 1])
                labels = jump.to(x.device).expand(batch_size)
            output = unet(given, t, class_labels=labels).sample
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

    def labels(self, count, chosen, device):
        if chosen is None:
            return torch.randint(self.config.classes, (count,), device=device)
        chosen = torch.as_tensor(chosen, device=device).reshape(-1)
        return chosen.expand(count) if len(chosen) == 1 else chosen
