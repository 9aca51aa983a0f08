"""What NVIDIA's assembler, ptxas, says of a PTX; part of scripts/ptx.py."""

import hashlib
import importlib.metadata
import os
import pickle
import re
import struct
import subprocess
import sys
import tempfile
import time

NVIDIA = os.path.join(importlib.metadata.distribution("nvidia-cuda-nvrtc-cu12").locate_file(""), "nvidia")

# Where results of assemblers are kept.
KEPT = os.path.join(sys.prefix, "assembled")

# The GPUs on which the PTX of a target runs, and the assembler whose resources go to the table: the oldest that knows the GPU.
GPUS = {
    "compute_80": {"sm_80": "12.1.105", "sm_86": "12.1.105", "sm_89": "12.1.105", "sm_90a": "12.1.105", "sm_100a": "12.9.86", "sm_120": "12.9.86"},
    "compute_90a": {"sm_90a": "12.1.105"},
}
# What a new driver's assembler does with it is checked, too.
NEWEST = "13.5.37"

# Versions of PTX that a target's text may need, and the oldest assembler that knows all but the last, which is NVRTC's own.
VERSIONS = {"compute_80": ("11.8.89", ["7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "7.7", "7.8"]), "compute_90a": ("12.1.105", ["8.0"])}

# What a multiprocessor has, for the number of blocks it holds at a time: cuda_occupancy.h
# of CUDA 12.9 and the CUDA C++ Programming Guide, "Technical Specifications per Compute
# Capability". Warps, blocks, bytes of shared memory; 65536 registers on each of them.
LIMITS = {
    "sm_80": (64, 32, 167936),
    "sm_86": (48, 16, 102400),
    "sm_89": (48, 24, 102400),
    "sm_90a": (64, 32, 233472),
    "sm_100a": (64, 32, 233472),
    "sm_120": (48, 24, 102400),
}


def ptxas(version):
    """The path of an assembler that scripts/ptx.sh has installed."""
    own = os.path.join(sys.prefix, "ptxas", version, "ptxas")
    return own if os.path.exists(own) else os.path.join(NVIDIA, "cuda_nvcc/bin/ptxas")


def run(version, ptx, *options):
    """The assembler's result, what it says, and the machine code. It gives the same for the same, which is kept in the environment."""
    kept = os.path.join(KEPT, hashlib.sha256("\n".join([version, *options, ptx]).encode()).hexdigest())
    try:
        with open(kept, "rb") as f:
            made = pickle.load(f)
        os.utime(kept)
        return made
    except (OSError, EOFError, pickle.UnpicklingError):
        pass
    made = assembled(version, ptx, *options)
    if made[0] != 0:  # which may be of the machine
        return made
    os.makedirs(KEPT, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=KEPT, delete=False) as f:
        pickle.dump(made, f)
    os.replace(f.name, kept)
    return made


def forget():
    """Drops what nobody has asked for in a fortnight."""
    for name in os.listdir(KEPT) if os.path.isdir(KEPT) else []:
        path = os.path.join(KEPT, name)
        if os.path.exists(path) and os.path.getmtime(path) < time.time() - 14 * 86400:
            os.remove(path)


def assembled(version, ptx, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as f, tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        f.write(ptx)
        f.flush()
        done = subprocess.run([ptxas(version), *options, f.name, "--output-file", cubin.name], capture_output=True, text=True)
        return done.returncode, done.stderr, cubin.read()


def with_version(ptx, version):
    return re.sub(r"^\.version .*$", ".version " + version, ptx, count=1, flags=re.M)


def oldest_version(ptx, target):
    """The PTX with the lowest .version that an assembler accepts for what it says; so it runs on the oldest drivers.
    An instruction or modifier that a version does not have is an error of ptxas."""
    assembler, versions = VERSIONS[target]
    for version in versions:
        text = with_version(ptx, version)
        gpu = target.replace("compute", "sm")
        if run(assembler, text, "--opt-level", "0", "--gpu-name", gpu)[0] == 0:
            return text
    return ptx


def blocks(gpu, threads, registers, shared):
    """Blocks of one multiprocessor: the least of what warps, registers and shared memory allow."""
    warps, most, memory = LIMITS[gpu]
    need = -(-threads // 32)
    per_warp = -(-registers * 32 // 256) * 256  # registers are given to warps in units of 256
    room = 65536 // 4 // per_warp * 4  # each of the four schedulers has a quarter
    return min(most, warps // need, room // need, memory // (-(-(shared + 1024) // 128) * 128))


def instructions(cubin):
    """Machine instructions of each function, 16 bytes each: the sizes of the ELF sections .text.NAME."""
    table, = struct.unpack_from("<Q", cubin, 0x28)
    size, count, strings = struct.unpack_from("<HHH", cubin, 0x3A)
    sections = [struct.unpack_from("<IIQQQQ", cubin, table + i * size) for i in range(count)]
    names = sections[strings][4]
    found = {}
    for name, _, _, _, _, length in sections:
        text = cubin[names + name : cubin.index(0, names + name)].decode()
        if text.startswith(".text."):
            found[text[len(".text.") :]] = length // 16
    return found


def assemble(module, ptx, gpu, version):
    """The table's lines of one PTX on one GPU, and its machine code."""
    code, said, cubin = run(version, ptx, "--verbose", "--gpu-name", gpu)
    if code != 0:
        raise SystemExit(f"ptx: ptxas {version} of {module} for {gpu}:\n{said}")
    count = instructions(cubin)
    bounds = dict(re.findall(r"\.entry (\w+)\([^)]*\)\s*\.maxntid (\d+)", ptx))
    lines = []
    if "wgmma.mma_async instructions are serialized" in said:  # registers of sums are touched too early
        raise SystemExit(f"ptx: ptxas {version} of {module} for {gpu}:\n{said}")
    for part in said.split("Compiling entry function")[1:]:
        name = re.search(r"'(\w+)'", part)[1]
        if name not in bounds:
            raise SystemExit(f"ptx: {name} of {module} has no __launch_bounds__")

        def number(pattern):
            m = re.search(r"(\d+) " + pattern, part)
            return int(m[1]) if m else 0

        spills = number("bytes spill stores") + number("bytes spill loads")
        if spills:
            raise SystemExit(f"ptx: {name} of {module} spills {spills} bytes on {gpu} with ptxas {version}")
        threads, registers, shared = int(bounds[name]), number("registers"), number("bytes smem")
        lines.append((module, name, gpu, threads, registers, shared, number("bytes stack frame"), spills, count[name], blocks(gpu, threads, registers, shared)))
    return lines, cubin


def pack(ptx, cubins):
    """The machine code of a module for all GPUs, as kernels/cuda/cubin.go reads it: what was assembled, by what, how
    many bytes, and those. Drivers of the assembler's CUDA on, and of later ones, load it; others compile the PTX."""
    head = f"ptx {hashlib.sha256(ptx.encode()).hexdigest()}\n" + "".join(f"{gpu} {version} {len(cubin)}\n" for gpu, version, cubin in cubins)
    return head.encode() + b"\n" + b"".join(cubin for _, _, cubin in cubins)
