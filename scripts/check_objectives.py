"""Compares 20 steps of every objective with PyTorch: same weights, same points, same noise.

    "$(scripts/peers.sh)" scripts/check_objectives.py [OBJECTIVE…]

Fluxion trains a small perceptron on points, in float32 by plain gradient descent, so that weights tell gradients. Every
loss is derived anew here from its paper, with autograd; only the arrangement of random numbers is Fluxion's. The script
prints how far losses, and the way that the weights have gone, are from PyTorch's in float64, and how far PyTorch's own in
float32 are. It fails if ours are off by more than 1e-5, and by more than four times as much as those, which is rounding. Objectives with
derivatives in time take the same difference quotient; what exact ones would give is in the last column.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from scipy.optimize import brentq
from scipy.special import erfinv, ndtri
from torch.func import functional_call, jvp

from check_training import NOISE, ROOT, TIME, normal, order, uniform64

STEPS, BATCH, POINTS, SEED, RATE, SCALE = 20, 16, 1000, 7, 0.1, 16
EMA, EMA_WARMUP = 200, 0.1
SAMPLE_START = 3
TOLERANCE = 1e-5
NETWORK = {"_class_name": "FluxionMLP", "channels": 2, "sample_size": 1, "hidden_size": 32, "num_blocks": 2}
FIXED = [
    "--batch", BATCH, "--optimizer", "sgd", "--momentum", 0, "--warmup", 0, "--decay", 0, "--clip", 0, "--ema", EMA, "--ema-warmup", EMA_WARMUP,
    "--time-scale", SCALE, "--time-sampler", "logit-normal", "--precision", "fp32", "--sample-count", 0,
]
DIFFERENCE = 0.01  # of derivatives: rounding of float32 is 1e-7, and a quotient's that over twice the difference


class MLP(torch.nn.Module):
    """nets/mlp: residual blocks, to each of which an embedding of times is added."""

    def __init__(self, jump):
        super().__init__()
        width = NETWORK["hidden_size"]
        linear = torch.nn.Linear
        two = lambda: torch.nn.ModuleDict({"linear_1": linear(width, width), "linear_2": linear(width, width)})
        self.proj_in, self.proj_out = linear(2, width), linear(width, 2)
        self.time_embedding = two()
        if jump:
            self.jump_embedding = two()
        self.blocks = torch.nn.ModuleList()
        for _ in range(NETWORK["num_blocks"]):
            self.blocks.append(torch.nn.ModuleDict({"linear_1": linear(width, width), "time_emb_proj": linear(width, width), "linear_2": linear(width, width)}))

    @staticmethod
    def embed(of, t):
        width = NETWORK["hidden_size"]
        angle = SCALE * t[:, None] * torch.exp(-math.log(10000) * torch.arange(width // 2) / (width // 2))
        return of["linear_2"](torch.nn.functional.silu(of["linear_1"](torch.cat([angle.cos(), angle.sin()], 1))))

    def forward(self, z, t, jump=None):
        silu = torch.nn.functional.silu
        e = self.embed(self.time_embedding, t)
        if jump is not None:
            e = e + self.embed(self.jump_embedding, jump)
        e, h = silu(e), self.proj_in(z)
        for b in self.blocks:
            h = h + b["linear_2"](silu(b["linear_1"](silu(h)) + b["time_emb_proj"](e)))
        return self.proj_out(silu(h))


def network(weights):
    weights = {k: tensor(v) for k, v in weights.items()}
    m = MLP(any(k.startswith("jump") for k in weights))
    m.load_state_dict(weights)
    return m


# --- what the losses have in common


class Run:
    """The trained network, its average, a teacher, and the images of a step."""

    def __init__(self, student, teacher, images, noise_of, length, p, taught, exact):
        self.student, self.teacher, self.images, self.noise_of, self.length, self.p, self.taught = student, teacher, images, noise_of, length, p, taught
        self.average = {k: v.detach().clone() for k, v in student.named_parameters()}
        self.exact = exact

    def step(self, first):
        self.at = range(first, first + BATCH)
        where = [(order(SEED, at // len(self.images), len(self.images), at % len(self.images)), at) for at in self.at]
        self.x = tensor(np.stack([self.images[i] for i, _ in where]))
        self.noise = tensor(np.stack([self.noise_of(i, at) for i, at in where]))

    def draw(self, number):
        return np.array([uniform64(SEED, TIME, at, number) for at in self.at])

    def logit_normal(self, number):
        return 1 / (1 + np.exp(-ndtri(self.draw(number))))

    def z(self, t):
        return mix(1 - t, self.x, t, self.noise)

    def old(self, z, t, jump):
        """The average's answer, without gradient."""
        return functional_call(self.student, self.average, (z, t, jump)).detach()


def col(t):
    return torch.as_tensor(t)[:, None]


def mix(a, x, b, y):
    return col(a) * x + col(b) * y


def tensor(t):
    return torch.as_tensor(np.asarray(t, dtype=np.float64)).to(torch.get_default_dtype())


def mean_squares(y, target, weight=None):
    errors = ((y - target) ** 2).mean(1)
    return (errors if weight is None else errors * weight).mean()


# --- the objectives; linear path z = (1−t)x + tε, network u


def denoising(r):
    t = tensor(r.logit_normal(0))
    return mean_squares(r.student(r.z(t), t), r.noise - r.x)


def reflow(r):
    """Liu et al. (2022), with the times of Lee et al. (2024): density ∝ e^(at) + e^(a(1−t)), equally spaced in a step."""
    a, first = 4.0, r.draw(0)[0]
    u = [(first + i / BATCH) % 1 for i in range(BATCH)]
    below = lambda t: (math.exp(a * t) - math.exp(a * (1 - t)) + math.exp(a) - 1) / (2 * (math.exp(a) - 1))
    t = tensor([brentq(lambda t: below(t) - v, 0, 1, xtol=1e-15, rtol=1e-15) for v in u])
    return mean_squares(r.student(r.z(t), t), r.noise - r.x)


def kd(r):
    """Luhman and Luhman (2021); for k steps, the times where they begin."""
    k = r.p["steps"]
    t = tensor(np.floor(1 + k * r.draw(0)) / k)
    return mean_squares(r.student(r.z(t), t), r.noise - r.x)


def progressive(r):
    """Salimans and Ho (2022): the x that leads in one DDIM step where two of the teacher's lead, with weight max(SNR, 1)."""
    n = r.p["from"] // 2
    k = np.floor(1 + n * r.draw(0))
    t, m, s = (tensor(v) for v in (k / n, (k - 0.5) / n, (k - 1) / n))
    z = r.z(t)
    ddim = lambda z, t, s: mix(1 - s, z - col(t) * r.teacher(z, t), s, z + col(1 - t) * r.teacher(z, t))
    end = ddim(ddim(z, t, m), m, s)
    ratio = s / t
    x = (end - col(ratio) * z) / col(1 - s - ratio * (1 - t))
    predicted = z - col(t) * r.student(z, t)
    snr = (1 - t) ** 2 / t**2
    return mean_squares(predicted, x.detach(), torch.clamp(snr, min=1))


def consistency(r):
    """Song et al. (2023), with the steps of Geng et al. (2024): target f(z_r, r), of data or where the teacher leads. The
    error of u is weighted by 1/(1 − σ_r/σ_t)."""
    sigma = np.minimum(80, np.exp(-1.1 + 2 * math.sqrt(2) * erfinv(2 * r.draw(0) - 1)))
    sigma = np.where(r.draw(1) < 0.1, 80, sigma)
    stage = np.floor(np.minimum(8 * np.array(r.at) / r.length, 7))
    near = np.maximum(0, sigma * (1 - 2 ** -(stage + 1) * (1 + 8 / (1 + np.exp(sigma)))))
    t, s = tensor(np.where(sigma == 80, 1, sigma / (1 + sigma))), tensor(near / (1 + near))
    z = r.z(t)
    if r.taught:
        z_s = z - col(t - s) * r.teacher(z, t)
    else:
        z_s = r.z(s)
    clean = (z_s - col(s) * r.student(z_s, s)).detach()
    return mean_squares(r.student(z, t), (z - clean) / col(t), tensor(1 / (1 - near / sigma)))


def two_times(r, same):
    t, other = r.logit_normal(0), r.logit_normal(2)
    alike, begins, ends = r.draw(1) < same, r.draw(3) < 0.1, r.draw(4) < 0.1
    low = np.where(alike, t, np.where(ends, 0, np.minimum(t, other)))
    t = np.where(alike, t, np.maximum(t, other))
    t = np.where(begins, 1, t)
    return tensor(t), tensor(np.where(begins & alike, 1, low))


def velocity(r, z, t):
    return r.teacher(z, t.clamp(min=1e-3)) if r.taught else r.noise - r.x


def flowmap(r):
    """Geng et al. (2025); with a teacher Sabour et al. (2025): u = v − (t−r) du/dt along (v, 1)."""
    t, s = two_times(r, 0.5)
    z = r.z(t)
    v = velocity(r, z, t)
    along = r.student(z, t, t * 0).detach() if r.p.get("predicted") else v
    with torch.no_grad():
        if r.exact:
            _, rate = jvp(lambda z, t: r.student(z, t, t - s), (z, t), (along, torch.ones_like(t)))
        else:
            up, down = torch.clamp(1 - t, max=DIFFERENCE), torch.clamp(t - s, max=DIFFERENCE)
            ahead = r.student(z + col(up) * along, t + up, t + up - s)
            behind = r.student(z - col(down) * along, t - down, t - down - s)
            rate = (ahead - behind) / col(torch.clamp(up + down, min=1e-12))
    u, target = r.student(z, t, t - s), (v - col(t - s) * rate).detach()
    weight = None
    if r.p.get("p"):
        weight = (((u - target) ** 2).mean(1) + 1e-3).detach() ** -r.p["p"]
    return mean_squares(u, target, weight)


def shortcut(r):
    """Frans et al. (2024): two halves in one, of jumps 1, 1/2, … at multiples of themselves, by the network or its average."""
    lead = r.old if r.p.get("target") == "ema" else r.student
    alike = r.draw(1) < 0.5
    t, _ = two_times(r, 0.5)
    level = np.minimum(np.floor(7 * r.draw(5)), 6)
    d = 2.0**-level
    grid = d * np.ceil(r.draw(6) / d)
    # Times of both may be equal by chance in two_times, as both at the end of noise: those are velocities, too.
    low = two_times(r, 0.5)[1]
    alike |= np.asarray(t == low)
    t, d = tensor(np.where(alike, t, grid)), tensor(np.where(alike, 0, d))
    told = tensor(np.where(level == 6, 0, d / 2))
    z = r.z(t)
    with torch.no_grad():
        one = lead(z, t, told)
        two = lead(z - col(d / 2) * one, t - d / 2, told)
    target = torch.where(col(d == 0), velocity(r, z, t), (one + two) / 2)
    return mean_squares(r.student(z, t, d), target.detach())


def lagrangian(r):
    """Boffi et al. (2025): u = v(z_r, r) + (t−r) ∂u/∂r, where the derivative is of the target, or learns, too."""
    t, s = two_times(r, 0.5)
    z = r.z(t)
    with torch.set_grad_enabled(bool(r.p.get("through", 1))):
        if r.exact:
            _, rate = jvp(lambda s: r.student(z, t, t - s), (s,), (torch.ones_like(s),))
        else:
            more, less = torch.clamp(s, max=DIFFERENCE), torch.clamp(t - s, max=DIFFERENCE)
            rate = -(r.student(z, t, t - s + more) - r.student(z, t, t - s - less)) / col(torch.clamp(more + less, min=1e-12))
    u = r.student(z, t, t - s)
    with torch.no_grad():
        end = z - col(t - s) * u
        there = r.teacher(end, s.clamp(min=1e-3)) if r.taught else r.student(end, s, s * 0)
        target = torch.where(col(t == s), velocity(r, z, t), there)
    return mean_squares(u - col(t - s) * rate, target)


warnings.simplefilter("ignore", FutureWarning)  # of torch.func, on its own ways
D = {"difference": DIFFERENCE}
OBJECTIVES = {  # loss, parameters, with a teacher, a flow map
    "denoising": (denoising, {}, False),
    "reflow": (reflow, {}, False),
    "kd": (kd, {"steps": 1}, False),
    "kd for 4 steps": (kd, {"steps": 4}, False),
    "progressive": (progressive, {"from": 8, "to": 4}, True),
    "consistency": (consistency, {}, False),
    "consistency of a teacher": (consistency, {}, True),
    "flowmap": (flowmap, D, False),
    "flowmap, predicted": (flowmap, D | {"predicted": 1}, False),
    "flowmap, p = 1": (flowmap, D | {"p": 1}, False),
    "flowmap of a teacher": (flowmap, D, True),
    "shortcut": (shortcut, {}, False),
    "shortcut by the average": (shortcut, {"target": "ema"}, False),
    "shortcut of a teacher": (shortcut, {}, True),
    "lagrangian": (lagrangian, D, False),
    "lagrangian, not through": (lagrangian, D | {"through": 0}, False),
    "lagrangian of a teacher": (lagrangian, D, True),
}
MAPS = {flowmap, shortcut, lagrangian}


# --- the runs


class Work:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.program = self.folder / "fluxion"
        subprocess.run(["go", "build", "-o", self.program, "./cmd/fluxion"], cwd=ROOT, check=True)
        (self.folder / "network").mkdir()
        (self.folder / "network/config.json").write_text(json.dumps(NETWORK))
        rng = np.random.default_rng(1)
        self.points = (rng.normal(size=(POINTS, 2)) * [0.5, 0.2] + rng.choice([-1, 1], (POINTS, 1))).astype(np.float32)
        np.save(self.folder / "points.npy", self.points.reshape(POINTS, 1, 1, 2))
        for name, seed, objective in ("begin", 1, "denoising"), ("teacher", 2, "denoising"), ("map", 3, "flowmap"):
            self.call("train", "--out", name, "--data", "points.npy", "--preset", "network", "--seed", seed, "--objective", objective, "--images", 8192, "--checkpoint-every", 0,
                      *FIXED[:2], "--lr", 3e-3, "--warmup", 0, "--time-scale", SCALE, "--precision", "fp32", "--sample-count", 0)
        self.call("pairs", "--model", "teacher", "--out", "pairs", "--count", 512, "--sampler", "heun", "--steps", 8, "--seed", 5)
        pairs = np.load(self.folder / "pairs/pairs-00000.npz")
        self.made, self.addresses = pairs["images"].reshape(-1, 2), pairs["noise"]

    def call(self, *args):
        done = subprocess.run([self.program, *map(str, args)], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"check_objectives: {' '.join(map(str, args))}: {done.stderr}")

    def weights(self, run, images, name="unet"):
        return load_file(self.folder / run / "checkpoints" / str(images) / name / "diffusion_pytorch_model.safetensors")

    def compare(self, name):
        loss, p, taught = OBJECTIVES[name]
        begin, out = "map" if loss in MAPS else "begin", name.replace(" ", "-").replace(",", "")
        paired = loss in (reflow, kd)
        rate = RATE / 20 if p.get("p") else RATE  # weights near 1/error make long steps
        numbers = ",".join(f"{k}={v}" for k, v in p.items() if k != "target")
        text = loss.__name__ + (":" + numbers if numbers else "")
        if loss is progressive:
            begin = "teacher"
        self.call("train", "--out", out, "--data", "pairs:pairs" if paired else "points.npy", "--init", begin, "--objective", text, *(["--teacher", "teacher"] if taught else []), *(["--target", p["target"]] if "target" in p else []),
                  "--seed", SEED, "--images", STEPS * BATCH, "--lr", rate, "--checkpoint-every", BATCH, "--keep", STEPS, *FIXED)
        first, length = self.weights(begin, 8192, "unet_ema"), STEPS * BATCH
        means = [json.loads((self.folder / out / "checkpoints" / str(k * BATCH) / "training/state.json").read_text())["loss"] for k in range(1, STEPS + 1)]
        ours = [k * mean - (k - 1) * before for k, mean, before in zip(range(1, STEPS + 1), means, [0, *means])]
        if paired:
            images, noise = self.made, lambda i, at: normal(5, SAMPLE_START, int(self.addresses[i]), 0, 2)
        else:
            images, noise = self.points, lambda i, at: normal(SEED, NOISE, at, 0, 2)

        def theirs(dtype, exact=False):
            torch.set_default_dtype(dtype)
            teacher = network(self.weights("teacher", 8192, "unet_ema"))
            return self.follow(Run(network(first), teacher, images, noise, length, p, taught, exact), loss, rate)

        truth = theirs(torch.float64)
        moved = lambda w: np.concatenate([(np.asarray(w[k], np.float64) - first[k]).ravel() for k in sorted(first)])

        def off(losses, weights):
            way = moved(truth[1])
            return max(abs(a - b) / b for a, b in zip(losses, truth[0])), np.linalg.norm(moved(weights) - way) / np.linalg.norm(way)

        own, single = off(ours, self.weights(out, length)), off(*theirs(torch.float32))
        exact = f"{off(*theirs(torch.float64, True))[0]:.1e}" if "difference" in p else ""
        print(f"| {name} | {ours[0]:.6f} | {ours[-1]:.6f} | {own[0]:.1e}, {single[0]:.1e} | {own[1]:.1e}, {single[1]:.1e} | {exact} |", flush=True)
        return all(x <= max(TOLERANCE, 4 * y) for x, y in zip(own, single))

    @staticmethod
    def follow(r, loss, rate):
        losses = []
        for seen in range(0, STEPS * BATCH, BATCH):
            r.step(seen)
            value = loss(r)
            r.student.zero_grad()
            value.backward()
            half_life = min(EMA, EMA_WARMUP * (seen + BATCH))
            with torch.no_grad():
                for k, w in r.student.named_parameters():
                    if w.grad is not None:
                        w -= rate * w.grad
                    r.average[k].lerp_(w.detach(), 1 - 2 ** (-BATCH / half_life))
            losses.append(value.item())
        return losses, {k: w.detach().numpy() for k, w in r.student.named_parameters()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objectives", nargs="*", help="all if none is named: " + ", ".join(OBJECTIVES))
    names = parser.parse_args().objectives or list(OBJECTIVES)
    torch.set_num_threads(1)
    print("| objective | loss of step 1 | of step 20 | losses off by, PyTorch in float32 by | weights' way off by, PyTorch in float32 by | exact derivatives move losses by |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        work = Work(folder)
        wrong = [name for name in names if not work.compare(name)]
    if wrong:
        sys.exit(f"check_objectives: off by more than {TOLERANCE}, and than four times PyTorch in float32: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
