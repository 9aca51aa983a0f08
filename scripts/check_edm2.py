"""Compares 20 steps of training EDM2's network with PyTorch: same weights, same images, same noise.

    "$(scripts/peers.sh)" scripts/check_edm2.py [--fixture engine/train/testdata/pytorch]

The network in PyTorch is that of scripts/edm_networks.py, written from the paper (Karras et al. 2024), with the weights of
nets/edm2/testdata/edm2, which is as large as preset `edm2-micro`; Fluxion begins with that folder. The loss is that of
section 2.1 without learnt uncertainty: F against (x − c_skip z)/c_out, at ln σ normal of mean −0.4 and deviation 1. Each
step's weights are brought to unit size before it, as section 2.3 has it, and moved by plain gradient descent, so that
weights tell gradients, and by Adam at the rate of equation 67. Fluxion trains in float32. The script prints how far losses, and the way
that the weights have gone, are from PyTorch's in float64, and how far PyTorch's own in float32 are. It fails if ours are
off by more than 1e-5, and by more than four times as much as those, which is rounding. Half a minute.

--fixture writes the images and PyTorch's curve by Adam, in float64, for `go test ./engine/train`.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from scipy.special import ndtr, ndtri

from check_training import NOISE, ROOT, TIME, normal, order, uniform64
from edm_networks import Preserving, unit

STEPS, IMAGES = 20, 12
MEAN, DEVIATION, LEAST, MOST = -0.4, 1.0, 0.002, 80.0  # of ln σ, and where σ ends
TOLERANCE = 1e-5
FOLDER = ROOT / "nets/edm2/testdata/edm2"
NETWORK = json.loads((FOLDER / "config.json").read_text()) | {"model_type": "EDM2"}
SIDE, CLASSES = NETWORK["img_resolution"], NETWORK["label_dim"]
SETTINGS = dict(
    schedule="ve", output_kind="edm", weighting="plain", time_sampler=f"edm:mean={MEAN},std={DEVIATION}", images=4 * STEPS, batch=4, seed=7, warmup=0, decay=0, clip=0,
    label_drop=0, dropout=0, flip=False, ema=100, ema_warmup=0.1, precision="fp32", weight_decay=0,
)
ADAM = dict(optimizer="adam", lr=0.01, beta1=0.9, beta2=0.99, epsilon=1e-8, lr_schedule="inverse-sqrt", lr_ref=32)
SGD = dict(optimizer="sgd", lr=0.2, momentum=0)


class Trained(Preserving):
    """The network with weights that learn, of a type of numbers."""

    def __init__(self, dtype):
        super().__init__(NETWORK, 0)
        first = load_file(FOLDER / "diffusion_pytorch_model.safetensors")
        self.w = {name.removeprefix("unet."): torch.from_numpy(w).to(dtype) for name, w in first.items() if not name.startswith("logvar")}
        self.w["logvar_linear.weight"] = torch.zeros(1, 128, dtype=dtype)
        self.learnt = {name: w.requires_grad_() for name, w in self.w.items() if not name.startswith(("emb_fourier", "logvar"))}

    @torch.no_grad()
    def force(self):
        for name, w in self.learnt.items():
            if name.endswith(".weight"):
                w.copy_(unit(w, tuple(range(1, w.ndim))))

    def numbers(self):
        return {name: w.detach().double().numpy().copy() for name, w in self.learnt.items()}


def batch(s, images, labels, first):
    """z, the target of F, ln(σ)/4 and labels of the images from a position of the stream on."""
    low, high = (ndtr((MEAN - math.log(end)) / DEVIATION) for end in (MOST, LEAST))
    z, target, levels, of = [], [], [], []
    for at in range(first, first + s["batch"]):
        index = order(s["seed"], at // IMAGES, IMAGES, at % IMAGES)
        x = images[index] / 127.5 - 1
        noise = normal(s["seed"], NOISE, at, 0, x.size).reshape(x.shape)
        sigma = math.exp(MEAN - DEVIATION * ndtri(low + (high - low) * (1 - uniform64(s["seed"], TIME, at, 0))))
        n = math.hypot(sigma, 0.5)
        z.append((x + sigma * noise) / n)
        target.append((sigma / (0.5 * n)) * x - (0.5 / n) * noise)
        levels.append(math.log(sigma) / 4)
        of.append(np.eye(CLASSES)[labels[index]])
    nchw = lambda a: torch.from_numpy(np.stack(a)).permute(0, 3, 1, 2)
    return nchw(z), nchw(target), torch.tensor(levels, dtype=torch.float64), torch.from_numpy(np.stack(of))


def train(s, images, labels, dtype):
    """PyTorch's run: losses, norms of gradients, the weights before and behind it, and their average."""
    network = Trained(dtype)
    weights = network.learnt.values()
    average = {name: w.detach().clone() for name, w in network.learnt.items()}
    if s["optimizer"] == "sgd":
        by = torch.optim.SGD(weights, s["lr"])
    else:
        by = torch.optim.Adam(weights, s["lr"], (s["beta1"], s["beta2"]), s["epsilon"])
    network.force()
    start, losses, norms = network.numbers(), [], []
    for seen in range(0, s["images"], s["batch"]):
        z, target, levels, of = (a.to(dtype) for a in batch(s, images, labels, seen))
        loss = torch.nn.functional.mse_loss(network(z, levels, of), target)
        by.zero_grad()
        loss.backward()
        if "lr_ref" in s:
            by.param_groups[0]["lr"] = s["lr"] / math.sqrt(max(seen / s["lr_ref"], 1))
        by.step()
        half_life = min(s["ema"], s["ema_warmup"] * (seen + s["batch"]))
        for name, w in network.learnt.items():
            average[name].lerp_(w.detach(), 1 - 2 ** (-s["batch"] / half_life))
        network.force()
        losses.append(loss.item())
        norms.append(math.sqrt(sum(w.grad.double().square().sum().item() for w in weights)))
    return losses, norms, start, network.numbers(), {name: a.double().numpy() for name, a in average.items()}


def published(ours):
    """Fluxion's weights by the names of EDM2's: see nets/edm2/published.go."""
    ends = {"time_embedding.weight": "emb_noise.weight", "conv_out.weight": "out_conv.weight", "conv_out.gain": "out_gain", "conv_in.weight": f"enc.{SIDE}x{SIDE}_conv.weight"}
    made = {}
    for name, w in ours.items():
        if name == "class_embedding.weight":
            made["emb_label.weight"] = w[:CLASSES].T
        elif name in ends:
            made[ends[name]] = w
        elif not name.startswith("time_proj."):
            side, level, rest = name.split(".", 2)
            if rest.endswith("attn_qkv.weight"):  # all of q first; there q, k and v of a channel
                w = w.reshape(3, -1, *w.shape[1:]).swapaxes(0, 1).reshape(w.shape)
            made[f"{side}.{SIDE >> int(level)}x{SIDE >> int(level)}_{rest}"] = w
    return made


def fluxion(folder, s, out):
    flags = [f"--{key.replace('_', '-')}={str(value).lower()}" for key, value in s.items()]
    every = ["--data", "images.npz", "--init", FOLDER, "--device", "cpu", "--sample-count", 0, "--checkpoint-every", s["batch"], "--keep", STEPS]
    done = subprocess.run([folder / "fluxion", "train", "--out", out, *flags, *map(str, every)], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"check_edm2: {done.stderr}")
    at = lambda k: folder / out / "checkpoints" / str(k * s["batch"])
    means = [json.loads((at(k) / "training/state.json").read_text())["loss"] for k in range(1, STEPS + 1)]
    losses = [k * mean - (k - 1) * before for k, mean, before in zip(range(1, STEPS + 1), means, [0, *means])]
    return losses, published(load_file(at(STEPS) / "unet" / "diffusion_pytorch_model.safetensors"))


def compare(folder, name, images, labels, s):
    ours, weights = fluxion(folder, s, name)
    truth, _, start, end, _ = train(s, images, labels, torch.float64)
    moved = lambda w: np.concatenate([(w[k].astype(np.float64).reshape(start[k].shape) - start[k]).ravel() for k in sorted(start)])
    way = moved(end)

    def off(losses, weights):
        return max(abs(a - b) / b for a, b in zip(losses, truth)), np.linalg.norm(moved(weights) - way) / np.linalg.norm(way)

    single = train(s, images, labels, torch.float32)
    own, single = off(ours, weights), off(single[0], single[3])
    print(f"| {name} | {ours[0]:.6f} | {ours[-1]:.6f} | {own[0]:.1e}, {single[0]:.1e} | {own[1]:.1e}, {single[1]:.1e} |", flush=True)
    return all(x <= max(TOLERANCE, 4 * y) for x, y in zip(own, single))


def write(target, images, labels):
    np.savez(target / "images-edm2.npz", images=images, labels=labels)
    s = SETTINGS | ADAM
    losses, norms, _, weights, average = train(s, images, labels, torch.float64)
    fixed = sum(float(np.square(w, dtype=np.float64).sum()) for name, w in load_file(FOLDER / "diffusion_pytorch_model.safetensors").items() if "emb_fourier" in name)
    size = lambda tensors: math.sqrt(fixed + sum(float(np.square(w).sum()) for w in tensors.values()))
    curve = dict(settings=s, losses=losses, norms=norms, weights=size(weights), average=size(average))
    (target / "curve-edm2.json").write_text(json.dumps(curve, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fixture", type=Path, help="where to write the images and the curve for Fluxion's own test")
    fixture = parser.parse_args().fixture
    torch.set_num_threads(1)
    images = np.random.default_rng(1).integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    labels = np.arange(IMAGES) % CLASSES
    if fixture:
        write(fixture, images, labels)
    print("| optimizer | loss of step 1 | of step 20 | losses off by, PyTorch in float32 by | weights' way off by, PyTorch in float32 by |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        subprocess.run(["go", "build", "-o", folder / "fluxion", "./cmd/fluxion"], cwd=ROOT, check=True)
        np.savez(folder / "images.npz", images=images, labels=labels)
        good = [compare(folder, name, images, labels, SETTINGS | of) for name, of in (("sgd", SGD), ("adam", ADAM))]
    if not all(good):
        sys.exit(f"check_edm2: off by more than {TOLERANCE}, and than four times PyTorch in float32")


if __name__ == "__main__":
    main()
