"""Compiles the CUDA kernels; run by scripts/ptx.sh, whose environment it needs.

A module is a file kernels/**/NAME.cu. NVRTC compiles it to NAME.ptx for compute_80;
a comment line "// targets: compute_80 compute_90a" asks for more, which become
NAME_compute_90a.ptx; NAME.ptx.zst, the same, is what programs embed. Each PTX begins with the hash of its sources, the compiler
and its options; its .version is the lowest that its instructions need. ptxas then
assembles it for the GPUs that would run it, and one line for each function and GPU goes
to the table. A function that spills is an error, also with the newest ptxas. What it made
goes to kernels/cuda/cubins/NAME.zst, which programs with the GPU path embed.
"""

import argparse
import collections
import concurrent.futures
import ctypes
import glob
import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys

import zstandard

import ptxas
from ptxas import NVIDIA

INCLUDE = "kernels/cuda/include"
TABLE = "kernels/cuda/resources.tsv"
CUBINS = "kernels/cuda/cubins"
VERSION = importlib.metadata.version("nvidia-cuda-nvrtc-cu12")

OPTIONS = ["--std=c++17"]

COLUMNS = ["module", "function", "gpu", "threads", "registers", "shared", "stack", "spills", "instructions", "blocks"]


def sources(path):
    """The file and everything of ours that it includes, in the order of first use."""
    found = []

    def visit(name):
        if name in found:
            return
        found.append(name)
        for included in re.findall(r'^\s*#\s*include\s+"([^"]+)"', open(name).read(), re.M):
            places = [os.path.join(os.path.dirname(name), included), os.path.join(INCLUDE, included)]
            visit(next((os.path.normpath(p) for p in places if os.path.exists(p)), places[1]))

    visit(path)
    return found


def source_hash(path):
    """sha256 over name, length and content of every source; kernels/cuda/source_test.go computes the same."""
    h = hashlib.sha256()
    for name in sources(path):
        content = open(name, "rb").read()
        h.update(f"{name} {len(content)}\n".encode() + content)
    return h.hexdigest()


def nvrtc():
    lib = ctypes.CDLL(os.path.join(NVIDIA, "cuda_nvrtc/lib/libnvrtc.so.12"))
    lib.nvrtcGetErrorString.restype = ctypes.c_char_p
    return lib


def compile_ptx(path, target):
    lib, program = nvrtc(), ctypes.c_void_p()
    options = [f"--gpu-architecture={target}", *OPTIONS]
    search = [f"--include-path={INCLUDE}", "--include-path=" + os.path.join(NVIDIA, "cuda_runtime/include")]

    def text(kind):
        size = ctypes.c_size_t()
        getattr(lib, f"nvrtcGet{kind}Size")(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        getattr(lib, f"nvrtcGet{kind}")(program, buffer)
        return buffer.value.decode()

    lib.nvrtcCreateProgram(ctypes.byref(program), open(path, "rb").read(), path.encode(), 0, None, None)
    arguments = [o.encode() for o in options + search]
    code = lib.nvrtcCompileProgram(program, len(arguments), (ctypes.c_char_p * len(arguments))(*arguments))
    log = text("ProgramLog").strip()
    if code != 0 or log:  # a warning is an error
        raise SystemExit(f"ptx: {path} for {target}: {lib.nvrtcGetErrorString(code).decode()}\n{log}")
    header = [f"// fluxion: source sha256 {source_hash(path)}", f"// fluxion: compiler NVRTC {VERSION}", "// fluxion: options " + " ".join(options)]
    # Constants of NVRTC's own <nv/target>, three dozen in every module; nothing refers to them.
    ptx = re.sub(r"^\.global [^\n]*2nv6target[^\n]*;\n", "", text("PTX"), flags=re.M)
    return "\n".join(header) + "\n" + ptx.strip() + "\n"


def move_heap(attempt):
    """Takes memory that is never used, so that what NVRTC allocates lies elsewhere: some containers
    give every process the same addresses."""
    libc = ctypes.CDLL(None)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    for _ in range(37 * attempt):
        libc.malloc(4112)  # of the heap
    libc.malloc(attempt * 1_000_000)  # mapped by itself


def interface(ptx):
    """What PTX is to its callers: source, compiler, options, functions and their parameters."""
    return ptx.split("\n")[:3] + re.findall(r"^\.visible [^)]*\)", ptx, re.M)


def compile_apart(path, target, output):
    """compile_ptx in a process of its own, whose heap knows of no other module. NVRTC decides some ties by address,
    and addresses differ between processes and systems: one compilation of groupnorm.cu in forty loads two floats
    twice. So what is in the output already stands if any of several compilations with other addresses gives it;
    what is new is what most of them give."""
    command = [sys.executable, "-X", "utf8", __file__, "--compile", target, path]
    before, made = read(output), collections.Counter()
    for attempt in range(16):
        run = subprocess.run(command, capture_output=True, env={**os.environ, "FLUXION_ATTEMPT": str(attempt)})
        if run.returncode != 0:
            raise SystemExit(run.stderr.decode().strip())
        ptx = run.stdout.decode()
        if ptxas.with_version(ptx, "") == ptxas.with_version(before, ""):
            break
        made[ptx] += 1
        if interface(ptx) != interface(before) and attempt == 4:
            ptx = made.most_common(1)[0][0]
            break
    else:
        # The same source, compiler and options, and never the same ties: no fault of what is there.
        print(f"ptx: {output}: 16 compilations gave other choices of the compiler; it stands", file=sys.stderr)
        ptx = before
    return ptxas.oldest_version(ptx, target)


def jobs(names):
    paths = sorted(glob.glob("kernels/**/*.cu", recursive=True))
    stems = [os.path.basename(p)[: -len(".cu")] for p in paths]
    for stem in stems:
        if stems.count(stem) > 1:
            raise SystemExit(f"ptx: two modules are called {stem}")
    for name in names:
        if name not in stems:
            raise SystemExit(f"ptx: no module {name}; there are {', '.join(stems)}")
    for path, stem in zip(paths, stems):
        if names and stem not in names:
            continue
        asked = re.search(r"^// targets: (.*)$", open(path).read(), re.M)
        for target in asked[1].split() if asked else ["compute_80"]:
            if target not in ptxas.GPUS:
                raise SystemExit(f"ptx: {path}: target {target}, want one of {', '.join(ptxas.GPUS)}")
            yield path, target


def read(path):
    return open(path).read() if os.path.exists(path) else ""


def unpacked(path):
    """What a .zst holds, which programs embed. Its own bytes depend on the version of zstd."""
    try:
        with open(path, "rb") as f:
            return zstandard.ZstdDecompressor().decompress(f.read())
    except (OSError, zstandard.ZstdError):
        return b""


def main():
    parser = argparse.ArgumentParser(prog="scripts/ptx.sh")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--compile", metavar="TARGET", help=argparse.SUPPRESS)  # see compile_apart
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.compile:
        move_heap(int(os.environ.get("FLUXION_ATTEMPT", 0)))
        sys.stdout.write(compile_ptx(options.names[0], options.compile))
        return
    work = list(jobs(options.names))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        files, packed, texts, tasks = {}, {}, {}, []
        modules = [os.path.basename(path)[: -len(".cu")] + ("" if target == "compute_80" else "_" + target) for path, target in work]
        outputs = [os.path.join(os.path.dirname(path), name + ".ptx") for (path, _), name in zip(work, modules)]
        compiled = pool.map(lambda job, output: compile_apart(*job, output), work, outputs)
        for (path, target), module, output, ptx in zip(work, modules, outputs, compiled):
            files[output] = ptx
            if "/testdata/" not in path:  # kernels that only tests run are neither in the table nor in a program
                packed[output + ".zst"] = ptx.encode()
                texts[module] = ptx
                for gpu, version in ptxas.GPUS[target].items():
                    tasks += [(module, ptx, gpu, version), (module, ptx, gpu, ptxas.NEWEST)]
        tasks.sort(key=lambda task: -len(task[1]))  # the longest first, for they take longest
        built = list(pool.map(ptxas.assemble, *zip(*tasks))) if tasks else []  # ptxas, a process each
        shipped = [(task, *made) for task, made in zip(tasks, built) if task[3] != ptxas.NEWEST]
        built = [lines for _, lines, _ in shipped]
        for module, ptx in texts.items():
            codes = sorted((gpu, version, cubin) for (of, _, gpu, version), _, cubin in shipped if of == module)
            packed[f"{CUBINS}/{module}.zst"] = ptxas.pack(ptx, codes)

    ptxas.forget()
    before = [tuple(line.split("\t")) for line in read(TABLE).splitlines()[1:]]
    lines = [tuple(map(str, line)) for of in built for line in of]
    for line in lines:
        for old in before:
            if old[:3] == line[:3] and old[-1] != line[-1]:
                print(f"ptx: {line[1]} on {line[2]}: {old[-1]} blocks a multiprocessor become {line[-1]}", file=sys.stderr)
    if options.names:
        lines += [line for line in before if line[0] not in modules]
    files[TABLE] = "".join("\t".join(line) + "\n" for line in [tuple(COLUMNS), *sorted(set(lines))])
    packed[TABLE + ".zst"] = files[TABLE].encode()

    # What was compiled once and has no source any more; PTX written by hand does not begin like that.
    others = set(glob.glob("kernels/**/*.ptx", recursive=True)) - set(files)
    orphans = [] if options.names else sorted(path for path in others if read(path).startswith("// fluxion: source"))
    if not options.names:
        orphans += sorted(set(glob.glob("kernels/**/*.zst", recursive=True)) - set(packed))
    if options.check:
        wrong = [path for path, text in files.items() if read(path) != text]
        wrong += [path for path, content in packed.items() if unpacked(path) != content]
        for path in wrong:
            print(f"ptx: {path} is not what its source gives; run scripts/ptx.sh", file=sys.stderr)
        for path in orphans:
            print(f"ptx: {path} has no source", file=sys.stderr)
        sys.exit(1 if wrong or orphans else 0)
    for path, text in files.items():
        if read(path) != text:
            with open(path, "w") as f:
                f.write(text)
            print(path)
    for path, content in packed.items():
        if unpacked(path) != content:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(zstandard.ZstdCompressor(level=19).compress(content))
            print(path)
    for path in orphans:
        print(f"ptx: {path} has no source; remove it", file=sys.stderr)


if __name__ == "__main__":
    main()
