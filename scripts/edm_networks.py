"""Checks networks of EDM, ADM and EDM2 against definitions of their own, and makes nets/edm/testdata and nets/edm2/testdata.

    go build -o /tmp/fluxion ./cmd/fluxion
    "$(scripts/peers.sh)" scripts/edm_networks.py /tmp/fluxion

The networks below are written from the papers (Song et al. 2021, appendix H; Karras et al. 2022, appendix F.4 and table 1;
Dhariwal and Nichol 2021, section 3; Karras et al. 2024, sections 2 and B), with the names that EDM's files have. For each of them, with weights drawn here:
`fluxion convert` reads the folder and writes it as one of Fluxion's; `fluxion sample` takes one Euler step from given noise,
which is c_skip z + c_out F(c_in z, ln(σ)/4), and that is compared. Exits with 1 where it differs by more than 1e-4 of the range.
The small ones become nets/edm/testdata, for Go's tests. About a minute.
"""

import argparse
import json
import math
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

NETWORKS = {
    "ddpmpp": dict(model_type="SongUNet", img_resolution=16, img_channels=3, label_dim=3, augment_dim=9, model_channels=8, channel_mult=[1, 2], num_blocks=1,
                   attn_resolutions=[8], dropout=0.13),
    "ncsnpp": dict(model_type="SongUNet", img_resolution=16, img_channels=3, label_dim=0, model_channels=8, channel_mult=[2, 1], num_blocks=1,
                   attn_resolutions=[16], embedding_type="fourier", channel_mult_noise=2, encoder_type="residual", resample_filter=[1, 3, 3, 1]),
    "edm2": dict(model_type="EDM2", img_resolution=16, img_channels=3, label_dim=3, model_channels=8, channel_mult=[1, 2], num_blocks=1,
                 attn_resolutions=[8], channels_per_head=8, dropout=0.1),
    "edm2-wide": dict(model_type="EDM2", img_resolution=16, img_channels=4, label_dim=0, model_channels=64, channel_mult=[1, 2, 3], num_blocks=2,
                      attn_resolutions=[16, 4], channel_mult_noise=1, channel_mult_emb=2, clip_act=2),
    "adm": dict(model_type="DhariwalUNet", img_resolution=16, img_channels=3, label_dim=4, model_channels=128, channel_mult=[1, 2], num_blocks=1,
                attn_resolutions=[8]),
}
SMALL = ("ddpmpp", "ncsnpp", "edm2")


class Network:
    """One network: weights drawn by name and shape as they are first used."""

    def __init__(self, kwargs, seed):
        self.k, self.w, self.g = kwargs, {}, torch.Generator().manual_seed(seed)
        self.song = kwargs["model_type"] == "SongUNet"
        self.taps = torch.tensor(kwargs.get("resample_filter", [1, 1]), dtype=torch.float64)
        self.taps = self.taps / self.taps.sum()
        self.scale = math.sqrt(0.5) if self.song else 1.0
        self.eps = 1e-6 if self.song else 1e-5

    def p(self, name, *shape, center=0.0, spread=None):
        if name not in self.w:
            spread = spread or 1 / math.sqrt(max(1, math.prod(shape[1:])))
            self.w[name] = (center + spread * torch.randn(shape, generator=self.g, dtype=torch.float64)).float().double()
        return self.w[name]

    def linear(self, name, x, out, bias=True):
        y = x @ self.p(name + ".weight", out, x.shape[1]).T
        return y + self.p(name + ".bias", out, spread=0.3) if bias else y

    def conv(self, name, x, out, side=3, pad=None):
        w = self.p(name + ".weight", out, x.shape[1], side, side)
        return F.conv2d(x, w, self.p(name + ".bias", out, spread=0.3), padding=side // 2 if pad is None else pad)

    def norm(self, name, x):
        c = x.shape[1]
        return F.group_norm(x, min(32, c // 4), self.p(name + ".weight", c, center=1, spread=0.3), self.p(name + ".bias", c, spread=0.3), self.eps)

    def down(self, x, pad=None):
        n, c = len(self.taps), x.shape[1]
        f = torch.outer(self.taps, self.taps).expand(c, 1, n, n)
        return F.conv2d(x, f, stride=2, padding=(n - 1) // 2 if pad is None else pad, groups=c)

    def up(self, x):
        n, c = len(self.taps), x.shape[1]
        f = 4 * torch.outer(self.taps, self.taps).expand(c, 1, n, n)
        return F.conv_transpose2d(x, f, stride=2, padding=(n - 1) // 2, groups=c)

    def block(self, name, x, e, out, resize=None, attention=False):
        h = F.silu(self.norm(name + ".norm0", x))
        shortcut = x.shape[1] != out or self.song and resize is not None
        if resize:
            h, x = resize(h), resize(x)
            self.w[name + ".conv0.resample_filter"] = torch.outer(self.taps, self.taps)[None, None]  # a buffer of EDM's
        h = self.conv(name + ".conv0", h, out)
        t = self.linear(name + ".affine", e, out if self.song else 2 * out)[:, :, None, None]
        if self.song:
            h = F.silu(self.norm(name + ".norm1", h + t))
        else:
            scale, shift = t.chunk(2, 1)
            h = F.silu(self.norm(name + ".norm1", h) * (1 + scale) + shift)
        h = self.conv(name + ".conv1", h, out)
        x = self.scale * ((self.conv(name + ".skip", x, out, 1) if shortcut else x) + h)
        if not attention:
            return x
        heads = 1 if self.song else out // 64
        b, c, height, width = x.shape
        qkv = self.conv(name + ".qkv", self.norm(name + ".norm2", x), 3 * c, 1).reshape(b, heads, c // heads, 3, height * width)
        q, k, v = qkv.unbind(3)
        weights = torch.softmax(q.transpose(2, 3) @ k / math.sqrt(c // heads), -1)
        a = (v @ weights.transpose(2, 3)).reshape(b, c, height, width)
        return self.scale * (self.conv(name + ".proj", a, c, 1) + x)

    def embedding(self, t, labels):
        width = self.k["model_channels"] * self.k.get("channel_mult_noise", 1)
        inner, half = 4 * self.k["model_channels"], width // 2
        if self.k.get("embedding_type") == "fourier":
            angle = t[:, None] * 2 * math.pi * self.p("map_noise.freqs", half, spread=16)
        else:
            angle = t[:, None] * 10000 ** (-torch.arange(half, dtype=torch.float64) / (half - 1 if self.song else half))
        parts = [angle.sin(), angle.cos()] if self.song else [angle.cos(), angle.sin()]
        e = torch.cat(parts, 1)
        classes = self.k["label_dim"]
        if self.song:
            if classes:
                e = e + self.linear("map_label", labels * math.sqrt(classes), width)
            if self.k.get("augment_dim"):
                self.p("map_augment.weight", width, self.k["augment_dim"])
            return F.silu(self.linear("map_layer1", F.silu(self.linear("map_layer0", e, inner)), inner))
        e = self.linear("map_layer1", F.silu(self.linear("map_layer0", e, inner)), inner)
        if classes:
            e = e + self.linear("map_label", labels, inner, bias=False)
        return F.silu(e)

    def __call__(self, x, t, labels):
        e = self.embedding(t, labels)
        widths = [m * self.k["model_channels"] for m in self.k["channel_mult"]]
        at = [f"{self.k['img_resolution'] >> i}x{self.k['img_resolution'] >> i}" for i in range(len(widths))]
        attends = [self.k["img_resolution"] >> i in self.k["attn_resolutions"] for i in range(len(widths))]
        along = x
        x = self.conv(f"enc.{at[0]}_conv", x, self.k["model_channels"] if self.song else widths[0])
        skips = [x]
        for i, out in enumerate(widths):
            if i:
                x = self.block(f"enc.{at[i]}_down", x, e, x.shape[1], self.down)
                if self.k.get("encoder_type") == "residual":
                    n = (len(self.taps) - 1) // 2
                    along = (x + self.down(self.conv(f"enc.{at[i]}_aux_residual", along, x.shape[1], pad=1 + n), pad=0)) / math.sqrt(2)
                    x = along
                skips.append(x)
            for j in range(self.k["num_blocks"]):
                x = self.block(f"enc.{at[i]}_block{j}", x, e, out, attention=attends[i])
                skips.append(x)
        for i, out in reversed(list(enumerate(widths))):
            if i == len(widths) - 1:
                x = self.block(f"dec.{at[i]}_in0", x, e, x.shape[1], attention=True)
                x = self.block(f"dec.{at[i]}_in1", x, e, x.shape[1])
            else:
                x = self.block(f"dec.{at[i]}_up", x, e, x.shape[1], self.up)
            for j in range(self.k["num_blocks"] + 1):
                last = j == self.k["num_blocks"] or not self.song
                x = self.block(f"dec.{at[i]}_block{j}", torch.cat([x, skips.pop()], 1), e, out, attention=attends[i] and last)
        names = (f"dec.{at[0]}_aux_norm", f"dec.{at[0]}_aux_conv") if self.song else ("out_norm", "out_conv")
        return self.conv(names[1], F.silu(self.norm(names[0], x)), self.k["img_channels"])


def unit(x, axes):
    """x at a root mean square of 1 over axes."""
    return x / (1e-4 + x.square().mean(axes, keepdim=True).sqrt())


def balanced(a, b, t):
    return ((1 - t) * a + t * b) / math.hypot(1 - t, t)


class Preserving(Network):
    """EDM2's network: configuration G."""

    def weight(self, name, *shape):
        w = self.p(name + ".weight", *shape, spread=3.0)
        return unit(w, tuple(range(1, len(shape)))) / math.sqrt(math.prod(shape[1:]))

    def gain(self, name):
        return self.p(name, center=0.5, spread=0.3)

    def linear(self, name, x, out):
        return x @ self.weight(name, out, x.shape[1]).T

    def conv(self, name, x, out, side=3):
        return F.conv2d(x, self.weight(name, out, x.shape[1], side, side), padding=side // 2)

    def silu(self, x):
        return F.silu(x) / 0.596

    def embedding(self, t, labels):
        k = self.k
        width = k["model_channels"] * k.get("channel_mult_noise", k["channel_mult"][0])
        out = k["model_channels"] * k.get("channel_mult_emb", max(k["channel_mult"]))
        f, phases = self.p("emb_fourier.freqs", width, spread=2 * math.pi), self.p("emb_fourier.phases", width, center=math.pi, spread=1.8)
        e = self.linear("emb_noise", math.sqrt(2) * torch.cos(t[:, None] * f + phases), out)
        if k["label_dim"]:
            e = balanced(e, self.linear("emb_label", labels * math.sqrt(k["label_dim"]), out), 0.5)
        return self.silu(e)

    def block(self, name, x, e, out, way, resize=None, attention=False):
        if resize:
            x = resize(x)
        if way == "enc":
            if x.shape[1] != out:
                x = self.conv(name + ".conv_skip", x, out, 1)
            x = unit(x, 1)
        y = self.conv(name + ".conv_res0", self.silu(x), out)
        scales = 1 + self.gain(name + ".emb_gain") * self.linear(name + ".emb_linear", e, out)
        y = self.conv(name + ".conv_res1", self.silu(y * scales[:, :, None, None]), out)
        if way == "dec" and x.shape[1] != out:
            x = self.conv(name + ".conv_skip", x, out, 1)
        x = balanced(x, y, 0.3)
        heads = out // self.k.get("channels_per_head", 64)
        if attention and heads:
            b, c, height, width = x.shape
            q, k, v = unit(self.conv(name + ".attn_qkv", x, 3 * c, 1).reshape(b, heads, c // heads, 3, height * width), 2).unbind(3)
            weights = torch.softmax(q.transpose(2, 3) @ k / math.sqrt(c // heads), -1)
            x = balanced(x, self.conv(name + ".attn_proj", (v @ weights.transpose(2, 3)).reshape(b, c, height, width), c, 1), 0.3)
        clip = self.k.get("clip_act", 256)
        return x.clamp(-clip, clip)

    def join(self, x, y):
        m, n = x.shape[1], y.shape[1]
        return torch.cat([x * math.sqrt((m + n) / 2 / m), y * math.sqrt((m + n) / 2 / n)], 1)

    def __call__(self, x, t, labels):
        e = self.embedding(t, labels)
        k, levels = self.k, list(enumerate(m * self.k["model_channels"] for m in self.k["channel_mult"]))
        at = [f"{k['img_resolution'] >> i}x{k['img_resolution'] >> i}" for i, _ in levels]
        attends = [k["img_resolution"] >> i in k["attn_resolutions"] for i, _ in levels]
        x = self.conv(f"enc.{at[0]}_conv", torch.cat([x, torch.ones_like(x[:, :1])], 1), levels[0][1])
        skips = [x]
        for i, out in levels:
            if i:
                x = self.block(f"enc.{at[i]}_down", x, e, x.shape[1], "enc", lambda x: F.avg_pool2d(x, 2))
                skips.append(x)
            for j in range(k["num_blocks"]):
                x = self.block(f"enc.{at[i]}_block{j}", x, e, out, "enc", attention=attends[i])
                skips.append(x)
        for i, out in reversed(levels):
            if i == len(levels) - 1:
                x = self.block(f"dec.{at[i]}_in0", x, e, x.shape[1], "dec", attention=True)
                x = self.block(f"dec.{at[i]}_in1", x, e, x.shape[1], "dec")
            else:
                x = self.block(f"dec.{at[i]}_up", x, e, x.shape[1], "dec", lambda x: F.interpolate(x, scale_factor=2, mode="nearest"))
            for j in range(k["num_blocks"] + 1):
                x = self.block(f"dec.{at[i]}_block{j}", self.join(x, skips.pop()), e, out, "dec", attention=attends[i])
        self.p("logvar_linear.weight", 1, 128)  # what training learns of the loss
        return self.gain("out_gain") * self.conv("out_conv", x, k["img_channels"])


def save(folder, network):
    """The folder that EDM's own Python exports: see nets/edm and nets/edm2."""
    second = isinstance(network, Preserving)
    kwargs = {key: value for key, value in network.k.items() if not second or key != "model_type"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"_class_name": "EDM2Precond" if second else "EDMPrecond", **kwargs}, indent=2, sort_keys=True) + "\n")
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "EDMEulerScheduler"}\n')
    prefix = "unet." if second else "model."
    tensors = {name if name.startswith("logvar_") else prefix + name: w.float().contiguous() for name, w in network.w.items()}
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


def fluxion(program, *arguments):
    run = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"edm_networks: fluxion {' '.join(map(str, arguments))}: {run.stderr.strip()}")


@torch.no_grad()
def compare(program, folder, name, kwargs):
    second = kwargs["model_type"] == "EDM2"
    network = (Preserving if second else Network)(kwargs, len(name))
    x = torch.randn(2, kwargs["img_channels"], kwargs["img_resolution"], kwargs["img_resolution"], generator=network.g, dtype=torch.float64).float().double()
    t = torch.tensor([-0.75, 1.0625], dtype=torch.float64)
    classes = kwargs["label_dim"]
    labels = torch.eye(classes + 1, dtype=torch.float64)[[1, classes]][:, :classes] if classes else None  # the second is told none
    output = network(x, t, labels)
    save(folder / name, network)
    if name in SMALL:
        io = dict(sample=x.float(), timestep=t.float(), output=output.contiguous())
        if classes:
            io["class_labels"] = torch.tensor([1, classes])
        save_file(io, folder / name / "io.safetensors")
        target = Path(__file__).parent.parent / "nets" / ("edm2" if second else "edm") / "testdata" / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder / name, target)
    worst = 0.0
    fluxion(program, "convert", folder / name, folder / (name + "-converted"))
    for of in (name, name + "-converted"):
        noise = torch.randn(2, *x.shape[1:], generator=network.g).double()
        np.save(folder / "noise.npy", noise.permute(0, 2, 3, 1).float().numpy())
        told = ("--class", 1) if classes else ()
        out = folder / "out.npz"
        fluxion(program, "sample", "--model", folder / of, "--out", out, "--overwrite", "--count", 2, "--steps", 1, "--scheduler", "model",
                "--precision", "fp32", "--noise", folder / "noise.npy", *told)
        sigma = 80.0
        z, c = math.hypot(sigma, 1) * noise, math.hypot(sigma, 0.5)
        row = torch.eye(classes, dtype=torch.float64)[[1, 1]] if classes else None
        clean = 0.25 / c**2 * z + sigma * 0.5 / c * network(z / c, torch.full((2,), math.log(sigma) / 4, dtype=torch.float64), row)
        got = torch.from_numpy(np.load(out)["images"]).double().permute(0, 3, 1, 2)
        worst = max(worst, ((got - clean).abs().max() / 2).item())
    weights = sum(w.numel() for w in network.w.values())
    print(f"{name:8} {weights:9} weights: one step is off by {worst:.1e} of the range", flush=True)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fluxion", type=Path)
    program = parser.parse_args().fluxion.resolve()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        worst = max(compare(program, Path(folder), name, kwargs) for name, kwargs in NETWORKS.items())
    if not worst <= 1e-4:
        raise SystemExit(f"edm_networks: {worst:.1e} is above 1e-4")


if __name__ == "__main__":
    main()
