"""Makes the oracle data of nets/feature/featuretest/testdata: what torch-fidelity's Inception, EfficientNet-lite0, timm's vision transformer with two
blocks of DINOv2 ViT-S/14, and the embedded classifier as PyTorch computes it say of two images, for Fluxion's tests to compare with.

    "$(scripts/metrics.sh)" scripts/features.py [--out nets/feature/featuretest/testdata]

Weights and images are numbers that both sides make by one formula (see `numbers`), so that none need to be stored:

<name>.json         the names and shapes of the network's state dict
<name>.safetensors  its outputs for the images (2,C,side,side), computed in float64
embedded.safetensors  those of the classifier with the weights that are part of the program

    "$(scripts/metrics.sh)" scripts/features.py --weights FILE

writes Inception's weights of that formula as a file of PyTorch's, which pytorch-fid, torch-fidelity and Fluxion can read.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file


def numbers(name, n):
    """n numbers in [-1, 1), made of the 32-bit FNV-1a hash of a name and their index."""
    h = 2166136261
    for b in name.encode():
        h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    with np.errstate(over="ignore"):
        x = np.arange(n, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(h)
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
    return x.astype(np.float64) / 2**31 - 1


def tensor(name, shape):
    u = numbers(name, int(np.prod(shape)))
    if name in ("cls_token", "pos_embed"):
        u = 0.5 * u
    elif len(shape) > 1:  # variance 2 / fan in
        u = u * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        u = 1 + 0.5 * u
    elif name.endswith(".weight"):
        u = 1 + 0.25 * u
    else:
        u = 0.1 * u
    return torch.tensor(u.reshape(shape).astype(np.float32))


def load(net):
    state = {k: tensor(k, tuple(v.shape)) for k, v in net.state_dict().items() if v.is_floating_point()}
    net.load_state_dict(state, strict=False)
    return state


def inception(weights):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Inception

    net = Inception.__new__(Inception)
    loader = torch.load
    torch.load = lambda *_, **__: {}
    try:  # its shapes first, then weights for them
        Inception.load_state_dict, strict = (lambda self, state, strict=True: None), Inception.load_state_dict
        net.__init__("inception", ["2048", "logits_unbiased"], feature_extractor_weights_path="none", feature_extractor_internal_dtype="float64")
    finally:
        torch.load, Inception.load_state_dict = loader, strict
    state = load(net.float())
    if weights:
        torch.save(state, weights)
    return net.double().eval(), state


def inception_outputs(net, x):
    middle = {}
    net.Mixed_6d.branch1x1.register_forward_hook(lambda _, __, out: middle.update(spatial=out))
    for name in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"):
        x = getattr(net, name)(x)
    for block in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
        x = getattr(net, "Mixed_" + block)(x)
    pooled = net.AvgPool(x).flatten(1)
    return {"pooled": pooled, "logits": pooled @ net.fc.weight.T, "spatial": middle["spatial"][:, :7].permute(0, 2, 3, 1).contiguous()}


def lite_outputs(net, x):
    pooled = net.extract_features(x).mean((2, 3))
    return {"pooled": pooled, "logits": pooled @ net._fc.weight.T}


def dino():
    """Two blocks of ViT-S/14, and the state dict as DINOv2's authors keep it."""
    from timm.models.vision_transformer import VisionTransformer

    net = VisionTransformer(img_size=224, patch_size=14, embed_dim=384, depth=2, num_heads=6, init_values=1e-5, num_classes=0)
    shapes = {k: tuple(v.shape) for k, v in net.state_dict().items()} | {"pos_embed": (1, 1 + 37 * 37, 384)}
    state = {k: tensor(k, shape) for k, shape in shapes.items()}
    # The authors' way from 37 to 16 rows of patches: bicubic, no antialiasing, a scale of (16 + 0.1)/37.
    positions = state["pos_embed"].double()
    patches = positions[:, 1:].reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
    patches = F.interpolate(patches, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic").permute(0, 2, 3, 1).reshape(1, 256, 384)
    net = net.double()
    net.load_state_dict(state | {"pos_embed": torch.cat((positions[:, :1], patches), 1)})
    return net, state


class Glyph(torch.nn.Module):
    """The classifier of nets/feature/glyph.go."""

    def __init__(self):
        super().__init__()
        layers = [(3, 32, 1), (32, 48, 2), (48, 64, 2), (64, 64, 1), (64, 64, 1)]
        for i, (into, out, stride) in enumerate(layers):
            self.add_module(f"conv{i + 1}", torch.nn.Conv2d(into, out, 3, stride, 1))
        self.classes = torch.nn.Linear(64, 46)


def glyph_outputs(net, x):
    for conv in (net.conv1, net.conv2, net.conv3, net.conv4, net.conv5):
        x = F.relu(conv(x))
    pooled = x.mean((2, 3))
    return {"pooled": pooled, "logits": net.classes(pooled)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("nets/feature/featuretest/testdata"))
    parser.add_argument("--weights", type=Path)
    args = parser.parse_args()
    net, state = inception(args.weights)
    if args.weights:
        return
    args.out.mkdir(parents=True, exist_ok=True)
    from efficientnet_lite_pytorch import EfficientNet

    lite, glyph = EfficientNet.from_name("efficientnet-lite0"), Glyph()
    networks = (
        ("dinov2-test", *dino(), 224, lambda net, x: {"pooled": net(x)}),
        ("inception", net, state, 299, inception_outputs), ("lite0", lite, load(lite), 224, lite_outputs), ("glyph", glyph, load(glyph), 32, glyph_outputs),
    )
    for name, net, state, side, outputs in networks:
        x = torch.tensor(numbers("image", 2 * side * side * 3).reshape(2, side, side, 3)).permute(0, 3, 1, 2)
        x = F.avg_pool2d(x, 5, 1, 2, count_include_pad=False) * 2  # smooth, as images are
        with torch.no_grad():
            of = outputs(net.double().eval(), x.float().double())
        print(name, {k: (tuple(v.shape), float(v.abs().mean())) for k, v in of.items()})
        save_file({k: v.float().contiguous() for k, v in of.items()}, args.out / f"{name}.safetensors")
        if name == "glyph":
            net.float().load_state_dict(load_file(Path(__file__).parent.parent / "nets" / "feature" / "glyph.safetensors"))
            with torch.no_grad():
                of = outputs(net.double(), x.float().double())
            save_file({k: v.float().contiguous() for k, v in of.items()}, args.out / "embedded.safetensors")
        (args.out / f"{name}.json").write_text(json.dumps({k: list(v.shape) for k, v in state.items()}, indent=0) + "\n")


main()
