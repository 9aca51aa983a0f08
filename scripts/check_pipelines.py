"""Opens in diffusers what `fluxion convert` makes of a run of every kind, and calls it as a stranger would.

    go build -o /tmp/fluxion ./cmd/fluxion
    "$(scripts/peers.sh)" scripts/check_pipelines.py /tmp/fluxion [--png FOLDER] [--only KIND] [--images N]

Trains small networks on the embedded digits, converts them, and for each: DiffusionPipeline.from_pretrained(OUT)() without
any other argument (with trust_remote_code=True where the folder says that it must be); the Python of its README.md; its
weights against the run's averaged ones. Prints a table, and exits with 1 if one of them fails. --png keeps pictures of four
images each to look at. A few minutes.
"""

import argparse
import contextlib
import io
import os
import re
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
    "eps, classes": (EPS, False),
    "v, cosine, classes": (["--schedule", "cosine", "--output-kind", "v"], False),
    "EDM, classes": (["--schedule", "ve", "--output-kind", "edm"], False),
    "flow, classes, no label dropped": (["--label-drop", "0"], True),
    "EDM, no label dropped": (["--schedule", "ve", "--output-kind", "edm", "--label-drop", "0"], True),
    "flow, its own estimate": (["--self-conditioning", "0.5"], True),
    "eps, its own estimate": ([*EPS, "--self-conditioning", "0.5"], True),
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


def averaged(out, run):
    """Whether the weights are the run's averaged ones: of the network that is told classes, where there are two."""
    newest = max((run / "checkpoints").iterdir(), key=lambda p: int(p.name))
    network = out / ("unet_labels" if (out / "unet_labels").exists() else "unet")
    got, want = (load_file(d / "diffusion_pytorch_model.safetensors") for d in (network, newest / "unet_ema"))
    return got.keys() == want.keys() and all(torch.equal(got[k], want[k]) for k in want)


def folded(out):
    """How far the network that is told no class is from the other told the one that stands for none."""
    if not (out / "unet_labels").exists():
        return ""
    alone = diffusers.UNet2DModel.from_pretrained(out, subfolder="unet")
    told = diffusers.UNet2DModel.from_pretrained(out, subfolder="unet_labels")
    x, t = torch.randn(4, 3, 16, 16), torch.tensor([3, 200, 500, 999])
    with torch.no_grad():
        none = torch.full((4,), told.config.num_class_embeds - 1)
        return f"{(alone(x, t).sample - told(x, t, class_labels=none).sample).abs().max():.0e}"


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
    print("| run | pipeline | asks for trust | call without arguments | README.md | averaged weights | without a class |\n" + "|---" * 7 + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        fluxion(program, "train", "--out", folder / "digits", "--size", 16, "--preset", "micro", "--images", 64, "--sample-count", 0)
        fluxion(program, "sample", "--model", folder / "digits", "--out", folder / "pictures", "--count", 32, "--steps", 2)
        kinds = [(k, *v, "glyphs") for k, v in KINDS.items()] + [(k, *v, folder / "pictures") for k, v in UNLABELED.items()]
        for i, (name, flags, code, data) in enumerate(kinds):
            if options.only not in name:
                continue
            run, out = folder / f"run{i}", folder / f"out{i}"
            fluxion(program, "train", "--data", data, "--out", run, "--size", 16, "--preset", "micro", "--images", options.images, "--sample-count", 4, "--precision", "fp32", *flags)
            fluxion(program, "convert", run, out)
            try:
                trusts = refused(out) if code else False
                pipeline, images = call(out, code)
                kind, called = type(pipeline).__name__, f"deviation {spread(images):.0f}"
                if options.png:
                    options.png.mkdir(parents=True, exist_ok=True)
                    picture(images, options.png / f"{name.replace(', ', '-').replace(' ', '-')}.png")
                read, same, far = card(out), averaged(out, run), folded(out)
                wrong = trusts != code or not same or spread(images) < 1 or bool(far) and float(far) > 1e-5
            except Exception as e:  # noqa: BLE001: whatever diffusers raises is what the table is for
                kind, called, read, same, far, trusts, wrong = "", f"{type(e).__name__}: {e}", "", "", "", "", True
            failed += wrong
            print(f"| {name} | {kind} | {'yes' if trusts else 'no'} | {called} | {read} | {same} | {far} |{' WRONG' if wrong else ''}", flush=True)
    if failed:
        raise SystemExit(f"check_pipelines: {failed} failed")


if __name__ == "__main__":
    main()
