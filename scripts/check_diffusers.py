"""Proves that a folder Fluxion wrote opens in diffusers: loads it there, runs it, and draws images with its scheduler.

    "$(scripts/peers.sh)" scripts/check_diffusers.py MODEL_FOLDER [--png grid.png] [--images 4] [--steps 10] [--class K]

MODEL_FOLDER is a pipeline folder (model_index.json, unet/, scheduler/), or one with everything in its root. A network that
conditions on its own estimate is given it behind the noisy image, as Fluxion gives it. Prints the
parameter count, the forward pass's mean and deviation, and those of the images; any number that is not finite is an error.
"""

import argparse
import inspect
import json
import math
from pathlib import Path

import diffusers
import torch
from PIL import Image

# Without the accelerate package diffusers asks for this, in four lines of warning.
QUIET = {"low_cpu_mem_usage": False}


def component(folder, name):
    """diffusers' rule: a component's own folder, or the root."""
    return folder / name if (folder / name).is_dir() else folder


def load(folder):
    """The network and the scheduler, through the pipeline class if the folder names one."""
    index = folder / "model_index.json"
    if index.exists():
        pipeline = getattr(diffusers, json.loads(index.read_text())["_class_name"]).from_pretrained(folder, **QUIET)
        print(f"pipeline   {type(pipeline).__name__}")
        return pipeline.unet, pipeline.scheduler
    place = component(folder, "scheduler")
    kind = json.loads((place / "scheduler_config.json").read_text())["_class_name"]
    unet = diffusers.UNet2DModel.from_pretrained(component(folder, "unet"), **QUIET)
    return unet, getattr(diffusers, kind).from_pretrained(place)


def check_keys(unet, folder):
    """from_pretrained only warns about missing, unexpected and unknown entries; here they are errors."""
    _, report = diffusers.UNet2DModel.from_pretrained(component(folder, "unet"), output_loading_info=True, **QUIET)
    wrong = {kind: keys for kind, keys in report.items() if keys}
    config = json.loads((component(folder, "unet") / "config.json").read_text())
    unknown = [k for k in config if not k.startswith("_") and k not in inspect.signature(type(unet).__init__).parameters]
    if wrong or unknown:
        raise SystemExit(f"check_diffusers: {folder}: wrong weights {wrong}, unknown config keys {unknown}")


def describe(label, x):
    if not torch.isfinite(x).all():
        raise SystemExit(f"check_diffusers: {label} has numbers that are not finite")
    print(f"{label:10} {tuple(x.shape)}, mean {x.mean():.4f}, deviation {x.std():.4f}")


def conditioned(unet):
    """Fluxion's key; diffusers keeps it and takes no notice."""
    return unet.config.get("_self_conditioning", False)


def clean(scheduler, i, x, output, step):
    """x̂ in the range of pixels: the scheduler's own, or x − σ v of flow matching's."""
    known = getattr(step, "pred_original_sample", None)
    if known is None and not type(scheduler).__name__.startswith("FlowMatch"):
        raise SystemExit(f"check_diffusers: {type(scheduler).__name__} does not say x̂, which the network is to be given")
    return (x - scheduler.sigmas[i] * output if known is None else known).clamp(-1, 1)


@torch.no_grad()
def draw(unet, scheduler, noise, steps, labels, generator):
    scheduler.set_timesteps(steps)
    takes = inspect.signature(scheduler.step).parameters
    options = {"generator": generator} if "generator" in takes else {}
    x = noise * scheduler.init_noise_sigma if hasattr(scheduler, "init_noise_sigma") else noise
    given = torch.zeros_like(x)
    for i, t in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        if conditioned(unet):
            seen = torch.cat([seen, given], dim=1)
        output = unet(seen, t, class_labels=labels).sample
        step = scheduler.step(output, t, x, **options)
        if conditioned(unet):
            given = clean(scheduler, i, x, output, step)
        x = step.prev_sample
    return x


def write_grid(images, path):
    """Channels 1 are grey, 3 colour; anything else shows its first channel."""
    pixels = ((images / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    pixels = pixels if pixels.shape[1] == 3 else pixels[:, :1].repeat(1, 3, 1, 1)
    columns = math.ceil(math.sqrt(len(pixels)))
    height, width = pixels.shape[2:]
    grid = Image.new("RGB", (columns * width, math.ceil(len(pixels) / columns) * height))
    for i, p in enumerate(pixels):
        grid.paste(Image.fromarray(p.permute(1, 2, 0).numpy()), (i % columns * width, i // columns * height))
    grid.save(path)


def make_labels(unet, count, chosen):
    if unet.class_embedding is None:
        return None
    kind = unet.config.class_embed_type
    if kind == "identity":
        return torch.randn(count, unet.time_embedding.linear_2.out_features)
    if kind == "timestep":
        return torch.full((count,), float(chosen or 0))
    return torch.arange(count) % unet.config.num_class_embeds if chosen is None else torch.full((count,), chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="MODEL_FOLDER")
    parser.add_argument("--png", type=Path, help="where the grid of images goes")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--class", type=int, dest="label", help="one class for all images (default: 0, 1, 2, ...)")
    options = parser.parse_args()

    generator = torch.manual_seed(options.seed)
    unet, scheduler = load(options.folder)
    unet.eval()
    check_keys(unet, options.folder)
    print(f"network    {sum(p.numel() for p in unet.parameters())} parameters in {len(unet.state_dict())} tensors")

    size = unet.config.sample_size
    if size is None:
        raise SystemExit(f"check_diffusers: {options.folder}: config.json must give sample_size, pipelines need it")
    size = (size, size) if isinstance(size, int) else tuple(size)
    shown = torch.randn(options.images, unet.config.in_channels, *size, generator=generator)
    noise = shown[:, : unet.config.out_channels] if conditioned(unet) else shown
    labels = make_labels(unet, options.images, options.label)

    times = torch.full((options.images,), 5)
    with torch.no_grad():
        describe("forward", unet(shown, times, class_labels=labels).sample)
    images = draw(unet, scheduler, noise, options.steps, labels, generator)
    describe("images", images)
    print(f"scheduler  {type(scheduler).__name__}, {len(scheduler.timesteps)} steps")
    if options.png:
        write_grid(images, options.png)
        print(f"grid       {options.png}")


if __name__ == "__main__":
    main()
