"""Makes nets/edm/testdata/guided.json: UNets of guided-diffusion by a definition of their own.

    "$(scripts/peers.sh)" scripts/guided_networks.py

The modules below are written from the paper (Dhariwal and Nichol 2021, section 3 and appendix), with the names that the files of
guided-diffusion have. Weights, images and times follow from formulas, which Go's test knows, too: the file has names, shapes and outputs.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

NETWORKS = {
    "new order": dict(image_size=16, num_channels=32, num_res_blocks=1, channel_mult=[1, 2], attention_resolutions=[8], num_classes=3, num_head_channels=16,
                      learn_sigma=True, use_scale_shift_norm=True, resblock_updown=True, use_new_attention_order=True),
    "halves, and heads by number": dict(image_size=16, num_channels=64, num_res_blocks=1, channel_mult=[0.5, 1, 1.5], attention_resolutions=[8, 4], num_classes=0, num_heads=2,
                                        num_head_channels=-1, learn_sigma=True, use_scale_shift_norm=True, resblock_updown=True, use_new_attention_order=False),
    "old order": dict(image_size=16, num_channels=32, num_res_blocks=2, channel_mult=[1, 1], attention_resolutions=[16], num_classes=0, num_head_channels=16,
                      learn_sigma=False, use_scale_shift_norm=False, resblock_updown=False, use_new_attention_order=False),
}


class Resampled(nn.Module):
    def __init__(self, channels, down):
        super().__init__()
        self.down = down
        if down:
            self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        else:
            self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x, e):
        return self.op(x) if self.down else self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Residual(nn.Module):
    def __init__(self, k, channels, out, resize=None):
        super().__init__()
        self.scale_shift, self.resize = k["use_scale_shift_norm"], resize or (lambda x: x)
        self.in_layers = nn.Sequential(nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(4 * k["num_channels"], out * (2 if self.scale_shift else 1)))
        self.out_layers = nn.Sequential(nn.GroupNorm(32, out), nn.SiLU(), nn.Dropout(0), nn.Conv2d(out, out, 3, padding=1))
        self.skip_connection = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)

    def forward(self, x, e):
        h = self.in_layers[2](self.resize(self.in_layers[1](self.in_layers[0](x))))
        e = self.emb_layers(e)[:, :, None, None]
        if self.scale_shift:
            scale, shift = e.chunk(2, 1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + shift)
        else:
            h = self.out_layers(h + e)
        return self.skip_connection(self.resize(x)) + h


class Attention(nn.Module):
    def __init__(self, k, channels):
        super().__init__()
        self.heads, self.new = k["num_heads"] if k["num_head_channels"] == -1 else channels // k["num_head_channels"], k["use_new_attention_order"]
        self.norm, self.qkv, self.proj_out = nn.GroupNorm(32, channels), nn.Conv1d(channels, 3 * channels, 1), nn.Conv1d(channels, channels, 1)

    def forward(self, x, e):
        b, c, height, width = x.shape
        qkv = self.qkv(self.norm(x.reshape(b, c, -1)))
        if self.new:
            q, k, v = qkv.reshape(b, 3, self.heads, c // self.heads, -1).unbind(1)
        else:
            q, k, v = qkv.reshape(b, self.heads, 3, c // self.heads, -1).unbind(2)
        weights = torch.softmax(q.transpose(2, 3) @ k / math.sqrt(c // self.heads), -1)
        return x + self.proj_out((v @ weights.transpose(2, 3)).reshape(b, c, -1)).reshape(x.shape)


class Network(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.k, width = k, k["num_channels"]
        self.time_embed = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))
        if k["num_classes"]:
            self.label_emb = nn.Embedding(k["num_classes"], 4 * width)
        levels = [(k["image_size"] >> i, int(m * width)) for i, m in enumerate(k["channel_mult"])]
        c = levels[0][1]
        block = lambda layers: nn.ModuleList(layers)
        self.input_blocks, beside = nn.ModuleList([block([nn.Conv2d(3, c, 3, padding=1)])]), [c]
        for i, (size, out) in enumerate(levels):
            for _ in range(k["num_res_blocks"]):
                self.input_blocks.append(block([Residual(k, c, out)] + [Attention(k, out)] * (size in k["attention_resolutions"])))
                c = out
                beside.append(c)
            if i < len(levels) - 1:
                halve = lambda x: F.avg_pool2d(x, 2)
                self.input_blocks.append(block([Residual(k, c, c, halve) if k["resblock_updown"] else Resampled(c, True)]))
                beside.append(c)
        self.middle_block = block([Residual(k, c, c), Attention(k, c), Residual(k, c, c)])
        self.output_blocks = nn.ModuleList()
        for i, (size, out) in reversed(list(enumerate(levels))):
            for j in range(k["num_res_blocks"] + 1):
                layers = [Residual(k, c + beside.pop(), out)] + [Attention(k, out)] * (size in k["attention_resolutions"])
                c = out
                if i and j == k["num_res_blocks"]:
                    double = lambda x: F.interpolate(x, scale_factor=2, mode="nearest")
                    layers.append(Residual(k, c, c, double) if k["resblock_updown"] else Resampled(c, False))
                self.output_blocks.append(block(layers))
        self.out = nn.Sequential(nn.GroupNorm(32, c), nn.SiLU(), nn.Conv2d(c, 6 if k["learn_sigma"] else 3, 3, padding=1))

    def forward(self, x, t, labels):
        half = self.k["num_channels"] // 2
        angle = t[:, None] * 10000 ** (-torch.arange(half, dtype=torch.float64) / half)
        e = self.time_embed(torch.cat([angle.cos(), angle.sin()], 1))
        if self.k["num_classes"]:
            e = e + self.label_emb(labels)
        skips = []
        for i, layers in enumerate(self.input_blocks):
            for layer in layers:
                x = layer(x, e) if i else layer(x)
            skips.append(x)
        for layer in self.middle_block:
            x = layer(x, e)
        for layers in self.output_blocks:
            x = torch.cat([x, skips.pop()], 1)
            for layer in layers:
                x = layer(x, e)
        return self.out(x)[:, :3]


def formula(n, shift):
    return torch.cos(1.7 * torch.arange(n, dtype=torch.float64) + shift)


@torch.no_grad()
def main():
    cases = {}
    for name, k in NETWORKS.items():
        network = Network(k).double()
        shapes = {key: list(w.shape) for key, w in network.state_dict().items()}
        for i, key in enumerate(sorted(shapes)):
            w = network.state_dict()[key]
            v = formula(w.numel(), i).reshape(w.shape)
            v = v / math.sqrt(max(1, math.prod(w.shape[1:]))) if w.dim() > 1 else 0.2 * v + (key.endswith(".weight"))
            w.copy_(v.float())
        size = k["image_size"]
        x = formula(2 * 3 * size * size, 0.5).float().double().reshape(2, 3, size, size)
        y = network(x, torch.tensor([10.0, 730.0], dtype=torch.float64), torch.tensor([1, 2]))
        cases[name] = dict(config=k, shapes=shapes, output=[float(f"{v:.9g}") for v in y.flatten()[:: 7]])
    target = Path(__file__).parent.parent / "nets/edm/testdata/guided.json"
    target.write_text(json.dumps(cases, indent=None, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
