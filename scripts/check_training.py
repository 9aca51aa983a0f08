"""Compares 50 steps of training preset `micro` with PyTorch: same weights, same images, same noise.

    "$(scripts/peers.sh)" scripts/check_training.py MNIST_FOLDER [--self-conditioning 0.5] [--optimizer sgd] [--fixture engine/train/testdata/pytorch]

MNIST_FOLDER holds the IDX files of MNIST. The script trains with `fluxion train` in float32 and then does the whole run
again from what Fluxion documents, taking nothing from it but config.json: first weights, order of the images, times,
dropped labels and noise come from its own Philox4x32-10; network, gradients, clipping and optimizer are diffusers' and PyTorch's.
It prints both curves and fails if a loss in float32 differs by more than 1e-4, relative to it.

--fixture writes the first 64 images and PyTorch's curve over them, in float64, for `go test ./engine/train`.
"""

import argparse
import gzip
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import UNet2DModel
from diffusers.models import embeddings
from safetensors.numpy import load_file
from scipy.special import ndtri

from fixtures import exact_timesteps

diffusers.logging.set_verbosity_error()
ROOT = Path(__file__).parent.parent
STEPS = 50
TOLERANCE = 1e-4
EXCERPT = 64  # images of the fixture: the run passes over them several times

# All that the run depends on besides the defaults of `fluxion train`. Clipping, decay of the weights and of the learning
# rate, and dropped labels all happen within the 50 steps.
SETTINGS = dict(
    preset="micro", precision="fp32", schedule="fm", output_kind="u", weighting="plain", time_sampler="logit-normal", flip=False,
    images=8 * STEPS, batch=8, accumulate=1, lr=2e-3, warmup=160, decay=0.3, beta1=0.9, beta2=0.99, epsilon=1e-8,
    weight_decay=0.01, clip=1, ema=200, ema_warmup=0.1, label_drop=0.1, seed=7, self_conditioning=0.0,
)
SGD = dict(optimizer="sgd", lr=0.02, momentum=0.9, nesterov=True, beta1=0, beta2=0, epsilon=0)
NOISE, TIME, DROP, INIT, SELF_CONDITION = 0, 1, 2, 5, 11  # streams of kernels/philox


# --- kernels/philox: randomness is addressed by (seed, stream, address, step)


def words(seed, stream, address, step, count):
    """The first words of a request: Philox4x32-10 of Salmon et al. (2011), a block for each four."""
    block = np.arange((count + 3) // 4, dtype=np.uint64)
    c = [block | np.uint64(stream << 24)] + [np.full_like(block, v) for v in (step, address & 0xFFFFFFFF, address >> 32)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [p1 >> np.uint64(32) ^ c[1] ^ np.uint64(k0), p1 & low, p0 >> np.uint64(32) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return np.stack(c, 1).reshape(-1)[:count]


def uniform(*request):
    return ((words(*request).astype(np.int64) >> 8) | 1) * 2.0**-24


def uniform64(*request):
    high, low = (int(w) for w in words(*request, 2))
    return ((high << 32 | low) >> 11 | 1) * 2.0**-53


def normal(seed, stream, address, step, count):
    """Box and Muller, in float64."""
    w = words(seed, stream, address, step, (count + 1) // 2 * 2).astype(np.float64) * 2.0**-32
    radius, angle = np.sqrt(-2 * np.log(w[0::2].astype(np.float32) + 2.0**-33)), 2 * math.pi * w[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:count]


# --- package nets: the first weights


def initialise(model, seed):
    """Glorot-uniform matrices, normal class table, ones for gains; zeros for biases and for what ends a residual branch."""
    for name, p in model.named_parameters():
        address = 0xCBF29CE484222325  # FNV-1a of the name
        for byte in name.encode():
            address = (address ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        if name == "class_embedding.weight":
            value = normal(seed, INIT, address, 0, p.numel()).reshape(p.shape)
        elif p.ndim == 1:
            value = np.full(p.shape, 1.0 if "norm" in name and name.endswith("weight") else 0.0)
        elif any(part in name for part in (".conv2.", "conv_out.", ".to_out.")):
            value = np.zeros(p.shape)
        else:  # drawn in the order (height, width, in, out)
            shape = [*p.shape[2:], p.shape[1], p.shape[0]]
            limit = math.sqrt(6 / ((p.shape[0] + p.shape[1]) * math.prod(shape[:-2])))
            value = limit * (2 * uniform(seed, INIT, address, 0, p.numel()) - 1)
            value = np.moveaxis(value.reshape(shape), [-1, -2], [0, 1])
        p.data.copy_(torch.from_numpy(np.ascontiguousarray(value)))


# --- package data: the images and their order


def read_idx(folder, name):
    """A file of MNIST's, plain or compressed: its dimensions and bytes."""
    for part in "train", "t10k":
        for path, opener in (folder / f"{part}-{name}", open), (folder / f"{part}-{name}.gz", gzip.open):
            if path.exists():
                raw = opener(path, "rb").read()
                rank = raw[3]
                return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(np.frombuffer(raw, ">u4", rank, 4))
    sys.exit(f"check_training: {folder} has no {name}, neither of train nor of t10k")


def read_mnist(folder):
    return read_idx(folder, "images-idx3-ubyte"), read_idx(folder, "labels-idx1-ubyte")


def write_excerpt(folder, pixels, labels):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in ("images-idx3-ubyte", pixels[:EXCERPT]), ("labels-idx1-ubyte", labels[:EXCERPT]):
        header = bytes([0, 0, 8, data.ndim]) + np.array(data.shape, ">u4").tobytes()
        (folder / f"t10k-{name}.gz").write_bytes(gzip.compress(header + data.tobytes(), mtime=0))


def order(seed, number, n, i):
    """Place i of a pass over n images: a Feistel network on the next power of four, walked until it is below n."""
    mask64 = (1 << 64) - 1

    def mix(x):  # SplitMix64
        x = x + 0x9E3779B97F4A7C15 & mask64
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask64
        x = (x ^ x >> 27) * 0x94D049BB133111EB & mask64
        return x ^ x >> 31

    half = 1
    while 1 << 2 * half < n:
        half += 1
    mask = (1 << half) - 1
    key = mix(seed ^ mix(number + 0x9E3779B97F4A7C15 & mask64))
    while True:
        left, right = i >> half, i & mask
        for turn in range(6):
            left, right = right, left ^ mix(right ^ mix(key + turn & mask64)) & mask
        i = left << half | right
        if i < n:
            return i


# --- engine/train: the steps


def batch(s, pixels, labels, first):
    """Of the images from a position of the stream on: noisy images z = (1−t)x + tε, targets ε − x, times, classes, and
    whether they are given the network's own estimate."""
    z, target, times, classes, given = [], [], [], [], []
    for at in range(first, first + s["batch"]):
        index = order(s["seed"], at // len(labels), len(labels), at % len(labels))
        x = pixels[index] / 127.5 - 1
        noise = normal(s["seed"], NOISE, at, 0, x.size).reshape(x.shape)
        t = 1 / (1 + math.exp(-ndtri(uniform64(s["seed"], TIME, at, 0))))
        z.append((1 - t) * x + t * noise)
        target.append(noise - x)
        times.append(1000 * t)
        classes.append(10 if uniform64(s["seed"], DROP, at, 0) < s["label_drop"] else int(labels[index]))
        given.append(uniform64(s["seed"], SELF_CONDITION, at, 0) < s["self_conditioning"])
    tensor = lambda a: torch.from_numpy(np.stack(a)[:, None])
    return tensor(z), tensor(target), torch.tensor(times, dtype=torch.float64), torch.tensor(classes), torch.tensor(given)


def seen_by(model, s, z, times, classes, given):
    """What the network is shown: z, and with self-conditioning behind it x̂ = z − t y in the range of pixels, from a pass
    without gradient that is shown none; 0 for images that did not draw it."""
    if s["self_conditioning"] == 0:
        return z
    none = torch.zeros_like(z)
    with torch.no_grad():
        y = model(torch.cat([z, none], 1), times, class_labels=classes).sample
    x = (z - (times / 1000).view(-1, 1, 1, 1) * y).clamp(-1, 1)
    return torch.cat([z, torch.where(given.view(-1, 1, 1, 1), x, none)], 1)


def train(s, config, pixels, labels, dtype):
    """PyTorch's run: losses, gradient norms, the weights and their average at the end."""
    torch.set_default_dtype(dtype)
    plain = embeddings.get_timestep_embedding
    if dtype == torch.float64:
        embeddings.get_timestep_embedding = exact_timesteps
    model = UNet2DModel.from_config(config).to(dtype)
    initialise(model, s["seed"])
    parameters = dict(model.named_parameters())
    average = {name: p.detach().clone() for name, p in parameters.items()}
    if s.get("optimizer") == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), s["lr"], s["momentum"], 0, s["weight_decay"], s["nesterov"])
    else:
        optimizer = torch.optim.AdamW(model.parameters(), s["lr"], (s["beta1"], s["beta2"]), s["epsilon"], s["weight_decay"])
    losses, norms = [], []
    for seen in range(0, s["images"], s["batch"]):
        rate = s["lr"] * min(1, (seen + s["batch"]) / s["warmup"])
        left = (s["images"] - seen) / s["images"]
        optimizer.param_groups[0]["lr"] = rate * min(1, left / s["decay"])
        z, target, times, classes, given = batch(s, pixels, labels, seen)
        z, times = z.to(dtype), times.to(dtype)
        output = model(seen_by(model, s, z, times, classes, given), times, class_labels=classes).sample
        loss = torch.nn.functional.mse_loss(output, target.to(dtype))
        optimizer.zero_grad()
        loss.backward()
        norm = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in parameters.values()]))
        for p in parameters.values():
            p.grad *= min(1, s["clip"] / float(norm))
        optimizer.step()
        half_life = min(s["ema"], s["ema_warmup"] * (seen + s["batch"]))
        for name, p in parameters.items():
            average[name].lerp_(p.detach(), 1 - 2 ** (-s["batch"] / half_life))
        losses.append(loss.item())
        norms.append(norm.item())
    embeddings.get_timestep_embedding = plain
    return losses, norms, {name: p.detach().numpy() for name, p in parameters.items()}, {name: a.numpy() for name, a in average.items()}


def fluxion(data, work):
    """Fluxion's run: the network's configuration, losses, the weights and their average at the end."""
    flags = [f"--{key.replace('_', '-')}={str(value).lower()}" for key, value in SETTINGS.items()]
    every = [f"--checkpoint-every={SETTINGS['batch']}", f"--keep={STEPS}", "--sample-count=0"]
    subprocess.run(["go", "run", "./cmd/fluxion", "train", "--data", f"mnist:{data}", "--out", work, "--json", *flags, *every],
                   cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    step = lambda k: Path(work) / "checkpoints" / str(k * SETTINGS["batch"])
    means = [json.loads((step(k) / "training/state.json").read_text())["loss"] for k in range(1, STEPS + 1)]
    losses = [k * mean - (k - 1) * before for k, mean, before in zip(range(1, STEPS + 1), means, [0, *means])]
    tensors = lambda name: load_file(step(STEPS) / name / "diffusion_pytorch_model.safetensors")
    return json.loads((step(STEPS) / "unet/config.json").read_text()), losses, tensors("unet"), tensors("unet_ema")


def apart(a, b):
    """The distance of two sets of tensors, relative to the second's norm."""
    square = lambda d: sum(float(np.square(d(n), dtype=np.float64).sum()) for n in b)
    return math.sqrt(square(lambda n: a[n] - b[n]) / square(lambda n: b[n]))


def compare(data):
    pixels, labels = read_mnist(data)
    with tempfile.TemporaryDirectory() as work:
        config, ours, weights, average = fluxion(data, work)
    worst = {}
    curves = [ours]
    for dtype in torch.float32, torch.float64:
        losses, norms, w, a = train(SETTINGS, config, pixels, labels, dtype)
        curves.append(losses)
        worst[dtype] = max(abs(x - y) / y for x, y in zip(ours, losses))
        clipped = sum(n > SETTINGS["clip"] for n in norms)
        print(f"PyTorch {str(dtype)[6:]}: losses within {worst[dtype]:.1e}, weights within {apart(weights, w):.1e}, "
              f"averages within {apart(average, a):.1e}; {clipped} of {STEPS} steps clipped")
    print("step  Fluxion   PyTorch float32, float64")
    for k in range(0, STEPS, 7):
        print(f"{k + 1:4}  {curves[0][k]:.6f}  {curves[1][k]:.6f}  {curves[2][k]:.6f}")
    return config, worst[torch.float32]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path, metavar="MNIST_FOLDER")
    parser.add_argument("--self-conditioning", type=float, default=0, help="share of images that are given the network's own estimate")
    parser.add_argument("--optimizer", choices=["adamw", "sgd"], default="adamw")
    parser.add_argument("--fixture", type=Path, help="where to write the images and the curve for Fluxion's own test")
    options = parser.parse_args()
    torch.set_num_threads(2)
    SETTINGS["self_conditioning"] = options.self_conditioning
    if options.optimizer == "sgd":
        SETTINGS.update(SGD)

    config, worst = compare(options.mnist.resolve())
    if options.fixture:
        write_excerpt(options.fixture, *read_mnist(options.mnist))
        losses, norms, weights, average = train(SETTINGS, config, *read_mnist(options.fixture), torch.float64)
        size = lambda tensors: math.sqrt(sum(float(np.square(t).sum()) for t in tensors.values()))
        curve = dict(settings=SETTINGS, losses=losses, norms=norms, weights=size(weights), average=size(average))
        name = "curve.json" if options.optimizer == "adamw" else f"curve-{options.optimizer}.json"
        (options.fixture / name).write_text(json.dumps(curve, indent=1) + "\n")
    if not worst <= TOLERANCE:
        sys.exit(f"check_training: losses differ by {worst:.1e}, more than {TOLERANCE}")


if __name__ == "__main__":
    main()
