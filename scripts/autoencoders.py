"""Makes small AutoencoderKL of diffusers, and what diffusers makes of images and latents with them, for tests.

    "$(scripts/peers.sh)" scripts/autoencoders.py [--out nets/autoencoder/autoencodertest/testdata]

<name>.json         the config.json that save_pretrained writes, of a configuration of MODELS
<name>.safetensors  image (B,H,W,C), mean and logvar of its posterior, z (B,h,w,c), image_of_z = decode(z); of a model that is
                    tiled, tiled_mean, tiled_logvar and tiled_image_of_z, too: computed in float64, stored in float32

Weights, images and latents are not stored: they follow from names (Numbers of nets/feature/featuretest). Another run writes the
same bytes. The last columns printed are how far diffusers' own float32 is from its float64: what float32 may differ by.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.numpy import save_file

# What a configuration is there for stands in its comment.
MODELS = {
    # Stable Diffusion's in small: 4 channels, both quantisation convolutions; a picture that is not square, and tiled.
    "sd": dict(
        config=dict(
            block_out_channels=(8, 16), layers_per_block=2, latent_channels=4, norm_num_groups=4, sample_size=16, scaling_factor=0.18215,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        image=(2, 20, 28), tiled=True,
    ),
    # Stable Diffusion XL's: its scaling, and latents_mean and latents_std as fine-tuned ones have them; three levels.
    "sdxl": dict(
        config=dict(
            block_out_channels=(4, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=2, sample_size=32, scaling_factor=0.13025,
            down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
            latents_mean=(-1.6574, 1.886, -1.383, 2.5155), latents_std=(8.4927, 5.9022, 6.5498, 5.2299),
        ),
        image=(1, 8, 24),
    ),
    # Flux's: 16 channels, a shift, no quantisation convolutions.
    "flux": dict(
        config=dict(
            block_out_channels=(4, 8), layers_per_block=1, latent_channels=16, norm_num_groups=4, sample_size=16, scaling_factor=0.3611,
            shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False, force_upcast=True,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        image=(2, 16, 16),
    ),
    # Grey, attention at a level instead of in the middle, a single row of latents, an odd number of them.
    "grey": dict(
        config=dict(
            in_channels=1, out_channels=1, block_out_channels=(4, 6), layers_per_block=1, latent_channels=3, norm_num_groups=2, sample_size=8,
            scaling_factor=1.0, mid_block_add_attention=False,
            down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"), up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        ),
        image=(1, 2, 10),
    ),
}


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


def weights(model):
    """Weights of a size at which layers keep about the size of what they are given."""
    for name, p in model.named_parameters():
        x = numbers(name, p.numel())
        if name.endswith(".bias"):
            x = 0.1 * x
        elif p.dim() == 1:  # of a norm
            x = 1 + 0.2 * x
        else:
            x = x * math.sqrt(3 / (p.numel() / p.shape[0]))
        p.data = torch.from_numpy(x.astype(np.float32)).reshape(p.shape)


def named(name, shape):
    """Numbers of a name, as NHWC, in NCHW."""
    return torch.from_numpy(numbers(name, math.prod(shape)).astype(np.float32)).reshape(shape).permute(0, 3, 1, 2)


def run(model, image, z):
    """Means, logarithms of variances, and images, in NHWC."""
    with torch.no_grad():
        posterior = model.encode(image).latent_dist
        out = posterior.mean, posterior.logvar, model.decode(z).sample
    return [x.permute(0, 2, 3, 1).double().numpy() for x in out]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("nets/autoencoder/autoencodertest/testdata"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.use_deterministic_algorithms(True)
    print(f"{'model':6} {'weights':>8} {'encode':>9} {'decode':>9}")
    for name, m in MODELS.items():
        model = AutoencoderKL(**m["config"]).eval()
        weights(model)
        model.save_config(out)
        (out / "config.json").rename(out / f"{name}.json")
        batch, height, width = m["image"]
        factor = 2 ** (len(m["config"]["block_out_channels"]) - 1)
        image = named("image", (batch, height, width, model.config.in_channels))
        z = named("z", (batch, height // factor, width // factor, model.config.latent_channels))
        rough = run(model, image, z)
        model = model.double()
        exact = run(model, image.double(), z.double())
        arrays = dict(zip(("mean", "logvar", "image_of_z"), exact))
        if m.get("tiled"):
            model.enable_tiling()
            arrays |= dict(zip(("tiled_mean", "tiled_logvar", "tiled_image_of_z"), run(model, image.double(), z.double())))
        save_file({k: np.ascontiguousarray(v.astype(np.float32)) for k, v in arrays.items()}, out / f"{name}.safetensors")
        off = [np.abs(a - b).max() for a, b in zip(rough, exact)]
        count = sum(p.numel() for p in model.parameters())
        print(f"{name:6} {count:8} {max(off[:2]):9.1e} {off[2]:9.1e}")


if __name__ == "__main__":
    main()
