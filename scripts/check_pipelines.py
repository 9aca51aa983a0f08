"""Opens in diffusers what `fluxion convert` makes of a run of every kind, and calls it as a stranger would.

    go build -o /tmp/fluxion ./cmd/fluxion
    "$(scripts/peers.sh)" scripts/check_pipelines.py /tmp/fluxion [--png FOLDER] [--only KIND] [--images N]

Trains small networks on the embedded digits, converts them, and for each: DiffusionPipeline.from_pretrained(OUT)() without
any other argument (with trust_remote_code=True where the folder says that it must be); the Python of its README.md; its
weights against the run's averaged ones; guided images of classes against a loop of its own. Then, of a model of latents,
pictures that are given (sample --init, --mask) against the lines of StableDiffusion3Img2ImgPipeline and its inpainting. Prints a table, and exits with 1 if one of them fails. --png keeps pictures of four
images each to look at. A few minutes.
"""

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import diffusers
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
diffusers.logging.disable_progress_bar()

EPS = ["--schedule", "ddpm-linear", "--output-kind", "eps"]
KINDS = {  # flags of train; whether diffusers must be told to run the folder's own code
    "flow, classes": ([], False),
    "flow, classes, 16x24": (["--size", "16x24"], False),
    "eps, classes": (EPS, False),
    "v, cosine, classes": (["--schedule", "cosine", "--output-kind", "v"], False),
    "EDM, classes": (["--schedule", "ve", "--output-kind", "edm"], False),
    "flow, classes, no label dropped": (["--label-drop", "0"], True),
    "EDM, no label dropped": (["--schedule", "ve", "--output-kind", "edm", "--label-drop", "0"], True),
    "flow, its own estimate": (["--self-conditioning", "0.5"], True),
    "eps, its own estimate": ([*EPS, "--self-conditioning", "0.5"], True),
}
LATENTS = {  # on latents of the digits
    "latents, classes": ([], True),
}
NUMBERS = {  # of each picture: how many, and those that the call tells
    "one number": (1, 0.5),
    "two numbers": (2, [[0.5, 0.1], [0.2, 0.9], [0.3, 0.4], [0, 0.7]]),
}
UNLABELED = {  # on pictures without classes
    "flow": ([], False),
    "eps": (EPS, False),
    "flow map": (["--objective", "flowmap", "--time-scale", "16"], True),
}


def fluxion(program, *arguments):
    run = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"check_pipelines: fluxion {' '.join(map(str, arguments))}: {run.stderr.strip()}")


def autoencoder(folder):
    """A small AutoencoderKL of random weights, whose posteriors have no width, so that a sample of them is their mean."""
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKL(block_out_channels=(8, 16), norm_num_groups=4, latent_channels=4, sample_size=16, scaling_factor=0.5, shift_factor=0.1,
                                  down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)
    with torch.no_grad():
        vae.quant_conv.weight[4:] = 0
        vae.quant_conv.bias[4:] = -30
    vae.save_pretrained(folder)
    return folder


def given(program, out, picture, folder):
    """How far latents of image to image and of inpainting are from those of diffusers' lines, as shares of the range."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(out, trust_remote_code=True)
    unet, vae = pipeline.unet, pipeline.vae
    mask = np.zeros((16, 16), np.uint8)
    mask[3:12, 5:] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    image = torch.from_numpy(np.asarray(Image.open(picture).convert("RGB"), np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    kept = torch.nn.functional.interpolate((torch.from_numpy(mask)[None, None] / 255 >= 0.5).float(), size=(8, 8))
    rows = []
    for name, strength, flags in ("img2img", 0.6, []), ("inpaint", 0.8, ["--mask", folder / "mask.png"]):
        z, noise = folder / f"{name}.npz", folder / f"{name}.npy"
        fluxion(program, "sample", "--model", out, "--init", picture, "--strength", strength, "--steps", 10, "--count", 2, "--class", 3, "--latent",
                "--out", z, "--save-noise", noise, "--precision", "fp32", "--device", "cpu", "--scheduler", "model", *flags)
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(pipeline.scheduler.config)
        scheduler.set_timesteps(10)
        first = 10 - min(int(10 * strength), 10)
        timesteps, e = scheduler.timesteps[first:], torch.from_numpy(np.load(noise)).permute(0, 3, 1, 2)
        scheduler.set_begin_index(first)
        labels = torch.full((2,), 3)
        with torch.no_grad():
            x0 = ((vae.encode(image).latent_dist.sample() - vae.config.shift_factor) * vae.config.scaling_factor).repeat(2, 1, 1, 1)
            x = scheduler.scale_noise(x0, timesteps[:1].repeat(2), e)
            for i, t in enumerate(timesteps):
                x = scheduler.step(unet(x, t, class_labels=labels).sample, t, x).prev_sample
                if name == "inpaint":
                    proper = x0 if i + 1 == len(timesteps) else scheduler.scale_noise(x0, timesteps[i + 1 : i + 2].repeat(2), e)
                    x = (1 - kept) * proper + kept * x
        got = torch.from_numpy(np.load(z)["images"]).permute(0, 3, 1, 2)
        rows.append((name, float((got - x).abs().max() / (x.max() - x.min()))))
    return rows


def picture(images, path):
    size = images[0].size
    sheet = Image.new("RGB", (size[0] * len(images), size[1]))
    for i, image in enumerate(images):
        sheet.paste(image, (i * size[0], 0))
    sheet.resize((4 * sheet.width, 4 * sheet.height), Image.NEAREST).save(path)


def spread(images):
    """Deviation of the pixels: 0 is a picture of one colour."""
    return float(np.std([np.asarray(i, dtype=np.float32) for i in images]))


def call(out, code):
    """Images of the pipeline as it stands: one call without arguments, one of four images."""
    more = {"trust_remote_code": True} if code else {}
    pipeline = diffusers.DiffusionPipeline.from_pretrained(out, **more)
    pipeline.set_progress_bar_config(disable=True)
    torch.manual_seed(0)
    with torch.no_grad():
        one = pipeline().images
        four = pipeline(batch_size=4, num_inference_steps=50).images
    if len(one) != 1 or len(four) != 4:
        raise ValueError(f"{len(one)} and {len(four)} images")
    return pipeline, four


def refused(out):
    """What diffusers says of the folder's code without being told to run it."""
    try:
        diffusers.DiffusionPipeline.from_pretrained(out)
    except ValueError as e:
        return "trust_remote_code" in str(e)
    return False


def card(out):
    """Runs every piece of Python of README.md in the folder."""
    text = (out / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    before = Path.cwd()
    os.chdir(out)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            for block in blocks:
                exec(block, {"__name__": "card"})
    finally:
        os.chdir(before)
    return f"{len(blocks)} run" + (", grid" if (out / "samples.png").exists() else "")


def weights(out):
    """Those of the network that is told classes, where there is one: what it has beside, or otherwise than, the other."""
    own = out / "unet_labels" / "labels.safetensors"
    return load_file(out / "unet" / "diffusion_pytorch_model.safetensors") | (load_file(own) if own.exists() else {})


def averaged(out, run):
    """Whether the weights are the run's averaged ones."""
    newest = max((run / "checkpoints").iterdir(), key=lambda p: int(p.name))
    got, want = weights(out), load_file(newest / "unet_ema" / "diffusion_pytorch_model.safetensors")
    return got.keys() == want.keys() and all(torch.equal(got[k], want[k]) for k in want)


def labelled(out, numbers=None):
    """How far the network that is told no class is from the other told the one that stands for none; how far images of
    classes or numbers, guided, are from those of a loop of ours with the whole network; what the second network takes on the disk."""
    if not (out / "unet_labels").exists():
        return "", "", ""
    alone = diffusers.UNet2DModel.from_pretrained(out, subfolder="unet")
    told = diffusers.UNet2DModel.from_config(diffusers.UNet2DModel.load_config(out, subfolder="unet_labels")).eval()
    told.load_state_dict(weights(out))
    folded, size = "", told.config.sample_size
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if numbers is None:
        none, classes = torch.full((4,), told.config.num_class_embeds - 1), torch.tensor([0, 3, 5, 9])
        chosen = classes.tolist()
        x, t = torch.randn(4, 3, *sides), torch.tensor([3, 200, 500, 999])
        with torch.no_grad():
            folded = f"{(alone(x, t).sample - told(x, t, class_labels=none).sample).abs().max():.0e}"
    else:  # each from 0 to 1 by what the data held; one is told as a time, several as a vector of the network's width
        about = json.loads((out / "unet_labels" / "labels.json").read_text())
        low, high = np.array(about["from"]), np.array(about["to"])
        rows = torch.from_numpy((np.reshape(numbers, (-1, len(low))) - low) / (high - low)).float()
        chosen, classes = numbers, about["scale"] * rows[:, 0] if len(low) == 1 else rows.repeat(1, about["width"])[:, : about["width"]]
        classes = classes.expand(4, *classes.shape[1:])
    pipeline = diffusers.DiffusionPipeline.from_pretrained(out, custom_pipeline="pipeline", trust_remote_code=True)
    pipeline.set_progress_bar_config(disable=True)
    scale, free_of = 2.0, lambda z, t: told(z, t, class_labels=none).sample if numbers is None else alone(z, t).sample
    count = {} if numbers is None else {"batch_size": 4}
    images = pipeline(class_labels=chosen, **count, guidance_scale=scale, num_inference_steps=8, generator=torch.Generator().manual_seed(1), output_type="np").images
    scheduler, generator = pipeline.scheduler, torch.Generator().manual_seed(1)
    scheduler.set_timesteps(8)
    x = torch.randn(4, 3, *sides, generator=generator) * getattr(scheduler, "init_noise_sigma", 1.0)
    with torch.no_grad():
        if type(scheduler).__name__ == "DDPMScheduler":  # it draws on the way
            torch.manual_seed(2)
            images = pipeline(class_labels=chosen, **count, guidance_scale=scale, num_inference_steps=8, generator=torch.Generator().manual_seed(1), output_type="np").images
            torch.manual_seed(2)
        for t in scheduler.timesteps:
            z = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
            free, one = free_of(z, t), told(z, t, class_labels=classes).sample
            x = scheduler.step(free + scale * (one - free), t, x).prev_sample
    far = np.abs(images - (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()).max()
    bytes_of = lambda folder: sum(f.stat().st_size for f in (out / folder).iterdir())
    return folded, f"{far:.0e}", f"{bytes_of('unet_labels') / bytes_of('unet'):.0%}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fluxion", type=Path)
    parser.add_argument("--png", type=Path, help="folder for pictures")
    parser.add_argument("--only", default="", help="part of a kind's name")
    parser.add_argument("--images", type=int, default=2000, help="to train on")
    options = parser.parse_args()
    program = options.fluxion.resolve()
    torch.set_num_threads(1)
    failed = 0
    print("| run | pipeline | asks for trust | call without arguments | README.md | averaged weights | without a class | of classes, guided | unet_labels |\n" + "|---" * 9 + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        fluxion(program, "train", "--out", folder / "digits", "--size", 16, "--preset", "micro", "--images", 64, "--sample-count", 0)
        fluxion(program, "sample", "--model", folder / "digits", "--out", folder / "pictures", "--count", 32, "--steps", 2)
        for i, path in enumerate(sorted((folder / "pictures").iterdir())):
            (folder / "classes" / str(i % 10)).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / "classes" / str(i % 10) / path.name)
        fluxion(program, "latents", folder / "classes", folder / "latents", "--vae", autoencoder(folder / "vae"))
        kinds = [(k, *v, "glyphs") for k, v in KINDS.items()] + [(k, *v, folder / "pictures") for k, v in UNLABELED.items()]
        kinds += [(k, *v, f"latents:{folder / 'latents'}") for k, v in LATENTS.items()]
        for name, (columns, _) in NUMBERS.items():
            lines = [f"{p.name},{','.join(str((i * (7 + c)) % 32 / 32) for c in range(columns))}" for i, p in enumerate(sorted((folder / "pictures").iterdir()))]
            table = folder / f"numbers{columns}.csv"
            table.write_text("\n".join(lines) + "\n")
            kinds.append((name, ["--labels", f"numbers:{table}"], False, folder / "pictures"))
        for i, (name, flags, code, data) in enumerate(kinds):
            if options.only not in name:
                continue
            run, out = folder / f"run{i}", folder / f"out{i}"
            fluxion(program, "train", "--data", data, "--out", run, *([] if name in LATENTS else ["--size", 16]), "--preset", "micro", "--images", options.images, "--sample-count", 4, "--precision", "fp32", *flags)
            fluxion(program, "convert", run, out)
            try:
                trusts = refused(out) if code else False
                pipeline, images = call(out, code)
                kind, called = type(pipeline).__name__, f"deviation {spread(images):.0f}"
                if options.png:
                    options.png.mkdir(parents=True, exist_ok=True)
                    picture(images, options.png / f"{name.replace(', ', '-').replace(' ', '-')}.png")
                read, same, (far, guided, more) = card(out), averaged(out, run), labelled(out, NUMBERS.get(name, (0, None))[1])
                wrong = trusts != code or not same or spread(images) < 1 or bool(guided) and max(float(far or 0), float(guided)) > 1e-5
            except Exception as e:  # noqa: BLE001: whatever diffusers raises is what the table is for
                kind, called, read, same, far, guided, more, trusts, wrong = "", f"{type(e).__name__}: {e}", "", "", "", "", "", "", True
            failed += wrong
            print(f"| {name} | {kind} | {'yes' if trusts else 'no'} | {called} | {read} | {same} | {far} | {guided} | {more} |{' WRONG' if wrong else ''}", flush=True)
            if name in LATENTS and not wrong:
                for way, far in given(program, out, folder / "pictures" / "000003.png", folder):
                    failed += far > 1e-4
                    print(f"{way} of {name}: {far:.0e} of the range from diffusers{' WRONG' if far > 1e-4 else ''}", flush=True)
    if failed:
        raise SystemExit(f"check_pipelines: {failed} failed")


if __name__ == "__main__":
    main()
