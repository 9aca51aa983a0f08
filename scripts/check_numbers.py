"""Compares images of Fluxion and of diffusers that begin with the same noise: 15 networks × 7 schedulers × both directions.

    go build -o /tmp/fluxion ./cmd/fluxion
    "$(scripts/peers.sh)" scripts/check_numbers.py /tmp/fluxion [--report FILE.md] [--only NETWORK]

Theirs here: a pipeline that diffusers saved, with weights it drew, is sampled by `fluxion sample --scheduler model`.
Ours there: a network that Fluxion trained for a second goes through `fluxion convert`, and diffusers opens the folder with
DiffusionPipeline.from_pretrained and runs its own loop. Both begin with a file of noise, which torch drew in one direction
(`--noise`) and Fluxion in the other (`--save-noise`); what DDPM draws on its way is Fluxion's. The table has the largest
difference of a pixel as a share of the range of pixels, in float32. Exits with 1 where one is above 1e-4. A minute or two.
"""

import argparse
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import diffusers
import numpy as np
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parent))
from check_samples import STEP, draws  # noqa: E402: what Fluxion draws

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
diffusers.logging.disable_progress_bar()

BOUND = 1e-4
IMAGES, STEPS = 3, 8
SMALL = {
    "sample_size": 16, "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8, "attention_head_dim": 8,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}
NETWORKS = {
    "plain": {},
    "DDPM's keys": {"downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-6, "attention_head_dim": None},
    "ADM's blocks": {
        "down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "ResnetUpsampleBlock2D"),
        "downsample_type": "resnet", "upsample_type": "resnet", "resnet_time_scale_shift": "scale_shift", "attn_norm_num_groups": 8,
    },
    "classes": {"num_class_embeds": 4},
    "grey, 3 levels": {
        "in_channels": 1, "out_channels": 1, "block_out_channels": (16, 16, 32), "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    },
    "4 channels, heads of 3": {"in_channels": 4, "out_channels": 4, "attention_head_dim": 3, "center_input_sample": True},
    "no mid block": {"mid_block_type": None, "time_embedding_dim": 40},
    "gelu": {"act_fn": "gelu"},
    "mish, scaled and shifted": {"act_fn": "mish", "resnet_time_scale_shift": "scale_shift"},
    "relu": {"act_fn": "relu"},
    "fourier": {"time_embedding_type": "fourier"},
    "skip blocks": {
        "block_out_channels": (32, 32), "down_block_types": ("SkipDownBlock2D", "AttnSkipDownBlock2D"),
        "up_block_types": ("AttnSkipUpBlock2D", "SkipUpBlock2D"), "norm_eps": 1e-6,
    },
    "a number": {"class_embed_type": "timestep"},
    "numbers": {"class_embed_type": "identity", "time_embedding_dim": 40},
    "dropout, mid scaled": {"dropout": 0.1, "mid_block_scale_factor": 1.4142, "add_attention": False},
}
ABOVE_0 = ("DDIM", "Euler", "flow Euler")  # whose times end above 0, which has no logarithm
V = {"prediction_type": "v_prediction"}
SCHEDULERS = {
    "DDPM": {"_class_name": "DDPMScheduler", "clip_sample": False, **V},
    "DDIM": {"_class_name": "DDIMScheduler", "timestep_spacing": "trailing", **V},
    "Euler": {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing", **V},
    "Heun": {"_class_name": "HeunDiscreteScheduler", "beta_start": 1e-4, "beta_end": 0.02, **V},
    "DPM++ 2M": {"_class_name": "DPMSolverMultistepScheduler", **V},
    "UniPC": {"_class_name": "UniPCMultistepScheduler", **V},
    "flow Euler": {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 2.0},
}


def fluxion(program, *arguments):
    run = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"check_numbers: fluxion {' '.join(map(str, arguments))}: {run.stderr.strip()}")


def labels_of(config):
    """Numbers that a network is told of each image, as wide as it takes them; None: it is told none."""
    kind = config.get("class_embed_type")
    if kind is None:
        return None
    shape = (IMAGES, 1) if kind == "timestep" else (IMAGES, config["time_embedding_dim"])
    return np.random.default_rng(3).uniform(0, 1000 if kind == "timestep" else 1, shape).astype(np.float32)


def told(folder, labels, unet):
    """What Fluxion tells a network of its own for labels, as its card has it."""
    ranges = json.loads((folder / "training" / "labels.json").read_text())
    low, high = np.float64(ranges["from"]), np.float64(ranges["to"])
    u = (labels - low) / (high - low)
    if unet.config.class_embed_type == "timestep":
        return (1000 * u).astype(np.float32)
    return np.tile(u, 40)[:, :unet.config.time_embedding_dim].astype(np.float32)


@torch.no_grad()
def theirs(unet, config, noise, numbers=None):
    """diffusers' loop on given noise, NHWC in and out."""
    kind = getattr(diffusers, config["_class_name"])
    scheduler = kind.from_config(config)
    scheduler.set_timesteps(STEPS)
    x = torch.from_numpy(noise).permute(0, 3, 1, 2) * getattr(scheduler, "init_noise_sigma", 1.0)
    scale = getattr(scheduler, "scale_model_input", lambda x, t: x)
    classes = unet.config.num_class_embeds
    labels = None if classes is None else torch.arange(len(x)) % (classes - 1)
    if numbers is not None:
        labels = torch.from_numpy(numbers[:, 0] if unet.config.class_embed_type == "timestep" else numbers)
    module = importlib.import_module(kind.__module__)
    for i, t in enumerate(scheduler.timesteps):
        if hasattr(module, "randn_tensor"):
            module.randn_tensor = lambda *_, **__: draws(STEP, i, x.shape)
        x = scheduler.step(unet(scale(x, t), t, class_labels=labels).sample, t, x).prev_sample
    return x.permute(0, 2, 3, 1).numpy()


def ours(program, folder, scheduler, out, labels, *noise):
    if labels is not None:
        file = out.with_name("labels.json")
        file.write_text(json.dumps(labels.tolist()))
        noise += ("--label", file)
    fluxion(program, "sample", "--model", folder, "--out", out, "--overwrite", "--count", IMAGES, "--steps", STEPS, "--scheduler", scheduler,
            "--compat", "diffusers", "--precision", "fp32", "--batch", 2, *noise)
    return np.load(out)["images"]


def difference(a, b):
    """Largest, as a share of the range of pixels, of what a picture shows of them."""
    return float(np.abs(a.clip(-1, 1) - b.clip(-1, 1)).max() / 2)


def save(folder, config, scheduler, classes):
    """A pipeline by diffusers, with the weights it begins with."""
    torch.manual_seed(1)
    unet = diffusers.UNet2DModel(**{**SMALL, **config}).eval()
    pipeline = diffusers.DDPMPipeline(unet, getattr(diffusers, scheduler["_class_name"]).from_config(scheduler))
    pipeline.save_pretrained(folder)
    if classes:  # Fluxion knows by the names that the last row stands for none
        (folder / "training").mkdir()
        (folder / "training" / "classes.json").write_text(json.dumps([str(i) for i in range(classes - 1)]))
    return unet


def data_for(program, config, folder):
    """A few images of the network's channels to train on."""
    size, channels = SMALL["sample_size"], config.get("in_channels", 3)
    images = np.random.default_rng(1).uniform(-1, 1, (64, size, size, channels)).astype(np.float32)
    labels = {"labels": np.arange(64) % 3} if "num_class_embeds" in config else {}
    if labels_of(config) is not None:
        labels = {"labels": np.random.default_rng(2).uniform(-3, 5, (64, 1 if config["class_embed_type"] == "timestep" else 3))}
    np.savez(folder / "data.npz", images=images, **labels)
    return folder / "data.npz"


def trained(program, folder, config, data, *flags):
    fluxion(program, "train", "--data", data, "--preset", folder / "theirs", "--out", folder / "run", "--fresh", "--images", 320, "--batch", 8, "--lr", 1e-3,
            "--sample-count", 0, "--precision", "fp32", "--warmup", 0, *flags)
    out = folder / "converted"
    shutil.rmtree(out, ignore_errors=True)
    fluxion(program, "convert", folder / "run", out)
    return out


def opened(folder):
    """The network as from_pretrained finds it; that which is told classes, where there is one."""
    unet = diffusers.DiffusionPipeline.from_pretrained(folder).unet
    if (folder / "unet_labels").exists():
        own = load_file(folder / "unet_labels" / "labels.safetensors")
        told = diffusers.UNet2DModel.from_config(diffusers.UNet2DModel.load_config(folder, subfolder="unet_labels"))
        told.load_state_dict(unet.state_dict() | own)
        unet = told
    return unet.eval()


def compare(program, folder, name):
    config = NETWORKS[name]
    rows = {}
    converted = {}
    for at, scheduler in SCHEDULERS.items():
        if config.get("time_embedding_type") == "fourier" and at not in ABOVE_0:
            continue
        shutil.rmtree(folder / "theirs", ignore_errors=True)
        unet = save(folder / "theirs", config, scheduler, config.get("num_class_embeds"))
        shape = (IMAGES, 16, 16, unet.config.in_channels)
        noise = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
        np.save(folder / "noise.npy", noise)
        labels = labels_of(config)
        here = difference(ours(program, folder / "theirs", "model", folder / "here.npz", labels, "--noise", folder / "noise.npy"), theirs(unet, scheduler, noise, labels))
        flow = "flow" in at
        if flow not in converted:
            flags = () if flow else ("--schedule", "ddpm-linear", "--output-kind", "v")
            if labels is not None:
                flags += ("--labels", "numbers")
            data = data_for(program, config, folder)
            converted[flow] = trained(program, folder, config, data, *flags).rename(folder / f"converted-{flow}")
        (folder / "scheduler.json").write_text(json.dumps(scheduler))
        numbers = None if labels is None else np.load(folder / "data.npz")["labels"][:IMAGES].astype(np.float32)
        images = ours(program, converted[flow], folder / "scheduler.json", folder / "there.npz", numbers, "--save-noise", folder / "saved.npy")
        unet = opened(converted[flow])
        there = theirs(unet, scheduler, np.load(folder / "saved.npy"), None if labels is None else told(converted[flow], numbers, unet))
        rows[at] = (here, difference(images, there), float((np.abs(there) >= 1).mean()))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fluxion", type=Path)
    parser.add_argument("--report", type=Path, help="write the table to this file, too")
    parser.add_argument("--only", default="", help="part of a network's name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = ["| network | " + " | ".join(SCHEDULERS) + " |", "|---" * (1 + len(SCHEDULERS)) + "|"]
    print("\n".join(lines), flush=True)
    worst, outside = 0.0, []
    for name in NETWORKS:
        if options.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows = compare(options.fluxion.resolve(), Path(folder), name)
        lines.append(f"| {name} | " + " | ".join("{:.0e}, {:.0e}".format(*rows[at][:2]) if at in rows else "not finite in diffusers, too" for at in SCHEDULERS) + " |")
        print(lines[-1], flush=True)
        worst = max([worst] + [d for here, there, _ in rows.values() for d in (here, there)])
        outside += [share for *_, share in rows.values()]
    lines += ["", f"Theirs here, ours there. Largest: {worst:.1e} of the range; {100 * np.mean(outside):.0f} % of the values lie beyond it and are not compared."]
    print("\n".join(lines[-2:]))
    if options.report:
        options.report.write_text("\n".join(lines) + "\n")
    if not worst <= BOUND:
        raise SystemExit(f"check_numbers: {worst:.1e} is above {BOUND:.0e} of the range")


if __name__ == "__main__":
    main()
