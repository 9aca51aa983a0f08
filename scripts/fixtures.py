"""Makes the oracle data of nets/unet/testdata/diffusers: what diffusers' UNet2DModel computes, for Fluxion's tests to compare with.

    "$(scripts/peers.sh)" scripts/fixtures.py [--out nets/unet/testdata/diffusers]

Another run on the same machine writes the same bytes. Two kinds of data:

<name>/            one tiny model a folder, random weights, all options of the table MODELS below
  config.json, diffusion_pytorch_model.safetensors
                   written by diffusers' save_pretrained
  io.safetensors   sample (B,C,H,W) f32; timestep (B) f32 (whole numbers for the learned embedding);
                   class_labels: (B) i64 for the table, (B) f32 for "timestep", (B,T) f32 for "identity";
                   output (B,C,H,W) f64
  grads.safetensors  some models only: cotangent (the shape of output), and the gradients of sum(output*cotangent),
                   computed in float64 and stored in f32: "sample", and one for each parameter under its own name
names.json         of the models people use: config, parameter and tensor counts, and the SHA-256 of the sorted lines
                   "name shape\n" ("conv_in.weight 128,3,3,3\n") of their state dict

Outputs are the function the float32 weights define, computed in float64 throughout. diffusers computes the sinusoidal
time embedding in float32 even then (1e-4 off at t = 1000); `exact_timesteps` replaces that one function. The last column
printed is how far diffusers' own float32 forward pass is from the output: what a float32 implementation may differ by.
"""

import argparse
import hashlib
import json
import math
import zlib
from pathlib import Path

import torch
from diffusers import UNet2DModel
from diffusers.models import embeddings
from safetensors.torch import save_file

torch.use_deterministic_algorithms(True)

BATCH = 2

# What each model is there for stands in its comment. Groups always hold at least two channels: with one channel each, the
# biases before a norm would not reach the output.
TINY = dict(sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4)

MODELS = {
    # google/ddpm-cifar10-32 in small: one head as wide as the level, [sin,cos], freq_shift 1, asymmetric padding, eps 1e-6.
    # conv_in is drawn small, so that the first norm sees variances near eps and a wrong eps shows.
    "ddpm": dict(
        config=dict(
            TINY, sample_size=16, block_out_channels=(4, 8, 16), norm_num_groups=2, layers_per_block=2, attention_head_dim=None,
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            flip_sin_to_cos=False, freq_shift=1, downsample_padding=0, norm_eps=1e-6,
        ),
        timestep=[3, 998], grads=True, conv_in_gain=0.01,
    ),
    # The ImageNet-64 model in small: resnet resamplers in both kinds of block, scale_shift, mid norm, class table.
    "imagenet": dict(
        config=dict(
            TINY, block_out_channels=(4, 8, 16), norm_num_groups=2, layers_per_block=2, attention_head_dim=8,
            down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"),
            resnet_time_scale_shift="scale_shift", attn_norm_num_groups=4,
            downsample_type="resnet", upsample_type="resnet", num_class_embeds=5,
        ),
        timestep=[0, 641.5], class_labels=[4, 0], grads=True,
    ),
    # The defaults of everything but the sizes, at fractional times as flow models use them.
    "flow": dict(
        config=dict(
            TINY, down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        ),
        timestep=[437.25, 0.125],
    ),
    # Head size 3: one head of inner width 3 at 4 channels, two heads of inner width 6 at 8.
    "head3": dict(
        config=dict(
            TINY, block_out_channels=(4, 8), norm_num_groups=2, layers_per_block=2, attention_head_dim=3,
            down_block_types=("AttnDownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "AttnUpBlock2D"),
        ),
        timestep=[10, 500],
    ),
    # scale_shift with attn_norm_num_groups null: the mid attention has no norm. More output than input channels.
    "mid-no-norm": dict(
        config=dict(
            TINY, in_channels=1, out_channels=2, attention_head_dim=4, resnet_time_scale_shift="scale_shift",
            down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        ),
        timestep=[77, 1],
    ),
    # Mid block with its own group count and divided by sqrt(2); input moved from [0,1] to [-1,1]; fewer outputs than inputs.
    "mid-scaled": dict(
        config=dict(
            TINY, in_channels=4, out_channels=3, attn_norm_num_groups=2, mid_block_scale_factor=math.sqrt(2),
            center_input_sample=True, flip_sin_to_cos=True, freq_shift=1,
            down_block_types=("AttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "AttnUpBlock2D"),
        ),
        timestep=[250, 750],
    ),
    # No attention in the mid block; resnet downsamplers against convolutional upsamplers; a time embedding of its own size.
    "mid-no-attention": dict(
        config=dict(
            TINY, add_attention=False, downsample_type="resnet", time_embedding_dim=20, downsample_padding=0,
            down_block_types=("AttnDownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "AttnUpBlock2D"),
        ),
        timestep=[900, 33.5],
    ),
    # No mid block; resnet upsamplers against asymmetric convolutional downsamplers with attention; not square.
    "no-mid": dict(
        config=dict(
            TINY, sample_size=(8, 16), mid_block_type=None, upsample_type="resnet", downsample_padding=0,
            flip_sin_to_cos=False, freq_shift=0,
            down_block_types=("AttnDownBlock2D", "DownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        ),
        timestep=[5, 612.75],
    ),
    # Resnet resampling blocks alone, default time shift: with resamplers, and without at the deepest and the last level.
    "resnet-blocks": dict(
        config=dict(
            TINY, block_out_channels=(4, 8, 8), norm_num_groups=2,
            down_block_types=("ResnetDownsampleBlock2D",) * 3, up_block_types=("ResnetUpsampleBlock2D",) * 3,
        ),
        timestep=[120, 880],
    ),
    # The class is a number with a sinusoidal embedding and an MLP of its own.
    "class-timestep": dict(
        config=dict(
            TINY, block_out_channels=(8, 8), class_embed_type="timestep", freq_shift=1,
            down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
        ),
        timestep=[400, 20], class_labels=[2.5, 310.0],
    ),
    # The class is a ready-made embedding as wide as the time embedding.
    "class-identity": dict(
        config=dict(
            TINY, class_embed_type="identity", time_embedding_dim=12,
            down_block_types=("DownBlock2D", "ResnetDownsampleBlock2D"), up_block_types=("ResnetUpsampleBlock2D", "UpBlock2D"),
        ),
        timestep=[999, 499], class_labels="normal",
    ),
    # The time embedding is a table.
    "learned": dict(
        config=dict(
            TINY, block_out_channels=(8, 8), time_embedding_type="learned", num_train_timesteps=10,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        ),
        timestep=[9, 4],
    ),
    # Activations other than SiLU, in both ways of telling the time; the last norm keeps SiLU.
    "gelu": dict(
        config=dict(
            TINY, act_fn="gelu",
            down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
        ),
        timestep=[437.25, 20], grads=True,
    ),
    "mish": dict(
        config=dict(
            TINY, block_out_channels=(8, 8), act_fn="Mish", resnet_time_scale_shift="scale_shift",
            down_block_types=("DownBlock2D", "ResnetDownsampleBlock2D"), up_block_types=("ResnetUpsampleBlock2D", "UpBlock2D"),
        ),
        timestep=[437.25, 20],
    ),
    "relu": dict(
        config=dict(
            TINY, block_out_channels=(8, 8), act_fn="relu",
            down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
        ),
        timestep=[437.25, 20],
    ),
    # NCSN++ as google/ncsnpp-church-256 has it, in small: a noise level in the place of a time, of whose logarithm fixed
    # frequencies are taken; an image along the features, resampled by a filter.
    "ncsnpp": dict(
        config=dict(
            TINY, time_embedding_type="fourier", attention_head_dim=None, mid_block_scale_factor=math.sqrt(2), norm_eps=1e-6,
            down_block_types=("SkipDownBlock2D", "SkipDownBlock2D"), up_block_types=("SkipUpBlock2D", "SkipUpBlock2D"),
        ),
        timestep=[300.5, 0.4], grads=True,
    ),
    # Attention of skip blocks has 32 groups, and what comes from below is not divided by 4 for theirs. Other blocks below.
    "skip-attention": dict(
        config=dict(
            TINY, block_out_channels=(32, 16), attention_head_dim=16, mid_block_type=None,
            down_block_types=("AttnSkipDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "AttnSkipUpBlock2D"),
        ),
        timestep=[700, 3],
    ),
}

CIFAR = dict(
    sample_size=32, block_out_channels=(128, 256, 256, 256), layers_per_block=2, attention_head_dim=None,
    down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    flip_sin_to_cos=False, freq_shift=1, downsample_padding=0, norm_eps=1e-6,
)

# The models of names.json; `parameters` and `tensors` are known figures, checked here.
REFERENCES = {
    "cifar10-32": dict(config=CIFAR, parameters=35_746_307, tensors=328),  # google/ddpm-cifar10-32
    "cifar10-32-classes": dict(config=dict(CIFAR, num_class_embeds=10), parameters=35_751_427, tensors=329),
    "cat-256": dict(  # google/ddpm-cat-256, and the default of diffusers' train_unconditional.py
        config=dict(
            sample_size=256, block_out_channels=(128, 128, 256, 256, 512, 512), layers_per_block=2,
            down_block_types=("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4,
        ),
        parameters=113_673_219, tensors=450,
    ),
    "imagenet-64": dict(  # diffusers' convert_consistency_to_diffusers.py
        config=dict(
            sample_size=64, block_out_channels=(192, 384, 576, 768), layers_per_block=3, attention_head_dim=64,
            down_block_types=("ResnetDownsampleBlock2D",) + ("AttnDownBlock2D",) * 3,
            up_block_types=("AttnUpBlock2D",) * 3 + ("ResnetUpsampleBlock2D",),
            resnet_time_scale_shift="scale_shift", attn_norm_num_groups=32,
            downsample_type="resnet", upsample_type="resnet", num_class_embeds=1000,
        ),
        parameters=295_899_267, tensors=629,
    ),
    "ci": dict(
        config=dict(
            TINY, block_out_channels=(4, 8),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        ),
        parameters=11_767, tensors=144,
    ),
}


def exact_timesteps(t, dim, flip_sin_to_cos=False, downscale_freq_shift=1, scale=1, max_period=10000):
    """diffusers' get_timestep_embedding in float64: exp(-ln(10000) k/(half - shift)), k = 0 .. half-1."""
    half = dim // 2
    k = torch.arange(half, dtype=torch.float64)
    angle = scale * t.double()[:, None] * torch.exp(-math.log(max_period) * k / (half - downscale_freq_shift))
    parts = [angle.cos(), angle.sin()] if flip_sin_to_cos else [angle.sin(), angle.cos()]
    return torch.cat(parts, 1)


def randomize(model, generator):
    """Draws every parameter so that each one matters: gains away from 1, biases away from 0, attention away from uniform."""
    for name, p in model.named_parameters():
        z = torch.randn(p.shape, generator=generator, dtype=torch.float64)
        if name.endswith("bias"):
            value = 0.3 * z
        elif "norm" in name:
            value = 1 + 0.3 * z
        elif name in ("time_proj.weight", "class_embedding.weight"):
            value = z
        else:
            gain = 2.0 if "to_q" in name or "to_k" in name else 1.0
            value = gain * z / math.sqrt(p[0].numel())
        p.data.copy_(value)


def forward(model, timestep, labels, sample, dtype):
    if model.config.time_embedding_type == "learned":
        timestep = timestep.long()
    if model.config.time_embedding_type == "fourier":
        timestep = timestep.to(dtype)  # its logarithm is taken
    if labels is not None and labels.is_floating_point():
        labels = labels.to(dtype)
    return model(sample.to(dtype), timestep, class_labels=labels).sample


def make_labels(spec, model, generator):
    spec = spec.get("class_labels")
    if spec is None:
        return None
    if spec == "normal":
        return torch.randn(BATCH, model.time_embedding.linear_2.out_features, generator=generator)
    return torch.tensor(spec)


def check_gradients(name, grads):
    """A parameter without influence would hide a mistake. Key biases have none by nature: softmax ignores a constant."""
    for key, g in grads.items():
        if not key.endswith("to_k.bias") and g.abs().max() < 1e-3:
            raise SystemExit(f"fixtures: {name}: {key} has no influence on the output (gradient {g.abs().max():.1e})")


def write_model(folder, name, spec):
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    model = UNet2DModel(**spec["config"]).eval()
    randomize(model, generator)
    for p in model.conv_in.parameters():
        p.data *= spec.get("conv_in_gain", 1)
    model.save_pretrained(folder)

    size = spec["config"]["sample_size"]
    height, width = size if isinstance(size, tuple) else (size, size)
    sample = torch.randn(BATCH, model.config.in_channels, height, width, generator=generator)
    timestep = torch.tensor(spec["timestep"], dtype=torch.float32)
    labels = make_labels(spec, model, generator)
    with torch.no_grad():
        single = forward(model, timestep, labels, sample, torch.float32)

    inexact, embeddings.get_timestep_embedding = embeddings.get_timestep_embedding, exact_timesteps
    model.double()
    x = sample.double().requires_grad_()
    output = forward(model, timestep, labels, x, torch.float64)
    embeddings.get_timestep_embedding = inexact

    cotangent = torch.randn(output.shape, generator=generator)
    (output * cotangent.double()).sum().backward()
    # A table's rows that no image of the batch uses get no gradient, so the whole tensor is looked at.
    grads = {key: p.grad for key, p in model.named_parameters() if p.requires_grad} | {"sample": x.grad}
    check_gradients(name, grads)

    io = dict(sample=sample, timestep=timestep, output=output.detach().contiguous())
    if labels is not None:
        io["class_labels"] = labels
    save_file(io, folder / "io.safetensors")
    if spec.get("grads"):
        tensors = {key: g.float() for key, g in grads.items()} | {"cotangent": cotangent}
        save_file({key: g.contiguous() for key, g in tensors.items()}, folder / "grads.safetensors")

    parameters = sum(p.numel() for p in model.parameters())
    kib = sum(f.stat().st_size for f in folder.iterdir()) / 1024
    off = (single.double() - output).abs().max().item()
    print(f"{name:18} {parameters:7} parameters {kib:6.0f} KiB  output std {output.std().item():.2f}  float32 off by {off:.1e}")


def describe(name, spec):
    """The names.json entry of one model, built without memory for its weights."""
    with torch.device("meta"):
        model = UNet2DModel(**spec["config"])
    shapes = {key: tuple(p.shape) for key, p in model.state_dict().items()}
    parameters = sum(math.prod(shape) for shape in shapes.values())
    if (parameters, len(shapes)) != (spec["parameters"], spec["tensors"]):
        raise SystemExit(f"fixtures: {name}: {parameters} parameters in {len(shapes)} tensors, not the published figures")
    lines = sorted(f"{key} {','.join(map(str, shape))}\n" for key, shape in shapes.items())
    config = {key: value for key, value in model.config.items() if not key.startswith("_")}
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return dict(config=config, parameters=parameters, tensors=len(shapes), sha256=digest)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "nets/unet/testdata/diffusers")
    out = parser.parse_args().out

    for name, spec in MODELS.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        write_model(folder, name, spec)

    names = {name: describe(name, spec) for name, spec in REFERENCES.items()}
    (out / "names.json").write_text(json.dumps(names, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
