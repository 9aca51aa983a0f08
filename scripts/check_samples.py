"""Compares the pictures of `fluxion sample --scheduler` with those that diffusers makes of the same network and noise.

    go build -o /tmp/fluxion ./cmd/fluxion
    "$(scripts/peers.sh)" scripts/check_samples.py /tmp/fluxion [--only CLASS] [--mask] [--fixtures cmd/fluxion/testdata/schedulers.json]

Trains a small network of 8 by 8 pixels for each output (eps, v, u, EDM's), samples it by every class of diffusers that runs
networks, and prints the largest difference in levels between a pixel of a PNG and what diffusers' loop has in its place
before it is rounded: up to 0.5 is rounding alone. Where Fluxion leaves a defect of diffusers out, `--compat diffusers` is what
must agree. Exits with 1 if a class does not. diffusers' draws are replaced by Fluxion's (kernels/philox), nothing else is.

With --mask it compares inpainting, in floats.

With --fixtures it writes what diffusers makes of the networks that nets/unet/testdata has, for `go test`. Takes a minute or two.
"""

import argparse
import base64
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
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from check_training import normal  # noqa: E402: Fluxion's random numbers

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
diffusers.logging.disable_progress_bar()

START, STEP = 3, 4  # streams of kernels/philox
ROUNDING = 0.51  # levels: a half, and what float32 makes of two orders of summing
IMAGES = 4


def draws(stream, step, shape):
    """What image 0, 1, … draws, channels first as diffusers has them."""
    _, channels, height, width = shape
    values = [normal(0, stream, image, step, height * width * channels) for image in range(shape[0])]
    return torch.from_numpy(np.stack(values).astype(np.float32).reshape(shape[0], height, width, channels)).permute(0, 3, 1, 2).contiguous()


def beginning(scheduler, timesteps, given, noise):
    """The state that diffusers' inpainting begins with: noise alone at strength 1, else the picture with noise."""
    if given is None or given["strength"] == 1:
        return noise * getattr(scheduler, "init_noise_sigma", 1.0)
    return noisy(scheduler, given, noise, timesteps[0])


def noisy(scheduler, given, noise, t):
    """The picture at the noise level of a time, as the scheduler has it."""
    picture, times = given["picture"].expand_as(noise), torch.as_tensor(t)[None].repeat(len(noise))
    if hasattr(scheduler, "scale_noise"):
        return scheduler.scale_noise(picture, times, noise)
    return scheduler.add_noise(picture, noise, times)


def move(scheduler, by):
    """Moves the state that a step of several calls, or a corrector, goes back to, so that what led from there to the
    present state leads to where that was moved. Within a mask of 0 and 1 nobody sees the difference: what is made anew is
    not moved, and what is kept is put there again before the network sees it. Of grey, diffusers' loop forgets what was
    put by then: a corrector of UniPC undoes it."""
    kind = type(scheduler).__name__
    if kind == "PNDMScheduler" and scheduler.cur_sample is not None:
        scheduler.cur_sample = scheduler.cur_sample + by / scheduler.led
    elif kind in ("HeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler") and scheduler.sample is not None:
        scheduler.sample = scheduler.sample + by
    elif kind in ("UniPCMultistepScheduler", "DPMSolverSinglestepScheduler"):
        last = scheduler.step_index - 1
        name = "last_sample" if kind[0] == "U" else "sample"
        first = last if kind[0] == "U" else last + 1 - scheduler.order_list[last]
        sigma = lambda k: scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[k])[1]
        setattr(scheduler, name, getattr(scheduler, name) + by * sigma(first) / sigma(last + 1))


def leads(scheduler):
    """Notes by what PNDM's steps multiply the state that they begin with."""
    step = scheduler._get_prev_sample

    def noted(sample, timestep, before, said):
        scheduler.led = step(torch.ones_like(sample), timestep, before, torch.zeros_like(said))
        return step(sample, timestep, before, said)

    scheduler._get_prev_sample = noted


@torch.no_grad()
def theirs(folder, config, steps, step, given=None):
    """The loop of diffusers' pipelines on Fluxion's noise; the last state, NHWC. Of a picture, a mask and a strength
    that are given it is that of StableDiffusionInpaintPipeline: behind every step the picture, at the time of the
    next, is put where the mask is 0."""
    unet = diffusers.UNet2DModel.from_pretrained(folder, low_cpu_mem_usage=False).eval()
    kind = getattr(diffusers, config["_class_name"])
    scheduler = kind.from_config(config)
    scheduler.set_timesteps(steps)
    size = unet.config.sample_size
    shape = (IMAGES, unet.config.in_channels, size, size)
    classes = unet.config.num_class_embeds  # the last one stands for none
    labels = None if classes is None else torch.full((IMAGES,), classes - 1)
    if hasattr(scheduler, "_get_prev_sample"):
        leads(scheduler)
    noise, timesteps = draws(START, 0, shape), scheduler.timesteps
    if given:
        first = (steps - int(steps * given["strength"])) * scheduler.order
        timesteps = timesteps[first:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first)
    x = beginning(scheduler, timesteps, given, noise)
    scale = getattr(scheduler, "scale_model_input", lambda x, t: x)  # the flow schedulers have none
    module = importlib.import_module(kind.__module__)
    for i, t in enumerate(timesteps):
        if hasattr(module, "randn_tensor"):
            module.randn_tensor = lambda *_, **__: draws(STEP, i, shape)
        torch.randn_like, kept = lambda *_, **__: draws(STEP, i, shape), torch.randn_like
        try:
            x = scheduler.step(unet(scale(x, t), t, class_labels=labels).sample, t, x, **step).prev_sample
        finally:
            torch.randn_like = kept
        if given and i + 1 < len(timesteps):
            kept = (1 - given["mask"]) * (noisy(scheduler, given, noise, timesteps[i + 1]) - x)
            x = x + kept
            if given["moves"]:
                move(scheduler, kept)
        elif given:
            x = (1 - given["mask"]) * given["picture"] + given["mask"] * x
    return x.permute(0, 2, 3, 1).numpy()


def levels(x):
    """Of pixels, not rounded."""
    return (x / 2 + 0.5).clip(0, 1) * 255


def ours(fluxion, folder, scheduler, steps, flags, out):
    """Fluxion's pictures, and its start event."""
    shutil.rmtree(out, ignore_errors=True)
    command = [fluxion, "sample", "--model", folder, "--out", out, "--count", str(IMAGES), "--precision", "fp32", "--json",
               "--class", "none", "--steps", str(steps), "--scheduler", scheduler, *flags]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"check_samples: {' '.join(map(str, command))}: {run.stderr.strip()}")
    pictures = [np.asarray(Image.open(f"{out}/{i:06d}.png")) for i in range(IMAGES)]
    return np.stack(pictures).astype(np.float32), json.loads(run.stdout.splitlines()[0])["scheduler"]


LEADING, TRAILING, LINSPACE = ({"timestep_spacing": s} for s in ("leading", "trailing", "linspace"))
LINEAR = {"clip_sample": False}
FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}

# network: class, keys, steps, and what scheduler.step and Fluxion are given beside them.
CASES = {
    "eps": [
        ("DDIMScheduler", LEADING | LINEAR, 10), ("DDIMScheduler", TRAILING | LINEAR, 10), ("DDIMScheduler", LINSPACE | LINEAR, 10),
        ("DDIMScheduler", TRAILING, 10), ("DDIMScheduler", LEADING | {"steps_offset": 1}, 12),
        ("DDIMScheduler", TRAILING | {"clip_sample_range": 0.7}, 10), ("DDIMScheduler", TRAILING | {"thresholding": True}, 10),
        ("DDIMScheduler", TRAILING | {"set_alpha_to_one": False}, 10),
        ("DDIMScheduler", TRAILING, 10, {"eta": 0.5}, ["--eta", "0.5"]),
        ("DDPMScheduler", TRAILING, 10), ("DDPMScheduler", LEADING | {"variance_type": "fixed_large"}, 10),
        ("DDPMScheduler", TRAILING | {"clip_sample_range": 1.5}, 10),
        ("DPMSolverMultistepScheduler", LINSPACE, 10), ("DPMSolverMultistepScheduler", LEADING | {"use_karras_sigmas": True}, 10),
        ("DPMSolverMultistepScheduler", {"solver_order": 3}, 10), ("DPMSolverMultistepScheduler", {"thresholding": True}, 10),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, 10),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"}, 10),
        ("DPMSolverSinglestepScheduler", {}, 9),
        ("UniPCMultistepScheduler", {}, 10), ("UniPCMultistepScheduler", {"solver_order": 3}, 10),
        ("DEISMultistepScheduler", {}, 10),
        ("EulerDiscreteScheduler", {}, 12), ("EulerDiscreteScheduler", LEADING, 12), ("EulerDiscreteScheduler", {"use_karras_sigmas": True}, 12),
        ("EulerAncestralDiscreteScheduler", LEADING, 12), ("HeunDiscreteScheduler", {}, 8), ("HeunDiscreteScheduler", {"clip_sample": True}, 8),
        ("LMSDiscreteScheduler", {}, 12),
        ("PNDMScheduler", {"skip_prk_steps": True}, 10), ("PNDMScheduler", {}, 10),
        ("LCMScheduler", {}, 4), ("TCDScheduler", {}, 4),
    ],
    "v": [
        ("DDIMScheduler", TRAILING | LINEAR, 10), ("DDIMScheduler", LEADING, 10), ("DPMSolverMultistepScheduler", TRAILING, 10),
        ("EulerDiscreteScheduler", TRAILING, 12), ("UniPCMultistepScheduler", TRAILING, 10), ("PNDMScheduler", {"skip_prk_steps": True}, 10),
    ],
    "u": [
        ("FlowMatchEulerDiscreteScheduler", {}, 12), ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, 12),
        ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0, "use_karras_sigmas": True}, 12),
        ("FlowMatchEulerDiscreteScheduler", {"stochastic_sampling": True}, 12), ("FlowMatchHeunDiscreteScheduler", {"shift": 2.0}, 8),
        ("DPMSolverMultistepScheduler", FLOW | {"flow_shift": 3.0}, 10), ("UniPCMultistepScheduler", FLOW, 10),
    ],
    "edm": [
        ("EDMEulerScheduler", {}, 12), ("EDMEulerScheduler", {"sigma_schedule": "exponential"}, 12), ("EDMDPMSolverMultistepScheduler", {}, 10),
        ("EDMDPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, 10),
    ],
}
TRAINED = {
    "eps": ["--schedule", "ddpm-linear", "--output-kind", "eps"],
    "v": ["--schedule", "ddpm-linear", "--output-kind", "v"],
    "u": [],
    "edm": ["--schedule", "ve", "--output-kind", "edm"],
}


def train(fluxion, folder, flags):
    """A network that has seen enough for its pictures to be within the range of pixels, mostly."""
    subprocess.run([fluxion, "train", "--out", folder, "--size", "8", "--preset", "micro", "--images", "4000", "--sample-count", "0",
                    "--precision", "fp32", *flags], check=True, capture_output=True)
    return max((folder / "checkpoints").iterdir(), key=lambda p: int(p.name))


def cases(only):
    for network, list_ in CASES.items():
        for kind, keys, steps, *more in list_:
            if not only or only in kind:
                keys = {"v": {"prediction_type": "v_prediction"}}.get(network, {}) | keys
                yield network, {"_class_name": kind} | keys, steps, *(more or [{}, []])


def compare(fluxion, folder, only):
    bad, trained = 0, {}
    print("| scheduler | network | steps | as it is | left out | --compat diffusers | beyond the range of pixels |\n" + "|---" * 7 + "|")
    for network, config, steps, step, flags in cases(only):
        if network not in trained:
            trained[network] = train(fluxion, folder / network, TRAINED[network])
        file = folder / "scheduler.json"
        file.write_text(json.dumps(config))
        want = levels(theirs(trained[network] / "unet_ema", config, steps, step))
        got, said = ours(fluxion, trained[network], file, steps, flags, folder / "out")
        difference, repeated = np.abs(got - want).max(), ""
        if said["corrected"]:
            got, _ = ours(fluxion, trained[network], file, steps, [*flags, "--compat", "diffusers"], folder / "out")
            repeated = f"{np.abs(got - want).max():.3f}"
        wrong = not float(repeated or difference) <= ROUNDING  # nor is what is no number right
        bad += wrong
        keys = ", ".join(f"{k} {v}" for k, v in config.items() if k != "_class_name")
        saturated = ((want <= 0) | (want >= 255)).mean()
        print(f"| {config['_class_name']}: {keys or 'defaults'}{' ' + ' '.join(flags) if flags else ''} | {network} | {steps} | "
              f"{difference:.3f} | {', '.join(said['corrected'])} | {repeated} | {100 * saturated:.0f} % |{' WRONG' if wrong else ''}", flush=True)
    if bad:
        raise SystemExit(f"check_samples: {bad} differ by more than rounding")


def inpainted(fluxion, folder, only):
    """How far inpainting is from that of diffusers, as shares of the range: with a mask of 0 and 255 as its pipelines run it,
    with a grey one as they would without rounding it, and where the states that steps go back to are moved with the others."""
    bad, trained = 0, {}
    masks, pixels = {"hard": np.zeros((8, 8), np.uint8)}, (np.arange(8 * 8 * 3) * 37 % 256).astype(np.uint8).reshape(8, 8, 3)
    masks["hard"][2:7, 3:] = 255
    masks["grey"] = (np.arange(64) * 4).astype(np.uint8).reshape(8, 8)
    Image.fromarray(pixels).save(folder / "picture.png")
    nchw = lambda a: torch.from_numpy(a.astype(np.float32)).permute(2, 0, 1)[None]
    print("| scheduler | network | steps | strength 1 | about half | grey, as it is | grey, moved |\n" + "|---" * 7 + "|")
    for network, config, steps, step, flags in cases(only):
        if network not in trained:
            trained[network] = train(fluxion, folder / network, TRAINED[network])
        file, shown, half = folder / "scheduler.json", [], round((steps + 1) // 2 / steps + 5e-4, 3)
        file.write_text(json.dumps(config))
        for strength, mask, moves in (1, "hard", False), (half, "hard", False), (1, "grey", False), (1, "grey", True):
            if strength != 1 and config["_class_name"] in ("PNDMScheduler", "TCDScheduler"):  # begin at the first entry of their grids only
                shown.append("")
                continue
            given = {"picture": nchw(pixels) / 127.5 - 1, "mask": nchw(masks[mask][..., None]) / 255, "strength": strength, "moves": moves}
            want = theirs(trained[network] / "unet_ema", config, steps, step, given)
            out = folder / "out.npz"
            Image.fromarray(masks[mask]).save(folder / "mask.png")
            command = [fluxion, "sample", "--model", trained[network], "--out", out, "--overwrite", "--count", IMAGES, "--precision", "fp32", "--class", "none",
                       "--steps", steps, "--scheduler", file, "--init", folder / "picture.png", "--mask", folder / "mask.png", "--strength", strength, "--compat", "diffusers", *flags]
            run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
            if run.returncode:
                raise SystemExit(f"check_samples: {' '.join(map(str, command))}: {run.stderr.strip()}")
            far = np.abs(np.load(out)["images"] - want).max() / np.ptp(want)
            wrong = not far <= 1e-4 and (mask == "hard" or moves)
            bad += wrong
            shown.append(f"{far:.0e}{' WRONG' if wrong else ''}")
        keys = ", ".join(f"{k} {v}" for k, v in config.items() if k != "_class_name")
        print(f"| {config['_class_name']}: {keys or 'defaults'}{' ' + ' '.join(flags) if flags else ''} | {network} | {steps} | {' | '.join(shown)} |", flush=True)
    if bad:
        raise SystemExit(f"check_samples: {bad} differ")


# Of a network whose weights are random: milder βs, so that an error at the beginning does not become most of the picture.
MILD = {"beta_end": 0.004}
FIXTURES = [
    ("DDIMScheduler", MILD | LEADING, 6), ("DDIMScheduler", MILD | TRAILING | LINEAR, 6),
    ("DDIMScheduler", MILD | TRAILING | {"clip_sample_range": 0.7, "prediction_type": "v_prediction"}, 6, {"eta": 0.5}, ["--eta", "0.5"]),
    ("DDPMScheduler", MILD | TRAILING, 6), ("DPMSolverMultistepScheduler", MILD, 6),
    ("DPMSolverMultistepScheduler", MILD | {"algorithm_type": "sde-dpmsolver++"}, 6), ("DPMSolverSinglestepScheduler", MILD, 6),
    ("UniPCMultistepScheduler", MILD, 6), ("DEISMultistepScheduler", MILD, 6), ("EulerDiscreteScheduler", MILD | LEADING, 6),
    ("EulerAncestralDiscreteScheduler", MILD, 6), ("HeunDiscreteScheduler", MILD, 4), ("LMSDiscreteScheduler", MILD, 6),
    ("PNDMScheduler", MILD, 6), ("LCMScheduler", MILD, 4), ("TCDScheduler", MILD, 4),
    ("EDMEulerScheduler", {}, 6), ("EDMDPMSolverMultistepScheduler", {}, 6),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, 6), ("FlowMatchHeunDiscreteScheduler", {}, 4),
]
INPAINTED = [  # the same with a strength
    ("DDIMScheduler", MILD | LEADING, 6, 1), ("UniPCMultistepScheduler", MILD, 6, 1), ("PNDMScheduler", MILD, 6, 1), ("PNDMScheduler", MILD | {"skip_prk_steps": True}, 6, 1),
    ("HeunDiscreteScheduler", MILD, 4, 0.75), ("LMSDiscreteScheduler", MILD, 6, 0.5), ("FlowMatchHeunDiscreteScheduler", {}, 4, 0.5),
]
FIXED_POINT = 64  # parts of a level


def fixtures(network, path):
    """What diffusers makes of a network in nets/unet/testdata: levels in 64ths, two bytes each, little-endian."""
    lines = []
    picture = torch.from_numpy((np.arange(192) * 7 % 256).astype(np.float32).reshape(1, 8, 8, 3)).permute(0, 3, 1, 2) / 127.5 - 1
    mask = (torch.arange(8) >= 4).float().expand(1, 1, 8, 8)
    cases = [(kind, keys, steps, *(more or [{}, []]), None) for kind, keys, steps, *more in FIXTURES]
    for kind, keys, steps, strength in INPAINTED:
        flags = ["--init", "picture.png", "--mask", "mask.png", "--strength", str(strength)]
        cases.append((kind, keys, steps, {}, flags, {"picture": picture, "mask": mask, "strength": strength, "moves": False}))
    for kind, keys, steps, step, flags, given in cases:
        config = {"_class_name": kind} | keys
        said = levels(theirs(network, config, steps, step, given)[:2])
        data = base64.b64encode((said * FIXED_POINT).round().astype("<u2").tobytes()).decode()
        lines.append(json.dumps({"config": config, "steps": steps, "flags": flags, "levels": data}))
        print(f"{kind}: {100 * ((said <= 0) | (said >= 255)).mean():.0f} % saturated", flush=True)
    path.parent.mkdir(exist_ok=True)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fluxion", type=Path)
    parser.add_argument("--only", default="", help="part of a class's name")
    parser.add_argument("--mask", action="store_true", help="compare inpainting")
    parser.add_argument("--fixtures", type=Path, help="write the data of the tests, and compare nothing")
    parser.add_argument("--network", type=Path, default=Path("nets/unet/testdata/diffusers/flow"), help="of --fixtures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.fixtures:
        return fixtures(options.network, options.fixtures)
    with tempfile.TemporaryDirectory() as folder:
        (inpainted if options.mask else compare)(options.fluxion.resolve(), Path(folder), options.only)


if __name__ == "__main__":
    main()
