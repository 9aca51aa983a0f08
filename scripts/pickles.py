"""Makes the files of nets/pickle/testdata: what PyTorch and numpy write, for Fluxion's reader to compare with.

    "$(scripts/peers.sh)" scripts/pickles.py [--out nets/pickle/testdata]

state.pth       torch.save of nested dictionaries with every element type, views and a parameter, as a zip
legacy.pth      the same in the container of PyTorch before 1.6
state.safetensors   the same tensors, contiguous, in float64
script.pt       a TorchScript archive of two modules
script.safetensors  its state dict
statistics.pkl  a dictionary of numpy arrays, as EDM2 stores the moments of features
statistics.safetensors  the same
program.pkl     a pickle that calls a function

and nets/unet/testdata/class-timestep.bin, the weights of that model as diffusers wrote them before safetensors.
"""

import argparse
import os
import pickle
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

torch.manual_seed(0)
whole = torch.randn(4, 6)
STATE = {
    "model": {
        "conv.weight": torch.nn.Parameter(torch.randn(2, 3, 1, 3)),
        "transposed": whole.T,
        "part": whole[1:3, ::2],
        "whole": whole,
        "half": torch.randn(5).half(),
        "bfloat16": torch.randn(5).bfloat16(),
        "double": torch.randn(3, dtype=torch.float64),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
    },
    "epoch": 7,
    "args": {"name": "test", "betas": (0.9, 0.999), "big": 1 << 70, "none": None, "yes": True},
}


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 3)
        self.norm = torch.nn.BatchNorm2d(2)

    def forward(self, x):
        return self.norm(self.conv(x))


class Program:
    def __reduce__(self):
        return os.system, ("true",)


def doubles(tensors):
    return {k: v.detach().double().contiguous() for k, v in tensors.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("nets/pickle/testdata"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.save(STATE, out / "state.pth")
    torch.save(STATE, out / "legacy.pth", _use_new_zipfile_serialization=False)
    tensors = {"model." + k: v for k, v in STATE["model"].items()} | {"epoch": torch.tensor(7.0)}
    save_file(doubles(tensors), out / "state.safetensors")
    net = Net().eval()
    torch.jit.script(net).save(out / "script.pt")
    save_file(doubles({k: v for k, v in net.state_dict().items() if v.is_floating_point()}), out / "script.safetensors")
    mu, sigma = np.linspace(0, 1, 3), np.array([[2.0, 1, 0], [1, 2, 1], [0, 1, 2]])
    with open(out / "statistics.pkl", "wb") as f:
        pickle.dump({"num_images": 50000, "fid": {"mu": mu, "sigma": np.asfortranarray(sigma)}, "fd_dinov2": {"mu": mu.astype(np.float32), "sigma": sigma}}, f)
    moments = {"fid.mu": mu, "fid.sigma": sigma, "fd_dinov2.mu": mu, "fd_dinov2.sigma": sigma, "num_images": np.float64(50000)}
    save_file(doubles({k: torch.tensor(v) for k, v in moments.items()}), out / "statistics.safetensors")
    (out / "program.pkl").write_bytes(pickle.dumps({"weight": Program()}, protocol=2))
    unet = Path("nets/unet/testdata")
    torch.save(load_file(unet / "diffusers/class-timestep/diffusion_pytorch_model.safetensors"), unet / "class-timestep.bin")


main()
